"""Setting a condition with the second time field that Deployments, Jobs and pods have. Pure; used by the controllers' plans.

Unlike `argosy.meta.conditions.with_condition`, one that says nothing new keeps all its times, so that a plan that changes
nothing writes nothing, and one that does leaves nothing of the old reason and message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from argosy.clock import rfc3339
from argosy.meta.conditions import find_in
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
    old = find_in(before, wanted.type)
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
