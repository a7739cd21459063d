"""Claims and volumes: the finalizers that protect them while they are used, and the default storage class."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.meta.json import Obj
from argosy.meta.objects import annotations_of

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_PROTECTION = {
    kinds.PERSISTENT_VOLUME_CLAIM: "kubernetes.io/pvc-protection",
    kinds.PERSISTENT_VOLUME: "kubernetes.io/pv-protection",
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


def default_class(call: Call) -> str:
    """The newest storage class that is marked as default, empty when there is none."""
    found = [
        record.obj["metadata"]
        for record in call.api.store.list(kinds.STORAGE_CLASS.resource)
        if annotations_of(record.obj).get(_DEFAULT) == "true"
    ]
    newest = max(found, key=lambda meta: (meta.get("creationTimestamp") or "", meta["name"]), default=None)
    return newest["name"] if newest else ""
