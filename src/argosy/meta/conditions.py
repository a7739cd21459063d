"""`status.conditions`, changed without mutation: every controller and operator reports through these."""

from __future__ import annotations

from collections.abc import Iterable
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

    `lastTransitionTime` stays what it was unless the status differs; a new condition goes to the end.
    """
    result: list[Obj] = []
    found = False
    for condition in conditions or ():
        if condition.get("type") != wanted["type"]:
            result.append(condition)
            continue
        found = True
        kept = condition.get("lastTransitionTime") if condition.get("status") == wanted["status"] else None
        result.append({**condition, **wanted, "lastTransitionTime": kept or rfc3339(now)})
    if not found:
        result.append({**wanted, "lastTransitionTime": rfc3339(now)})
    return result


def without_condition(conditions: Iterable[Obj] | None, type: str) -> list[Obj]:
    """The list without the condition of this type."""
    return [condition for condition in conditions or () if condition.get("type") != type]
