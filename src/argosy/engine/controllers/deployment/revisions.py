"""Which ReplicaSet is the present one, which are history, and the annotations that number them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.engine.controllers.pods import template_hash
from argosy.kinds import DEPLOYMENT
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, created_of, is_deleting, name_of, namespace_of, owner_reference

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAX,
        "deprecated.deployment.rollback.to",
    }
)


def by_age(sets: Sequence[Obj]) -> list[Obj]:
    """Oldest first."""
    return sorted(sets, key=lambda s: (created_of(s), name_of(s)))


def current_set(deployment: Obj, sets: Sequence[Obj]) -> Obj | None:
    """The oldest ReplicaSet whose template is the Deployment's own."""
    wanted = _bare(deployment["spec"].get("template") or {})
    for candidate in by_age(sets):
        if not is_deleting(candidate) and _bare(candidate["spec"].get("template") or {}) == wanted:
            return candidate
    return None


def revision_of(obj: Obj) -> int:
    """The number in the revision annotation, 0 without one."""
    text = annotations_of(obj).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def new_set(deployment: Obj, revision: int, annotations: dict[str, str]) -> Obj:
    """The ReplicaSet for the Deployment's template, not scaled up yet."""
    spec = deployment["spec"]
    template = spec.get("template") or {}
    digest = template_hash(template, salt=dig(deployment, "status", "collisionCount", default=""))
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {**(meta.get("labels") or {}), HASH_LABEL: digest}
    selector = dict(spec.get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    made: Obj = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{digest}",
            "namespace": namespace_of(deployment),
            "labels": dict(meta["labels"]),
            "annotations": {**annotations, REVISION: str(revision)},
            "ownerReferences": [owner_reference(deployment, DEPLOYMENT)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": {**template, "metadata": meta}},
    }
    if spec.get("minReadySeconds"):
        made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return made


def set_annotations(deployment: Obj, surge: int) -> dict[str, str]:
    """What every ReplicaSet of the Deployment is told: its own annotations and the sizes of the rollout."""
    replicas = int(deployment["spec"].get("replicas", 1))
    copied = {k: v for k, v in annotations_of(deployment).items() if k not in _NOT_COPIED}
    return copied | {DESIRED: str(replicas), MAX: str(replicas + surge)}


def renumbered(current: Obj, revision: int) -> dict[str, str]:
    """The annotations that make an older ReplicaSet (a rollback's target) the newest revision."""
    had = revision_of(current)
    if had >= revision:
        return {}
    changed = {REVISION: str(revision)}
    if had:
        history = [n for n in annotations_of(current).get(HISTORY, "").split(",") if n]
        changed[HISTORY] = ",".join([*history, str(had)])
    return changed


def expired(deployment: Obj, olds: Sequence[Obj]) -> list[Obj]:
    """Old ReplicaSets beyond `revisionHistoryLimit`, lowest revision first; only those that hold no pods."""
    limit = deployment["spec"].get("revisionHistoryLimit", 10)
    excess = len(olds) - int(limit)
    if excess <= 0:
        return []
    ordered = sorted(olds, key=lambda s: (revision_of(s), created_of(s)))
    return [s for s in ordered[:excess] if _is_empty(s)]


def _is_empty(replica_set: Obj) -> bool:
    return (
        not replica_set["spec"].get("replicas", 1)
        and not dig(replica_set, "status", "replicas", default=0)
        and not is_deleting(replica_set)
        and dig(replica_set, "status", "observedGeneration", default=0) >= replica_set["metadata"].get("generation", 0)
    )


def _bare(template: Obj) -> Obj:
    meta = {k: v for k, v in (template.get("metadata") or {}).items() if k != "creationTimestamp"}
    labels = {k: v for k, v in (meta.pop("labels", None) or {}).items() if k != HASH_LABEL}
    return {**template, "metadata": {**{k: v for k, v in meta.items() if v}, "labels": labels}}
