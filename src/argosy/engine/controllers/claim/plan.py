"""What a claim needs: a volume that exists and fits, or a new directory under the engine's volumes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from argosy.engine.controllers.claim.matching import best_match, is_reserved_for, reaches
from argosy.engine.controllers.claim.use import SELECTED_NODE, waits_for_consumer
from argosy.engine.controllers.pods import is_finished
from argosy.intent import Action, Create, Observed, Patch, Plan, Reason
from argosy.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, is_deleting, key_of, name_of, namespace_of, uid_of
from argosy.meta.quantity import parse

PROVISIONER = "argosy.dev/local"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROTECTION = "kubernetes.io/pvc-protection"
_BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
_BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
_IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def plan_with(volumes_dir: str) -> Callable[[Observed], Plan]:
    """The plan for a directory of volumes."""

    def plan(seen: Observed) -> Plan:
        claim = seen.subject
        volumes = seen.related.get(PERSISTENT_VOLUME, ())
        if is_deleting(claim):
            return _release(claim, seen.related.get(POD, ()))
        if dig(claim, "spec", "volumeName"):
            return _bound(claim, volumes, seen.related.get(STORAGE_CLASS, ()))
        classes = seen.related.get(STORAGE_CLASS, ())
        if _waits(claim, classes):
            nodes = seen.related.get(NODE, ())
            if not nodes and not any(is_reserved_for(volume, claim) for volume in volumes):
                message = "waiting for first consumer to be created before binding"
                return Plan(status={"phase": "Pending"}, reasons=(Reason("WaitForFirstConsumer", message),))
            volumes = [v for v in volumes if is_reserved_for(v, claim) or any(reaches(v, node) for node in nodes)]
        found = best_match(claim, volumes)
        if found is not None:
            return Plan(tuple(_bind(claim, found)), _status(claim, found))
        return _provision(claim, classes, volumes_dir)

    return plan


def _waits(claim: Obj, classes: Sequence[Obj]) -> bool:
    name = claim["spec"].get("storageClassName")
    return any(name_of(each) == name and waits_for_consumer(each) for each in classes)


def selected_node(claim: Obj) -> Sequence[str]:
    """The node that the scheduler has chosen for the claim's first pod, if it has."""
    name = annotations_of(claim).get(SELECTED_NODE)
    return (name,) if name else ()


def _release(claim: Obj, pods: Sequence[Obj]) -> Plan:
    """A claim that is being deleted goes when no pod uses it any more."""
    finalizers = claim["metadata"].get("finalizers") or []
    if PROTECTION not in finalizers or any(not is_finished(pod) for pod in pods):
        return Plan()
    kept = [f for f in finalizers if f != PROTECTION]
    patch = {"metadata": {"finalizers": kept or None}}
    return Plan((Patch(PERSISTENT_VOLUME_CLAIM, key_of(claim), patch, uid=uid_of(claim)),))


def _bound(claim: Obj, volumes: Sequence[Obj], classes: Sequence[Obj]) -> Plan:
    name = claim["spec"]["volumeName"]
    volume = next((v for v in volumes if name_of(v) == name), None)
    if volume is None:
        if dig(claim, "status", "phase") != "Bound":
            return Plan()  # named in advance; the volume may still come
        message = f"Bound claim has lost its PersistentVolume {name}; data on the volume is lost, make a new claim."
        return Plan(status={"phase": "Lost"}, reasons=(Reason("ClaimLost", message, warning=True),))
    if dig(volume, "spec", "claimRef") and not is_reserved_for(volume, claim):
        message = f"Volume {name} is already bound to another claim; name a free volume or none."
        return Plan(status={"phase": "Pending"}, reasons=(Reason("FailedBinding", message, warning=True),))
    actions, reasons = _bind(claim, volume), []
    if _grows(claim, volume, classes):
        size = claim["spec"]["resources"]["requests"]["storage"]
        patch = {"spec": {"capacity": {"storage": size}}}
        actions.append(Patch(PERSISTENT_VOLUME, key_of(volume), patch, uid=uid_of(volume)))
        volume = {**volume, "spec": {**volume["spec"], "capacity": {"storage": size}}}
        reasons.append(Reason("VolumeResizeSuccessful", f"Resize volume succeeded: {name_of(volume)} has {size}"))
    return Plan(tuple(actions), _status(claim, volume), tuple(reasons))


def _grows(claim: Obj, volume: Obj, classes: Sequence[Obj]) -> bool:
    """Whether a volume of ours, whose class allows it, is to have more room than it has."""
    asked = dig(claim, "spec", "resources", "requests", "storage")
    has = dig(volume, "spec", "capacity", "storage", default="0")
    return (
        asked is not None
        and parse(str(asked)) > parse(str(has))
        and annotations_of(volume).get(PROVISIONED_BY) == PROVISIONER
        and any(name_of(c) == claim["spec"].get("storageClassName") and c.get("allowVolumeExpansion") for c in classes)
    )


def _bind(claim: Obj, volume: Obj) -> list[Action]:
    """The patches that tie the two together, as far as they are not tied yet."""
    actions: list[Action] = []
    reference = dig(volume, "spec", "claimRef") or {}
    if reference.get("uid") != uid_of(claim):
        patch = {"spec": {"claimRef": claim_reference(claim)}}
        actions.append(Patch(PERSISTENT_VOLUME, key_of(volume), patch, uid=uid_of(volume)))
    tied = {_BIND_COMPLETED: "yes"}
    patch_claim: Obj = {}
    if dig(claim, "spec", "volumeName") != name_of(volume):
        patch_claim["spec"] = {"volumeName": name_of(volume)}
        tied[_BOUND_BY_CONTROLLER] = "yes"
    if any(annotations_of(claim).get(k) != v for k, v in tied.items()):
        patch_claim["metadata"] = {"annotations": tied}
    if patch_claim:
        actions.append(Patch(PERSISTENT_VOLUME_CLAIM, key_of(claim), patch_claim, uid=uid_of(claim)))
    return actions


def _provision(claim: Obj, classes: Sequence[Obj], volumes_dir: str) -> Plan:
    wanted = claim["spec"].get("storageClassName")
    status = {"phase": "Pending"}
    if wanted is None:
        default = next((c for c in classes if annotations_of(c).get(_IS_DEFAULT) == "true"), None)
        if default is not None:
            patch = {"spec": {"storageClassName": name_of(default)}}
            return Plan((Patch(PERSISTENT_VOLUME_CLAIM, key_of(claim), patch, uid=uid_of(claim)),), status)
    if not wanted:
        message = "no persistent volumes available for this claim and no storage class is set"
        return Plan(status=status, reasons=(Reason("FailedBinding", message),))
    storage = next((c for c in classes if name_of(c) == wanted), None)
    if storage is None:
        message = f'storageclass.storage.k8s.io "{wanted}" not found; create it, or claim from class "standard".'
        return Plan(status=status, reasons=(Reason("ProvisioningFailed", message, warning=True),))
    provisioner = str(storage.get("provisioner"))
    if provisioner != PROVISIONER:
        message = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator."
        )
        return Plan(status=status, reasons=(Reason("ExternalProvisioning", message),))
    volume = new_volume(claim, storage, volumes_dir)
    actions = (Create(PERSISTENT_VOLUME, volume), *_bind(claim, volume))
    message = f"Successfully provisioned volume {name_of(volume)}"
    return Plan(actions, _status(claim, volume), (Reason("ProvisioningSucceeded", message),))


def new_volume(claim: Obj, storage: Obj, volumes_dir: str) -> Obj:
    """A directory of this machine as a volume, set aside for the claim."""
    spec = claim["spec"]
    path = f"{volumes_dir}/{namespace_of(claim)}/{name_of(claim)}-{uid_of(claim)[:8]}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{uid_of(claim)}", "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": dig(spec, "resources", "requests", "storage", default="1Gi")},
            "accessModes": list(spec.get("accessModes") or ["ReadWriteOnce"]),
            "volumeMode": spec.get("volumeMode") or "Filesystem",
            "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy") or "Delete",
            "storageClassName": name_of(storage),
            "claimRef": claim_reference(claim),
            "hostPath": {"path": path, "type": "DirectoryOrCreate"},
        },
    }


def claim_reference(claim: Obj) -> Obj:
    """How a volume names its claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
    }


def _status(claim: Obj, volume: Obj) -> Obj:
    kept = {k: v for k, v in (claim.get("status") or {}).items() if k not in {"phase", "accessModes", "capacity"}}
    spec = volume["spec"]
    return {
        **kept,
        "phase": "Bound",
        "accessModes": list(spec.get("accessModes") or ()),
        "capacity": dict(spec.get("capacity") or {}),
    }
