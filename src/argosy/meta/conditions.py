"""`status.conditions`, changed without mutation: every controller and operator reports through these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from argosy.clock import rfc3339
from argosy.meta.json import Obj, dig


def find(obj: Obj | None, type: str) -> Obj | None:
    """The condition of this type in `obj.status.conditions`, if any."""
    return find_in(dig(obj, "status", "conditions", default=()), type)


def is_true(obj: Obj | None, type: str) -> bool:
    """Whether `obj` has this condition with status True."""
    return is_true_in(dig(obj, "status", "conditions", default=()), type)


def find_in(conditions: Iterable[Obj], type: str) -> Obj | None:
    """The condition of this type in a list of them, if any."""
    return next((condition for condition in conditions if condition.get("type") == type), None)


def is_true_in(conditions: Iterable[Obj], type: str) -> bool:
    """Whether a list of conditions has this one with status True."""
    condition = find_in(conditions, type)
    return condition is not None and condition.get("status") == "True"


def with_condition(conditions: Iterable[Obj] | None, wanted: Obj, now: datetime) -> list[Obj]:
    """The list with `wanted` (type, status, reason, message, …) set in it.

    `lastTransitionTime` stays what it was unless the status differs; a new condition goes to the end. Nothing is left of the
    reason and the message that were there before, whether or not `wanted` has any.
    """
    result: list[Obj] = []
    found = False
    for condition in conditions or ():
        if condition.get("type") != wanted["type"]:
            result.append(condition)
            continue
        found = True
        kept = condition.get("lastTransitionTime") if condition.get("status") == wanted["status"] else None
        others = {name: value for name, value in condition.items() if name not in ("reason", "message")}
        result.append({**others, **wanted, "lastTransitionTime": kept or rfc3339(now)})
    if not found:
        result.append({**wanted, "lastTransitionTime": rfc3339(now)})
    return result


@dataclass(frozen=True, slots=True)
class Condition:
    """What a condition should say; the times follow from what it said before."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


def with_stamped(
    conditions: Iterable[Obj], wanted: Condition, now: datetime, *, stamp: str = "", touch: bool = False
) -> list[Obj]:
    """The same for kinds with a second time field, such as Deployments and Jobs.

    One that says nothing new keeps all its times, so that a plan that changes nothing writes nothing.

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


def without_condition(conditions: Iterable[Obj] | None, type: str) -> list[Obj]:
    """The list without the condition of this type."""
    return [condition for condition in conditions or () if condition.get("type") != type]
