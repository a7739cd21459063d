"""Rules of volumes, claims, storage classes and CSI drivers."""

from __future__ import annotations

from argosy.meta import causes, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, one_of, required, say, selector
from argosy.meta.rules.scheduling import node_selector
from argosy.meta.rules.volumes import host_path, nfs

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_SOURCES = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte", "cephfs",
    "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume",
    "azureDisk", "scaleIO", "local", "storageos", "csi",
)  # fmt: skip
_CLAIM_UPDATE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def claim(new: Obj, old: Obj | None) -> Found:
    """v1 PersistentVolumeClaim."""
    found: Found = []
    spec = new["spec"]
    claim_spec(found, "spec", spec)
    if old is not None:
        before = old["spec"]
        bound = (old.get("status") or {}).get("phase") == "Bound"
        grown = {**spec, "resources": {}, "volumeAttributesClassName": ""} if bound else spec
        kept = {**before, "resources": {}, "volumeAttributesClassName": ""} if bound else before
        if before.get("volumeName") in (None, "") and not bound:
            grown, kept = {**grown, "volumeName": ""}, {**kept, "volumeName": ""}
        if before.get("storageClassName") is None:
            grown, kept = {**grown, "storageClassName": ""}, {**kept, "storageClassName": ""}
        if grown != kept:
            found.append(causes.forbidden("spec", _CLAIM_UPDATE))
        _shrunk(found, spec, before, bound=bound)
    return found


def _shrunk(found: Found, spec: Obj, before: Obj, *, bound: bool) -> None:
    size = (spec.get("resources") or {}).get("requests", {}).get("storage")
    had = (before.get("resources") or {}).get("requests", {}).get("storage")
    if bound and size is not None and had is not None and quantity.compare(size, had) < 0:
        message = "field can not be less than status.capacity"
        found.append(causes.forbidden("spec.resources.requests.storage", message))


def claim_spec(found: Found, path: str, spec: Obj) -> None:
    """A PersistentVolumeClaimSpec."""
    modes = spec.get("accessModes") or []
    if not modes:
        found.append(causes.required(f"{path}.accessModes", "at least 1 access mode is required"))
    selector(found, f"{path}.selector", spec.get("selector"))
    for mode in modes:
        one_of(found, f"{path}.accessModes", mode, _MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        message = "may not use ReadWriteOncePod with other access modes"
        found.append(causes.forbidden(f"{path}.accessModes", message))
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        found.append(causes.required(f"{path}.resources[storage]"))
    elif quantity.parse(size).nanos <= 0:
        found.append(causes.invalid(f"{path}.resources[storage]", size, "must be greater than zero"))
    name = spec.get("storageClassName")
    if name:
        say(found, f"{path}.storageClassName", name, names.subdomain(name))
    one_of(found, f"{path}.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))


def volume(new: Obj, old: Obj | None) -> Found:
    """v1 PersistentVolume."""
    found: Found = []
    spec = new["spec"]
    modes, capacity = spec.get("accessModes") or [], spec.get("capacity") or {}
    required(found, "spec.accessModes", modes)
    for mode in modes:
        one_of(found, "spec.accessModes", mode, _MODES)
    required(found, "spec.capacity", capacity)
    if set(capacity) != {"storage"}:
        found.append(causes.unsupported("spec.capacity", capacity or None, ("storage",)))
    for name, size in capacity.items():
        if quantity.parse(size).nanos <= 0:
            found.append(causes.invalid(f"spec.capacity[{name}]", size, "must be greater than zero"))
    policy = spec.get("persistentVolumeReclaimPolicy")
    one_of(found, "spec.persistentVolumeReclaimPolicy", policy, ("Delete", "Recycle", "Retain"))
    affinity = (spec.get("nodeAffinity") or {}).get("required")
    if affinity is not None:
        node_selector(found, "spec.nodeAffinity.required", affinity)
    given = [name for name in _SOURCES if spec.get(name) is not None]
    found.extend(causes.forbidden(f"spec.{name}", "may not specify more than 1 volume type") for name in given[1:])
    if given:
        _source(found, given[0], spec, affinity)
    else:
        found.append(causes.required("spec", "must specify a volume type"))
    if (spec.get("hostPath") or {}).get("path") == "/" and policy == "Recycle":
        message = "may not be 'recycle' for a hostPath mount of '/'"
        found.append(causes.forbidden("spec.persistentVolumeReclaimPolicy", message))
    if spec.get("storageClassName"):
        say(found, "spec.storageClassName", spec["storageClassName"], names.subdomain(spec["storageClassName"]))
    one_of(found, "spec.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))
    if old is not None:
        before = old["spec"]
        if any(spec.get(name) != before.get(name) for name in _SOURCES):
            message = "spec.persistentvolumesource is immutable after creation"
            found.append(causes.forbidden("spec.persistentvolumesource", message))
        if spec.get("volumeMode") != before.get("volumeMode"):
            found.append(causes.invalid("spec.volumeMode", spec.get("volumeMode"), "field is immutable"))
    return found


def _source(found: Found, name: str, spec: Obj, affinity: Obj | None) -> None:
    source, path = spec[name], f"spec.{name}"
    if name == "hostPath":
        host_path(found, path, source)
    elif name == "nfs":
        nfs(found, path, source)
    elif name == "local":
        required(found, f"{path}.path", source.get("path"))
        if affinity is None:
            found.append(causes.required("spec.nodeAffinity", "Local volume requires node affinity"))
    elif name == "csi":
        required(found, f"{path}.driver", source.get("driver"))
        required(found, f"{path}.volumeHandle", source.get("volumeHandle"))


def storage_class(new: Obj, old: Obj | None) -> Found:
    """storage.k8s.io/v1 StorageClass."""
    found: Found = []
    provisioner = new.get("provisioner")
    if required(found, "provisioner", provisioner):
        say(found, "provisioner", provisioner, names.qualified(str(provisioner).lower()))
    for key in new.get("parameters") or {}:
        if not key:
            found.append(causes.invalid("parameters", "", "field can not be empty."))
    one_of(found, "reclaimPolicy", new.get("reclaimPolicy"), ("Delete", "Retain"))
    binding = ("Immediate", "WaitForFirstConsumer")
    if required(found, "volumeBindingMode", new.get("volumeBindingMode")):
        one_of(found, "volumeBindingMode", new["volumeBindingMode"], binding)
    if old is not None:
        for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
            if (new.get(name) or None) == (old.get(name) or None):
                continue
            if name == "volumeBindingMode":
                found.append(causes.invalid(name, new.get(name), "field is immutable"))
            else:
                found.append(causes.forbidden(name, f"updates to {name} are forbidden."))
    return found


def csi_driver(new: Obj, old: Obj | None) -> Found:
    """storage.k8s.io/v1 CSIDriver."""
    found: Found = []
    spec = new["spec"]
    for mode in spec.get("volumeLifecycleModes") or ():
        one_of(found, "spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
    one_of(found, "spec.fsGroupPolicy", spec.get("fsGroupPolicy"), ("File", "None", "ReadWriteOnceWithFSType"))
    if old is not None:
        before = old["spec"]
        for name in ("attachRequired", "volumeLifecycleModes"):
            if spec.get(name) != before.get(name):
                found.append(causes.invalid(f"spec.{name}", spec.get(name), "field is immutable"))
    return found
