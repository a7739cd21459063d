"""What a pod's claims mean for where it may go. Pure.

A bound claim ties the pod to the nodes that its volume reaches. A claim of a class that waits for its first consumer is bound
after the pod has got a node: then the nodes count on which a volume could be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from argosy.engine.controllers.claim.matching import fits, is_reserved_for
from argosy.engine.controllers.claim.use import SELECTED_NODE
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, annotations_of, is_deleting

_MANY_NODES = frozenset({"ReadWriteMany", "ReadOnlyMany"})


@dataclass(slots=True)
class Storage:
    """The claims of one pod."""

    selectors: list[Obj] = field(default_factory=list)
    """Node selectors of its volumes."""
    offers: list[Sequence[Obj]] = field(default_factory=list)
    """For each claim that nobody would make a volume for: the volumes that would do."""
    exclusive: list[Key] = field(default_factory=list)
    """Claims that one pod may use at a time (ReadWriteOncePod)."""
    tied: list[Key] = field(default_factory=list)
    """Claims that one node may use at a time (ReadWriteOnce)."""
    delayed: list[Key] = field(default_factory=list)
    """Claims that wait until the pod has a node."""
    trouble: str = ""
    """What is wrong with a claim, in kube-scheduler's words."""


def read_storage(pod: PodInfo, snapshot: Snapshot) -> Storage:
    """Look at every claim of a pod; the first that is in trouble decides."""
    found = Storage()
    for name in pod.claims:
        claim = snapshot.claims.get(Key(pod.key.namespace, name))
        trouble = _trouble(name, claim)
        if trouble or claim is None:
            return Storage(trouble=trouble)
        modes = set(claim["spec"].get("accessModes") or ())
        if "ReadWriteOncePod" in modes:
            found.exclusive.append(Key(pod.key.namespace, name))
        if dig(claim, "status", "phase") == "Bound":
            volume = snapshot.volumes.get(str(dig(claim, "spec", "volumeName", default="")))
            if not _MANY_NODES & (set(dig(volume, "spec", "accessModes", default=())) | modes):
                found.tied.append(Key(pod.key.namespace, name))
            required = dig(volume, "spec", "nodeAffinity", "required")
            if required:
                found.selectors.append(required)
        elif not _is_delayed(claim, snapshot) or annotations_of(claim).get(SELECTED_NODE):
            return Storage(trouble="pod has unbound immediate PersistentVolumeClaims")
        else:
            found.delayed.append(Key(pod.key.namespace, name))
            if not snapshot.delayed_classes[claim["spec"]["storageClassName"]]:
                found.offers.append(_volumes_for(claim, snapshot))
    return found


def _trouble(name: str, claim: Obj | None) -> str:
    if claim is None:
        return f'persistentvolumeclaim "{name}" not found'
    if is_deleting(claim):
        return f'persistentvolumeclaim "{name}" is being deleted'
    if dig(claim, "status", "phase") == "Lost":
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume'
    return ""


def _is_delayed(claim: Obj, snapshot: Snapshot) -> bool:
    return claim["spec"].get("storageClassName") in snapshot.delayed_classes and not claim["spec"].get("volumeName")


def _volumes_for(claim: Obj, snapshot: Snapshot) -> list[Obj]:
    volumes = snapshot.volumes.values()
    return [v for v in volumes if is_reserved_for(v, claim) or (not dig(v, "spec", "claimRef") and fits(claim, v))]
