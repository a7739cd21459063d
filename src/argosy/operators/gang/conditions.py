"""The conditions of `kubeflow.org/v1` jobs, in the order that tools rely on: the last one is the job's state.

A condition that changes moves to the end; Running and Restarting replace each other; a finished job neither runs nor
restarts. Conditions come in as the API's own dicts and leave as a new list.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from argosy.clock import rfc3339
from argosy.meta.conditions import find_in, is_true_in
from argosy.meta.json import Obj

CREATED, RUNNING, RESTARTING = "Created", "Running", "Restarting"
SUSPENDED, SUCCEEDED, FAILED = "Suspended", "Succeeded", "Failed"
WAITING = "Waiting"
"""Our own: there is no room for the job's pods. It goes when there is."""
_REPLACES = {RUNNING: RESTARTING, RESTARTING: RUNNING}


def is_finished(conditions: Sequence[Obj]) -> bool:
    """Whether the job reached its end; nothing leads out of there."""
    return is_true_in(conditions, SUCCEEDED) or is_true_in(conditions, FAILED)


def put(
    conditions: Sequence[Obj], type: str, reason: str, message: str, now: datetime, *, status: str = "True"
) -> list[Obj]:
    """The list with one condition set. Nothing changes when it says the same already, or once the job has failed."""
    current = find_in(conditions, type)
    fresh: Obj = {"type": type, "status": status, "reason": reason, "message": message}
    if is_true_in(conditions, FAILED) or (current is not None and fresh.items() <= current.items()):
        return list(conditions)
    stamp = rfc3339(now)
    same_status = current is not None and current.get("status") == status
    since = (current or {}).get("lastTransitionTime") if same_status else stamp
    fresh |= {"lastUpdateTime": stamp, "lastTransitionTime": since or stamp}
    kept = [c for c in conditions if c.get("type") not in (type, _REPLACES.get(type))]
    if type in (SUCCEEDED, FAILED):
        kept = [_ended(c, stamp) for c in kept]
    return [*kept, fresh]


def without(conditions: Sequence[Obj], type: str) -> list[Obj]:
    """The list without one condition."""
    return [each for each in conditions if each.get("type") != type]


def _ended(condition: Obj, stamp: str) -> Obj:
    if condition.get("type") not in (RUNNING, RESTARTING, WAITING) or condition.get("status") == "False":
        return condition
    return {**condition, "status": "False", "lastUpdateTime": stamp, "lastTransitionTime": stamp}
