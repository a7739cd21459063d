"""Who each pod of a StatefulSet is: its name, its labels, its claims. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.engine.controllers.history import POD_LABEL, template_of
from argosy.engine.controllers.pods import pod_from_template
from argosy.intent import Related
from argosy.kinds import PERSISTENT_VOLUME_CLAIM, STATEFUL_SET
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of, namespace_of, owner_reference, uid_of

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"


def first_ordinal(stateful_set: Obj) -> int:
    """`spec.ordinals.start`."""
    return int(dig(stateful_set, "spec", "ordinals", "start", default=0))


def ordinal_of(stateful_set: Obj, pod: Obj) -> int:
    """The number at the end of the pod's name, -1 for a name that is not of this set."""
    prefix, _, number = name_of(pod).rpartition("-")
    return int(number) if prefix == name_of(stateful_set) and number.isdigit() else -1


def revision_name(stateful_set: Obj, pod: Obj) -> str:
    """The ControllerRevision that a pod was made from."""
    return str(dig(pod, "metadata", "labels", POD_LABEL, default=""))


def make_pod(stateful_set: Obj, ordinal: int, revision: Obj) -> Obj:
    """The pod of an ordinal at a revision."""
    name = f"{name_of(stateful_set)}-{ordinal}"
    pod = pod_from_template(template_of(revision), stateful_set, STATEFUL_SET, name)
    pod["metadata"]["labels"] |= {NAME_LABEL: name, INDEX_LABEL: str(ordinal), POD_LABEL: name_of(revision)}
    spec = dict(pod["spec"])
    spec["hostname"] = name
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    claims = {t["metadata"]["name"]: claim_name(t, name) for t in templates(stateful_set)}
    if claims:
        kept = [v for v in spec.get("volumes") or () if v.get("name") not in claims]
        mine = [{"name": v, "persistentVolumeClaim": {"claimName": c}} for v, c in claims.items()]
        spec["volumes"] = [*mine, *kept]
    pod["spec"] = spec
    return pod


def templates(stateful_set: Obj) -> Sequence[Obj]:
    """`spec.volumeClaimTemplates`."""
    return stateful_set["spec"].get("volumeClaimTemplates") or ()


def claim_name(template: Obj, pod_name: str) -> str:
    """The claim that a template makes for a pod."""
    return f"{template['metadata']['name']}-{pod_name}"


def make_claims(stateful_set: Obj, ordinal: int) -> list[Obj]:
    """The claims of an ordinal."""
    name = f"{name_of(stateful_set)}-{ordinal}"
    retained = dig(stateful_set, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted", default="Retain")
    made = []
    for template in templates(stateful_set):
        meta = template["metadata"]
        labels = {**(meta.get("labels") or {}), **dig(stateful_set, "spec", "selector", "matchLabels", default={})}
        claim: Obj = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": claim_name(template, name),
                "namespace": namespace_of(stateful_set),
                "labels": labels,
            },
            "spec": template.get("spec") or {},
        }
        if meta.get("annotations"):
            claim["metadata"]["annotations"] = dict(meta["annotations"])
        if retained == "Delete":
            claim["metadata"]["ownerReferences"] = [_reference(stateful_set)]
        made.append(claim)
    return made


def owners_wanted(stateful_set: Obj, claim: Obj) -> list[Obj] | None:
    """The owners that a claim should have as the retention policy is now; None when it has them."""
    present = list(claim["metadata"].get("ownerReferences") or ())
    others = [each for each in present if each.get("uid") != uid_of(stateful_set)]
    policy = dig(stateful_set, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted", default="Retain")
    goes = policy == "Delete"
    if goes == (len(others) < len(present)):
        return None
    return [*others, _reference(stateful_set)] if goes else others


def _reference(stateful_set: Obj) -> Obj:
    """A set that takes its claims along when it goes, without controlling them."""
    reference = owner_reference(stateful_set, STATEFUL_SET)
    reference.pop("controller")
    return {**reference, "blockOwnerDeletion": False}


def claims_wanted() -> Related:
    """The claims that a set's templates have made, or would meet."""

    def wants(stateful_set: Obj, claim: Obj) -> bool:
        if namespace_of(claim) != namespace_of(stateful_set):
            return False
        prefix, _, number = name_of(claim).rpartition("-")
        return number.isdigit() and any(
            prefix == f"{t['metadata']['name']}-{name_of(stateful_set)}" for t in templates(stateful_set)
        )

    def of_set(stateful_set: Obj) -> Sequence[str]:
        return (namespace_of(stateful_set),) if templates(stateful_set) else ()

    return Related(
        PERSISTENT_VOLUME_CLAIM, wants, subject_keys=of_set, object_keys=lambda claim: (namespace_of(claim),)
    )
