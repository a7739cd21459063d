"""What a Deployment's status says: counts, and the conditions Available and Progressing with Kubernetes' reasons. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from argosy.engine.controllers.pods import moment, resolve_int_or_percent
from argosy.meta.conditions import Condition, find_in, with_stamped, without_condition
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of

_NEVER = 2**31 - 1
_STAMP = "lastUpdateTime"


class Outcome(NamedTuple):
    """A status, and when a deadline may change it by itself."""

    status: Obj
    wait_seconds: float | None


def status_of(
    deployment: Obj, sets: Sequence[Obj], current: Obj | None, note: Condition | None, now: datetime
) -> Outcome:
    """The whole status. `note` is a Progressing condition that this very plan gives rise to (a set made, a pause)."""
    replicas = int(deployment["spec"].get("replicas", 1))
    status = _counts(deployment, sets, current)
    if dig(deployment, "status", "collisionCount"):
        status["collisionCount"] = deployment["status"]["collisionCount"]
    conditions = list(dig(deployment, "status", "conditions", default=[]))
    conditions = with_stamped(
        conditions,
        _available(status.get("availableReplicas", 0), replicas - unavailable(deployment)),
        now,
        stamp=_STAMP,
    )
    conditions, wait = _progressing(deployment, status, conditions, current, note, now)
    status["conditions"] = conditions
    return Outcome(status, wait)


def unavailable(deployment: Obj) -> int:
    """`maxUnavailable` in pods."""
    return limits(deployment)[1]


def limits(deployment: Obj) -> tuple[int, int]:
    """(`maxSurge`, `maxUnavailable`) in pods; never both zero, and no surge for Recreate."""
    spec = deployment["spec"]
    strategy = spec.get("strategy") or {}
    replicas = int(spec.get("replicas", 1))
    if strategy.get("type") == "Recreate" or not replicas:
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve_int_or_percent(rolling.get("maxSurge"), replicas, round_up=True, default="25%")
    down = resolve_int_or_percent(rolling.get("maxUnavailable"), replicas, round_up=False, default="25%")
    if not surge and not down:
        down = 1
    return surge, min(down, replicas)


def _counts(deployment: Obj, sets: Sequence[Obj], current: Obj | None) -> Obj:
    def total(field: str) -> int:
        return sum(int(dig(s, "status", field, default=0)) for s in sets)

    asked = sum(int(s["spec"].get("replicas", 1)) for s in sets)
    available = total("availableReplicas")
    counts = {
        "replicas": total("replicas"),
        "updatedReplicas": int(dig(current, "status", "replicas", default=0)),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, asked - available),
        "terminatingReplicas": total("terminatingReplicas"),
    }
    status: Obj = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    return status | {name: count for name, count in counts.items() if count}


def _available(available: int, floor: int) -> Condition:
    if available >= floor:
        return Condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    return Condition(
        "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    )


def _progressing(
    deployment: Obj, status: Obj, conditions: list[Obj], current: Obj | None, note: Condition | None, now: datetime
) -> tuple[list[Obj], float | None]:
    deadline = int(deployment["spec"].get("progressDeadlineSeconds", 600))
    if deadline >= _NEVER:
        return without_condition(conditions, "Progressing"), None
    if note is not None:
        return with_stamped(conditions, note, now, stamp=_STAMP), deadline
    old = find_in(conditions, "Progressing")
    if current is None or deployment["spec"].get("paused"):
        return conditions, None
    subject = f'ReplicaSet "{name_of(current)}"'
    if _complete(deployment, status):
        done = Condition("Progressing", "True", "NewReplicaSetAvailable", f"{subject} has successfully progressed.")
        return with_stamped(conditions, done, now, stamp=_STAMP), None
    if old is not None and old.get("reason") == "NewReplicaSetAvailable" and _settled(status):
        return conditions, None  # a pod of a finished rollout that fails later is no rollout
    if old is None or _moved(deployment, status):
        going = Condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.")
        return with_stamped(conditions, going, now, stamp=_STAMP, touch=True), deadline
    if old.get("reason") in {"ProgressDeadlineExceeded", "NewReplicaSetAvailable"}:
        return conditions, None
    since = moment(old.get(_STAMP)) or now
    left = (since + timedelta(seconds=deadline) - now).total_seconds()
    if left > 0:
        return conditions, left
    late = Condition("Progressing", "False", "ProgressDeadlineExceeded", f"{subject} has timed out progressing.")
    return with_stamped(conditions, late, now, stamp=_STAMP), None


def _settled(status: Obj) -> bool:
    return bool(status.get("replicas", 0) == status.get("updatedReplicas", 0))


def _complete(deployment: Obj, status: Obj) -> bool:
    replicas = int(deployment["spec"].get("replicas", 1))
    return bool(
        status.get("updatedReplicas", 0) == replicas
        and status.get("replicas", 0) == replicas
        and status.get("availableReplicas", 0) == replicas
    )


def _moved(deployment: Obj, status: Obj) -> bool:
    before = deployment.get("status") or {}

    def old_pods(of: Obj) -> int:
        return int(of.get("replicas", 0)) - int(of.get("updatedReplicas", 0))

    return bool(
        status.get("updatedReplicas", 0) > before.get("updatedReplicas", 0)
        or old_pods(status) < old_pods(before)
        or status.get("readyReplicas", 0) > before.get("readyReplicas", 0)
        or status.get("availableReplicas", 0) > before.get("availableReplicas", 0)
    )
