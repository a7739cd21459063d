"""What is wrong with a reported status: numbers that cannot be, as controllers with a mistake report them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from argosy import kinds
from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.json import Obj
from argosy.meta.kind import Kind

_PARTS: dict[Kind, tuple[str, ...]] = {
    kinds.DEPLOYMENT: ("updatedReplicas", "readyReplicas", "availableReplicas"),
    kinds.REPLICA_SET: ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    kinds.REPLICATION_CONTROLLER: ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    kinds.STATEFUL_SET: ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
}
"""Numbers that count some of the replicas."""


def validate(kind: Kind, obj: Obj) -> list[Cause]:
    """What is wrong with the object's status."""
    return list(_numbers(obj.get("status") or {}, _PARTS[kind])) if kind in _PARTS else []


def _numbers(status: Obj, parts: tuple[str, ...]) -> Iterator[Cause]:
    total = status.get("replicas") or 0
    for field in ("replicas", *parts):
        value = status.get(field) or 0
        if value < 0:
            yield causes.invalid(f"status.{field}", value, "must be greater than or equal to 0")
    for field in parts:
        value = status.get(field) or 0
        if value > total:
            yield causes.invalid(f"status.{field}", value, "cannot be greater than status.replicas")
    ready, available = status.get("readyReplicas") or 0, status.get("availableReplicas") or 0
    if available > ready:
        yield causes.invalid("status.availableReplicas", available, "cannot be greater than readyReplicas")
