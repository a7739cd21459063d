"""Claims and volumes: the finalizers that protect them while they are used, the default storage class, growth."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of
from argosy.meta.quantity import parse

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_PROTECTION = {
    kinds.PERSISTENT_VOLUME_CLAIM: "kubernetes.io/pvc-protection",
    kinds.PERSISTENT_VOLUME: "kubernetes.io/pv-protection",
    kinds.VOLUME_ATTRIBUTES_CLASS: "kubernetes.io/vac-protection",
}


def admit(call: Call, obj: Obj) -> None:
    """Complete a new claim or volume."""
    finalizer = _PROTECTION.get(call.served.storage)
    if finalizer is None:
        return
    meta = obj["metadata"]
    if finalizer not in (meta.get("finalizers") or ()):
        meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizer]
    if call.served.storage is kinds.PERSISTENT_VOLUME_CLAIM and obj.get("spec", {}).get("storageClassName") is None:
        name = default_class(call)
        if name:
            obj["spec"]["storageClassName"] = name


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """A claim grows only once it is bound, and only if its class allows it. Raises Forbidden."""
    if old is None or call.served.storage is not kinds.PERSISTENT_VOLUME_CLAIM:
        return
    size, had = (parse(str(dig(each, "spec", "resources", "requests", "storage", default="0"))) for each in (obj, old))
    if size <= had:
        return
    if dig(old, "status", "phase") != "Bound":
        raise forbidden(call.kind, name_of(obj), "Only bound persistent volume claims can be expanded")
    wanted = dig(obj, "spec", "storageClassName")
    classes = call.api.store.list(kinds.STORAGE_CLASS.resource)
    if not any(name_of(r.obj) == wanted and r.obj.get("allowVolumeExpansion") for r in classes):
        message = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize"
        )
        raise forbidden(call.kind, name_of(obj), message)


def default_class(call: Call) -> str:
    """The newest storage class that is marked as default, empty when there is none."""
    found = [
        record.obj["metadata"]
        for record in call.api.store.list(kinds.STORAGE_CLASS.resource)
        if annotations_of(record.obj).get(_DEFAULT) == "true"
    ]
    newest = max(found, key=lambda meta: (meta.get("creationTimestamp") or "", meta["name"]), default=None)
    return newest["name"] if newest else ""
