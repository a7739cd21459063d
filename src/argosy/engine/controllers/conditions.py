"""`status.conditions` with the second time field that Deployments, Jobs and pods have. Pure.

Over `argosy.meta.conditions`: a condition that says nothing new keeps all its times, so a plan that changes nothing writes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from argosy.clock import rfc3339
from argosy.meta.json import Obj


@dataclass(frozen=True, slots=True)
class Condition:
    """What a condition should say; the times follow from what it said before."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


def with_condition(
    conditions: Iterable[Obj], wanted: Condition, now: datetime, *, stamp: str = "", touch: bool = False
) -> list[Obj]:
    """The list with `wanted` in it. `lastTransitionTime` moves only when the status does.

    `stamp` names a second time field of the kind (`lastUpdateTime` of Deployments, `lastProbeTime` of Jobs and pods), which
    moves on every change, and with `touch` even without one.
    """
    before = list(conditions)
    old = next((c for c in before if c.get("type") == wanted.type), None)
    said: Obj = {"type": wanted.type, "status": wanted.status}
    if wanted.reason:
        said["reason"] = wanted.reason
    if wanted.message:
        said["message"] = wanted.message
    if old is not None and not touch and all(old.get(k) == said.get(k) for k in ("status", "reason", "message")):
        return before
    moved = old is None or old.get("status") != wanted.status
    said["lastTransitionTime"] = rfc3339(now) if old is None or moved else old.get("lastTransitionTime")
    if stamp:
        said[stamp] = rfc3339(now)
    if old is None:
        return [*before, said]
    return [said if c.get("type") == wanted.type else c for c in before]


def find(conditions: Iterable[Obj], type: str) -> Obj | None:
    """The condition of a type."""
    return next((c for c in conditions if c.get("type") == type), None)


def is_true(conditions: Iterable[Obj], type: str) -> bool:
    """Whether the condition is there and True."""
    return (find(conditions, type) or {}).get("status") == "True"


def without(conditions: Sequence[Obj], type: str) -> list[Obj]:
    """The list without a type."""
    return [c for c in conditions if c.get("type") != type]
