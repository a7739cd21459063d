"""Reading the metadata that every object has, and making the references between objects."""

from __future__ import annotations

from typing import NamedTuple

from argosy.meta.conditions import is_true
from argosy.meta.json import Obj
from argosy.meta.kind import Kind


class Key(NamedTuple):
    """An object's place within its kind; `namespace` is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Obj) -> Key:
    """The key of any object."""
    meta = obj["metadata"]
    return Key(meta.get("namespace") or "", meta["name"])


def name_of(obj: Obj) -> str:
    """`metadata.name`."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Obj) -> str:
    """`metadata.namespace`, empty when cluster-scoped."""
    return str(obj["metadata"].get("namespace") or "")


def uid_of(obj: Obj) -> str:
    """`metadata.uid`, empty before the server has given one."""
    return str(obj["metadata"].get("uid") or "")


def version_of(obj: Obj) -> str:
    """`metadata.resourceVersion`, empty before the server has given one."""
    return str(obj["metadata"].get("resourceVersion") or "")


def created_of(obj: Obj) -> str:
    """`metadata.creationTimestamp`, empty before the server has given one; sorts by age as it is."""
    return str(obj["metadata"].get("creationTimestamp") or "")


def labels_of(obj: Obj) -> dict[str, str]:
    """`metadata.labels`, never None."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    """`metadata.annotations`, never None."""
    return obj["metadata"].get("annotations") or {}


def is_deleting(obj: Obj) -> bool:
    """Whether the server has accepted a delete that finalizers or a grace period hold up."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference with `controller: true`, if any."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return None


def is_controlled_by(obj: Obj, owner: Obj) -> bool:
    """Whether `owner`'s uid is the controlling reference of `obj`."""
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid_of(owner)


def owner_reference(owner: Obj, kind: Kind) -> Obj:
    """The controlling reference that a child of `owner` carries."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def object_reference(obj: Obj, kind: Kind) -> Obj:
    """What an Event's `involvedObject` holds."""
    reference = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": name_of(obj),
        "uid": uid_of(obj),
        "resourceVersion": version_of(obj),
    }
    if namespace_of(obj):
        reference["namespace"] = namespace_of(obj)
    return reference


def pod_is_ready(pod: Obj) -> bool:
    """Whether the pod's Ready condition is True."""
    return is_true(pod, "Ready")
