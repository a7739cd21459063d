"""`metadata`: what the server fills in, what an update may change of it, and what makes it invalid. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver.failures import FieldErrors
from argosy.engine.apiserver.served import Served
from argosy.errors import Cause
from argosy.meta import names
from argosy.meta.causes import forbidden as not_allowed
from argosy.meta.causes import invalid as wrong
from argosy.meta.causes import required
from argosy.meta.json import Obj
from argosy.meta.kind import Kind

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
_GENERATED_MAX = 63 - SUFFIX_LENGTH
_ANNOTATIONS_MAX = 256 * 1024

ORDER = (
    "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
    "managedFields",
)  # fmt: skip
"""In which Kubernetes writes the fields of metadata."""
_FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_MARKS = ("labels", "annotations")
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_NAME_FORMS: dict[Kind, Callable[[str], list[str]]] = {
    kinds.NAMESPACE: names.label,
    kinds.SERVICE: names.label,
    kinds.STATEFUL_SET: names.label,
    kinds.ROLE: names.path_segment,
    kinds.CLUSTER_ROLE: names.path_segment,
    kinds.ROLE_BINDING: names.path_segment,
    kinds.CLUSTER_ROLE_BINDING: names.path_segment,
}
"""How objects are named whose names are no subdomains."""


def begin(served: Served, obj: Obj, namespace: str, now: datetime, uid: str) -> None:
    """Fill in a new object's metadata. What only the server says is overwritten."""
    meta = obj["metadata"]
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        meta.pop(field, None)
    if served.kind.namespaced:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    meta["uid"] = uid
    meta["creationTimestamp"] = rfc3339(now)


def generated_base(name: str) -> str:
    """The part of `generateName` that leaves room for the suffix."""
    return name[:_GENERATED_MAX]


def carry_over(obj: Obj, old: Obj) -> None:
    """Give an update's metadata what a client need not repeat, and may not change."""
    meta, before = obj["metadata"], old["metadata"]
    meta.pop("selfLink", None)
    if not meta.get("uid"):
        meta["uid"] = before.get("uid")
    meta["creationTimestamp"] = before.get("creationTimestamp")
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if field in before and meta.get(field) is None:
            meta[field] = before[field]
    if meta.get("namespace") is None and before.get("namespace"):
        meta["namespace"] = before["namespace"]


def validate_create(kind: Kind, obj: Obj) -> list[Cause]:
    """What is wrong with a new object's metadata."""
    meta = obj["metadata"]
    found: list[Cause] = []
    if meta.get("generateName"):
        found += [wrong("metadata.generateName", meta["generateName"], why) for why in _prefix_faults(kind, meta)]
    if not meta.get("name"):
        found.append(required("metadata.name", "name or generateName is required"))
    else:
        found += [wrong("metadata.name", meta["name"], why) for why in name_faults(kind, meta["name"])]
    return found + _shared(meta)


def validate_update(obj: Obj, old: Obj) -> list[Cause]:
    """What is wrong with changed metadata."""
    meta, before = obj["metadata"], old["metadata"]
    found: list[Cause] = []
    if before.get("deletionTimestamp"):
        had = before.get("finalizers") or ()
        added = [f for f in meta.get("finalizers") or () if f not in had]
        if added:
            listed = ", ".join(f'"{name}"' for name in added)
            why = (
                "no new finalizers can be added if the object is being deleted, found new finalizers"
                f" []string{{{listed}}}"
            )
            found.append(not_allowed("metadata.finalizers", why))
    found += [
        wrong(f"metadata.{field}", meta.get(field), "field is immutable")
        for field in _FIXED
        if meta.get(field) != before.get(field)
    ]
    if all(meta.get(field) == before.get(field) for field in _MARKS):
        return found + _holds(meta)  # most updates are of a status; what was stored is valid
    # Kubernetes holds changed labels and annotations against their rules twice.
    return [*found, *_marks(meta), *_shared(meta)]


def _marks(meta: Obj) -> list[Cause]:
    return [
        *label_faults(meta.get("labels"), "metadata.labels"),
        *annotation_faults(meta.get("annotations"), "metadata.annotations"),
    ]


def _shared(meta: Obj) -> list[Cause]:
    return _marks(meta) + _holds(meta)


def _holds(meta: Obj) -> list[Cause]:
    return [
        *_owner_faults(meta.get("ownerReferences") or ()),
        *_finalizer_faults(meta.get("finalizers") or ()),
    ]


def name_faults(kind: Kind, name: str) -> list[str]:
    """What is wrong with an object's name."""
    return _NAME_FORMS.get(kind, names.subdomain)(name)


def _prefix_faults(kind: Kind, meta: Obj) -> list[str]:
    prefix = meta["generateName"]
    # As Kubernetes does, a dash at the end takes the sign before it along.
    return name_faults(kind, f"{prefix[:-2]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix)


def label_faults(labels: Any, path: str) -> list[Cause]:
    """What is wrong with labels."""
    found: list[Cause] = []
    for key, value in (labels or {}).items():
        found += [wrong(path, key, why) for why in names.qualified(key)]
        found += [wrong(path, value, why) for why in names.label_value(value or "")]
    return found


def annotation_faults(annotations: Any, path: str) -> list[Cause]:
    """What is wrong with annotations."""
    found: list[Cause] = []
    size = 0
    for key, value in (annotations or {}).items():
        found += [wrong(path, key, why) for why in names.qualified(key.lower())]
        size += len(key.encode()) + len((value or "").encode())
    if size > _ANNOTATIONS_MAX:
        found.append(Cause("FieldValueTooLong", f"Too long: may not be more than {_ANNOTATIONS_MAX} bytes", path))
    return found


def _owner_faults(owners: Sequence[Obj]) -> FieldErrors:
    found: list[Cause] = []
    controllers: list[Obj] = []
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]" if len(owners) > 1 else "metadata.ownerReferences"
        for field, why in (
            ("apiVersion", "version must not be empty"), ("kind", "must not be empty"), ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):  # fmt: skip
            if not owner.get(field):
                found.append(wrong(f"{path}.{field}", owner.get(field, ""), why))
        if owner.get("controller"):
            controllers.append(owner)
    if len(controllers) > 1:
        names = [f"{c.get('apiVersion')}/{c.get('kind')}" for c in controllers[:2]]
        why = f'Only one reference can have Controller set to true. Found "true" in references for {names[0]} and {names[1]}'
        found.append(wrong("metadata.ownerReferences", list(owners), why))
    return found


def _finalizer_faults(finalizers: Sequence[str]) -> FieldErrors:
    found: list[Cause] = []
    for index, name in enumerate(finalizers):
        path = f"metadata.finalizers[{index}]"
        found += [wrong("metadata.finalizers", name, why) for why in names.qualified(name)]
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            found.append(wrong(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        found.append(wrong("metadata.finalizers", list(finalizers), why))
    return found
