"""Rules of volumes, claims, storage classes and CSI drivers."""

from __future__ import annotations

import posixpath
from typing import Any

from argosy.meta import causes, internal_form, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.fields import (
    IMMUTABLE,
    Found,
    annotated,
    labels,
    named,
    no_backsteps,
    one_of,
    required,
    say,
    selector,
    unchanged,
)  # fmt: skip
from argosy.meta.rules.scheduling import node_selector
from argosy.meta.rules.volumes import driver_name, host_path, nfs

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_SOURCES = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte", "cephfs",
    "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume",
    "azureDisk", "scaleIO", "local", "storageos", "csi",
)  # fmt: skip
_SPELT = {"cephfs": "cephFS"}
_CLASS_MARK = "volume.beta.kubernetes.io/storage-class"
_CLAIM_UPDATE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def claim(new: Obj, old: Obj | None) -> Found:
    """v1 PersistentVolumeClaim."""
    found: Found = []
    claim_spec(found, "spec", new["spec"])
    if old is not None:
        _claim_update(found, new, old)
    return found


def _claim_update(found: Found, new: Obj, old: Obj) -> None:
    spec, before, status = new["spec"], old["spec"], old.get("status") or {}
    changed = dict(spec)
    if status.get("phase") == "Bound":
        size = _size(before)
        requests = {**((spec.get("resources") or {}).get("requests") or {}), **({"storage": size} if size else {})}
        if (spec.get("resources") or {}).get("requests") is not None:
            changed["resources"] = {**spec["resources"], "requests": requests}
        changed["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
    if before.get("storageClassName") is None and not (old["metadata"].get("annotations") or {}).get(_CLASS_MARK):
        changed["storageClassName"] = before.get("storageClassName")
    free = () if before.get("volumeName") else ("volumeName",)
    if _without(changed, free) != _without(before, free):
        held = before if not free else {**before, "volumeName": spec.get("volumeName")}
        shown = internal_form.diff("core.PersistentVolumeClaimSpec", held, changed)
        found.append(causes.forbidden("spec", f"{_CLAIM_UPDATE}\n{shown}"))
    size, had = _size(spec), _size(before)
    if quantity.compare(size or "0", had or "0") < 0:
        least = (status.get("capacity") or {}).get("storage") or "0"
        if quantity.compare(size or "0", least) <= 0:
            message = "field can not be less than status.capacity"
            found.append(causes.forbidden("spec.resources.requests.storage", message))
    unchanged(found, "volumeMode", spec.get("volumeMode"), before.get("volumeMode"))
    wanted = spec.get("volumeAttributesClassName")
    lost = not wanted and wanted != before.get("volumeAttributesClassName")
    if lost and status.get("currentVolumeAttributesClassName") is not None:
        what = "nil" if wanted is None else "empty string"
        message = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
        found.append(causes.forbidden("spec.volumeAttributesClassName", message))


def _size(spec: Obj) -> str | None:
    size: str | None = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return size


def _without(spec: Obj, fields: tuple[str, ...]) -> Obj:
    return {name: value for name, value in spec.items() if name not in fields and value not in (None, [], {})}


def claim_template(found: Found, path: str, template: Obj) -> None:
    """The claim that is made for one pod."""
    meta = template.get("metadata") or {}
    labels(found, f"{path}.metadata.labels", meta.get("labels"))
    annotated(found, f"{path}.metadata.annotations", meta.get("annotations"))
    for field in ("name", "namespace"):
        if meta.get(field):
            message = "cannot be set for an ephemeral volume claim"
            found.append(causes.forbidden(f"{path}.metadata.{field}", message))
    claim_spec(found, f"{path}.spec", template.get("spec") or {})


def _access_modes(found: Found, path: str, modes: list[str]) -> None:
    for mode in modes:
        one_of(found, path, mode, _MODES)
    if "ReadWriteOncePod" in modes and any(mode in _MODES and mode != "ReadWriteOncePod" for mode in modes):
        found.append(causes.forbidden(path, "may not use ReadWriteOncePod with other access modes"))


def claim_spec(found: Found, path: str, spec: Obj) -> None:
    """A PersistentVolumeClaimSpec."""
    modes = spec.get("accessModes") or []
    if not modes:
        found.append(causes.required(f"{path}.accessModes", "at least 1 access mode is required"))
    selector(found, f"{path}.selector", spec.get("selector"))
    _access_modes(found, f"{path}.accessModes", modes)
    size = _size(spec)
    if size is None:
        found.append(causes.required(f"{path}.resources[storage]"))
    elif quantity.parse(size).nanos <= 0:
        found.append(causes.invalid(f"{path}.resources[storage]", size, "must be greater than zero"))
    for field in ("storageClassName", "volumeAttributesClassName"):
        if spec.get(field):
            say(found, f"{path}.{field}", spec[field], names.subdomain(spec[field]))
    one_of(found, f"{path}.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    for field, value in (("dataSource", source), ("dataSourceRef", reference)):
        if value is not None:
            _data_source(found, f"{path}.{field}", value)
    if source is None or reference is None:
        return
    if reference.get("namespace"):
        message = "may not be specified when dataSourceRef.namespace is specified"
        found.append(causes.invalid(path, {}, message))
    elif any(source.get(key) != reference.get(key) for key in ("apiGroup", "kind", "name")):
        found.append(causes.invalid(path, {}, "must match dataSourceRef"))


def _data_source(found: Found, path: str, source: Obj) -> None:
    for field in ("name", "kind"):
        required(found, f"{path}.{field}", source.get(field))
    group, kind = source.get("apiGroup") or "", source.get("kind") or ""
    if not group and kind != "PersistentVolumeClaim":
        message = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        found.append(causes.invalid(path, kind, message))
    if group:
        say(found, f"{path}.apiGroup", group, names.subdomain(group))
    if source.get("namespace"):
        say(found, f"{path}.namespace", source["namespace"], names.label(source["namespace"]))


def volume(new: Obj, old: Obj | None) -> Found:
    """v1 PersistentVolume."""
    found: Found = []
    _volume(found, "spec", new["spec"])
    if old is not None:
        _volume(found, "spec", new["spec"])  # as Kubernetes does, which then says twice what is wrong
        _volume_update(found, new["spec"], old["spec"])
    return found


def _volume(found: Found, path: str, spec: Obj) -> None:
    _volume_basics(found, path, spec)
    affinity, place = spec.get("nodeAffinity"), f"{path}.nodeAffinity.required"
    if affinity is not None and required(
        found, place, affinity.get("required") or None, "must specify required node constraints"
    ):
        node_selector(found, place, affinity["required"])
    _one_source(found, path, spec)
    where, policy = (spec.get("hostPath") or {}).get("path"), spec.get("persistentVolumeReclaimPolicy")
    if where and posixpath.normpath(where) == "/" and policy == "Recycle":
        message = "may not be 'recycle' for a hostPath mount of '/'"
        found.append(causes.forbidden(f"{path}.persistentVolumeReclaimPolicy", message))
    if spec.get("storageClassName"):
        say(found, f"{path}.storageClassName", spec["storageClassName"], names.subdomain(spec["storageClassName"]))
    one_of(found, f"{path}.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))
    attributes = spec.get("volumeAttributesClassName")
    if attributes is not None:
        place = f"{path}.volumeAttributesClassName"
        if required(found, place, attributes, "an empty string is disallowed"):
            say(found, place, attributes, names.subdomain(attributes))
        if spec.get("csi") is None:
            found.append(causes.required(f"{path}.csi", "has to be specified when using volumeAttributesClassName"))


def inline_volume(found: Found, path: str, spec: Obj) -> None:
    """A PersistentVolumeSpec that stands in a VolumeAttachment instead of a volume."""
    what = "in the context of inline volumes"
    for field in ("claimRef", "capacity", "nodeAffinity", "storageClassName", "volumeAttributesClassName"):
        if spec.get(field) or (field in ("claimRef", "nodeAffinity") and spec.get(field) is not None):
            found.append(causes.forbidden(f"{path}.{field}", f"may not be specified {what}"))
    if spec.get("csi") is None:
        found.append(causes.required(f"{path}.csi", f"has to be specified {what}"))
    required(found, f"{path}.accessModes", spec.get("accessModes"))
    _access_modes(found, f"{path}.accessModes", spec.get("accessModes") or [])
    if spec.get("persistentVolumeReclaimPolicy") not in (None, "", "Retain"):
        found.append(causes.forbidden(f"{path}.persistentVolumeReclaimPolicy", f"may only be Retain {what}"))
    if spec.get("volumeMode") not in (None, "Filesystem"):
        message = f"may not specify volumeMode other than Filesystem {what}"
        found.append(causes.forbidden(f"{path}.volumeMode", message))
    _one_source(found, path, spec)


def _one_source(found: Found, path: str, spec: Obj) -> None:
    given = [name for name in _SOURCES if spec.get(name) is not None]
    found.extend(
        causes.forbidden(f"{path}.{_SPELT.get(name, name)}", "may not specify more than 1 volume type")
        for name in given[1:]
        if name != "flexVolume"
    )
    if given:
        _source(found, given[0], path, spec)
    else:
        found.append(causes.required(path, "must specify a volume type"))


def _volume_basics(found: Found, path: str, spec: Obj) -> None:
    modes, capacity = spec.get("accessModes") or [], spec.get("capacity") or {}
    required(found, f"{path}.accessModes", modes)
    _access_modes(found, f"{path}.accessModes", modes)
    required(found, f"{path}.capacity", capacity)
    if set(capacity) != {"storage"}:
        found.append(causes.unsupported(f"{path}.capacity", spec.get("capacity"), ("storage",)))
    for name, size in capacity.items():
        if quantity.parse(size).nanos < 0:
            found.append(causes.invalid(f"{path}.capacity[{name}]", str(size), "must be a valid resource quantity"))
        if quantity.parse(size).nanos <= 0:
            found.append(causes.invalid(f"{path}.capacity[{name}]", str(size), "must be greater than zero"))
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy:
        one_of(found, f"{path}.persistentVolumeReclaimPolicy", policy, ("Delete", "Recycle", "Retain"))


def _volume_update(found: Found, spec: Obj, before: Obj) -> None:
    new, old = ({name: each[name] for name in _SOURCES if each.get(name) is not None} for each in (spec, before))
    expand = "controllerExpandSecretRef"
    if "csi" in new and expand not in old.get("csi", {expand: 0}):
        new["csi"] = {key: value for key, value in new["csi"].items() if key != expand}
    if new != old:
        shown = internal_form.diff("core.PersistentVolumeSource", old, new)
        message = f"spec.persistentvolumesource is immutable after creation\n{shown}"
        found.append(causes.forbidden("spec.persistentvolumesource", message))
    unchanged(found, "volumeMode", spec.get("volumeMode"), before.get("volumeMode"))
    affinity = before.get("nodeAffinity")
    if affinity is not None and not _same_places(spec.get("nodeAffinity"), affinity):
        message = "field is immutable, except for updating from beta label to GA"
        found.append(
            causes.invalid(
                "nodeAffinity", internal_form.form("core.VolumeNodeAffinity", spec.get("nodeAffinity")), message
            )
        )
    if before.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        message = "update from non-nil value to nil is forbidden"
        found.append(causes.forbidden("spec.volumeAttributesClassName", message))


_GENERAL = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _same_places(new: Any, old: Any) -> bool:
    """Whether two affinities are alike, a label's general name in place of its beta name aside."""
    if isinstance(new, dict) and isinstance(old, dict):
        if "key" in old and _GENERAL.get(old["key"], "") == new.get("key", ""):
            new = {**new, "key": old["key"]}
        return new.keys() == old.keys() and all(_same_places(new[key], old[key]) for key in old)
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(map(_same_places, new, old))
    return bool(new == old)


def _source(found: Found, name: str, outer: str, spec: Obj) -> None:
    source, path = spec[name], f"{outer}.{name}"
    if name == "hostPath":
        host_path(found, path, source)
    elif name == "nfs":
        nfs(found, path, source)
    elif name == "local":
        if required(found, f"{path}.path", source.get("path")):
            no_backsteps(found, f"{path}.path", source["path"])
        if spec.get("nodeAffinity") is None:
            found.append(causes.required(f"{outer}.nodeAffinity", "Local volume requires node affinity"))
    elif name == "csi":
        driver_name(found, f"{path}.driver", source.get("driver") or "")
        required(found, f"{path}.volumeHandle", source.get("volumeHandle"))
        for field in ("controllerPublish", "controllerExpand", "nodePublish", "nodeExpand"):
            reference, place = source.get(f"{field}SecretRef"), f"{path}.{field}SecretRef"
            if reference is not None:
                named(found, f"{place}.name", reference.get("name"), names.subdomain)
                named(found, f"{place}.namespace", reference.get("namespace"))


def storage_class(new: Obj, old: Obj | None) -> Found:
    """storage.k8s.io/v1 StorageClass."""
    found: Found = []
    provisioner = new.get("provisioner")
    if required(found, "provisioner", provisioner):
        say(found, "provisioner", str(provisioner).lower(), names.qualified(str(provisioner).lower()))
    for key in new.get("parameters") or {}:
        if not key:
            found.append(causes.invalid("parameters", "", "field can not be empty."))
    one_of(found, "reclaimPolicy", new.get("reclaimPolicy") or None, ("Delete", "Retain"))
    if new.get("volumeBindingMode") is None:
        found.append(causes.required("volumeBindingMode"))
    one_of(found, "volumeBindingMode", new.get("volumeBindingMode"), ("Immediate", "WaitForFirstConsumer"))
    _topologies(found, new.get("allowedTopologies") or [])
    if old is not None:
        for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
            if (new.get(name) or None) == (old.get(name) or None):
                continue
            found.append(causes.invalid(name, new.get(name) or (None if name == "parameters" else ""), IMMUTABLE))
    return found


def _topologies(found: Found, terms: list[Obj]) -> None:
    # The real server begins with one empty term for each that there is, so one that says nothing repeats all of these.
    seen: list[dict[str, list[str]]] = [{} for _ in terms]
    for index, term in enumerate(terms):
        place = f"allowedTopologies[{index}].matchLabelExpressions"
        wanted: dict[str, list[str]] = {}
        for number, each in enumerate(term.get("matchLabelExpressions") or ()):
            key, values, where = each.get("key") or "", each.get("values") or [], f"{place}[{number}]"
            required(found, f"{where}.values", values)
            for place_of, value in enumerate(values):
                if value in values[:place_of]:
                    found.append(causes.duplicate(f"{where}.values[{place_of}]", value))
            say(found, f"{where}.key", key, names.qualified(key))
            if key in wanted:
                found.append(causes.duplicate(f"{where}.key", key))
            wanted[key] = sorted(values)
        found.extend(causes.duplicate(place, "") for each in seen if each == wanted)
        seen.append(wanted)


_MINUTES, _SHORTEST_PERIOD = 600, 10


def csi_driver(new: Obj, old: Obj | None) -> Found:
    """storage.k8s.io/v1 CSIDriver."""
    found: Found = []
    spec = new["spec"]
    for mode in spec.get("volumeLifecycleModes") or ():
        one_of(found, "spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
    seen: set[str] = set()
    for index, request in enumerate(spec.get("tokenRequests") or ()):
        place, seconds = f"spec.tokenRequests[{index}]", request.get("expirationSeconds")
        audience = request.get("audience") or ""
        if audience in seen:
            found.append(causes.duplicate(f"{place}.audience", audience))
        seen.add(audience)
        if seconds is not None and seconds < _MINUTES:
            message = "may not specify a duration less than 10 minutes"
            found.append(causes.invalid(f"{place}.expirationSeconds", seconds, message))
        elif seconds is not None and seconds > 2**32:
            message = "may not specify a duration larger than 2^32 seconds"
            found.append(causes.invalid(f"{place}.expirationSeconds", seconds, message))
    seconds, tokens = spec.get("nodeAllocatableUpdatePeriodSeconds"), spec.get("serviceAccountTokenInSecrets")
    if seconds is not None and seconds < _SHORTEST_PERIOD:
        message = f"must be greater than or equal to {_SHORTEST_PERIOD} seconds"
        found.append(causes.invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds, message))
    if tokens is not None and not spec.get("tokenRequests"):
        message = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        found.append(causes.invalid("spec.serviceAccountTokenInSecrets", tokens, message))
    one_of(found, "spec.fsGroupPolicy", spec.get("fsGroupPolicy"), ("File", "None", "ReadWriteOnceWithFSType"))
    if old is not None:
        before = old["spec"]
        for name in ("attachRequired", "volumeLifecycleModes"):
            if spec.get(name) != before.get(name):
                found.append(causes.invalid(f"spec.{name}", spec.get(name), "field is immutable"))
    return found
