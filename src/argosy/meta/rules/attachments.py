"""Rules of the kinds by which CSI drivers, nodes and the scheduler speak of storage, and of classes of attributes."""

from __future__ import annotations

from argosy.meta import causes, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, named, required, say, selector, unchanged
from argosy.meta.rules.storage import inline_volume
from argosy.meta.rules.volumes import driver_name

_NODE_ID_MAX = 256


def csi_node(new: Obj, old: Obj | None) -> Found:
    """storage.k8s.io/v1 CSINode."""
    found: Found = []
    seen: set[str] = set()
    for index, driver in enumerate((new.get("spec") or {}).get("drivers") or ()):
        place, name = f"spec.drivers[{index}]", driver.get("name") or ""
        driver_name(found, f"{place}.name", name)
        node = driver.get("nodeID") or ""
        required(found, f"{place}.nodeID", node)
        if len(node) > _NODE_ID_MAX:
            found.append(causes.invalid(f"{place}.nodeID", node, f"must be {_NODE_ID_MAX} characters or less"))
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            found.append(causes.invalid(f"{place}.allocatable.count", count, "must be greater than or equal to 0"))
        if name in seen:
            found.append(causes.duplicate(f"{place}.name", name))
        seen.add(name)
        keys = driver.get("topologyKeys") or []
        for number, key in enumerate(keys):
            required(found, place, key)
            if key in keys[:number]:
                found.append(causes.duplicate(place, key))
            say(found, place, key, names.qualified(key))
    return found


def volume_attachment(new: Obj, old: Obj | None) -> Found:
    """storage.k8s.io/v1 VolumeAttachment."""
    found: Found = []
    spec = new["spec"]
    driver_name(found, "spec.attacher", spec.get("attacher") or "")
    source, path = spec.get("source") or {}, "spec.source"
    inline, volume = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is None and volume is None:
        found.append(causes.required(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
    elif inline is not None and volume is not None:
        message = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        found.append(causes.forbidden(path, message))
    elif volume is not None:
        required(found, f"{path}.persistentVolumeName", volume, "must specify non empty persistentVolumeName")
        say(found, f"{path}.persistentVolumeName", volume, names.subdomain(volume))
    else:
        inline_volume(found, f"{path}.inlineVolumeSpec", inline or {})
    node = spec.get("nodeName") or ""
    say(found, "spec.nodeName", node, names.subdomain(node))
    if old is not None:
        unchanged(found, "spec", spec, old["spec"])
    return found


def storage_capacity(new: Obj, old: Obj | None) -> Found:
    """storage.k8s.io/v1 CSIStorageCapacity."""
    found: Found = []
    selector(found, "nodeTopology", new.get("nodeTopology"))
    name = new.get("storageClassName") or ""
    say(found, "storageClassName", name, names.subdomain(name))
    for field in ("capacity", "maximumVolumeSize"):
        if new.get(field) is not None and quantity.parse(new[field]).nanos < 0:
            found.append(causes.invalid(field, str(new[field]), "must be greater than or equal to 0"))
    if old is not None:
        for field in ("nodeTopology", "storageClassName"):
            unchanged(found, field, new.get(field), old.get(field))
    return found


def attributes_class(new: Obj, old: Obj | None) -> Found:
    """storage.k8s.io/v1 VolumeAttributesClass."""
    found: Found = []
    driver = (new.get("driverName") or "").lower()
    named(found, "driverName", driver, names.qualified)
    if not new.get("parameters"):
        found.append(causes.required("parameters", "must contain at least one key/value pair"))
    for key in new.get("parameters") or ():
        if not key:
            found.append(causes.invalid("parameters", "", "field can not be empty."))
    if old is not None:
        for field in ("driverName", "parameters"):
            if new.get(field) != old.get(field):
                found.append(causes.forbidden(field, f"updates to {field} are forbidden."))
    return found
