"""The conditions of a RayService, in KubeRay's words and order. Called by `plan`. Pure."""

from __future__ import annotations

from datetime import datetime

from argosy.clock import parse_time
from argosy.meta.conditions import find_in, is_true_in, with_condition, without_condition
from argosy.meta.json import Obj, dig
from argosy.operators.rayservice.schema import READY, SUSPENDED, SUSPENDING, UPGRADING

ROLLBACK = "RollbackInProgress"
_INITIALIZING, TIMED_OUT = "Initializing", "InitializingTimeout"


def put(status: Obj, type: str, value: str, reason: str, message: str, now: datetime) -> None:
    """Set a condition of a thawed status."""
    wanted = {
        "type": type,
        "status": value,
        "reason": reason,
        "message": message,
        "observedGeneration": status.get("observedGeneration", 0),
    }
    before = find_in(status.get("conditions") or (), type)
    if before is not None and all(before.get(name) == value for name, value in wanted.items() if name[0] != "o"):
        return
    status["conditions"] = with_condition(status.get("conditions"), wanted, now)


def is_true(status: Obj, type: str) -> bool:
    """Whether a condition holds."""
    return is_true_in(status.get("conditions") or (), type)


def has_timed_out(status: Obj) -> bool:
    """Whether it never became ready in the time that it was given: that is for good."""
    ready = find_in(status.get("conditions") or (), READY)
    return ready is not None and ready["status"] == "False" and ready["reason"] == TIMED_OUT


def served(status: Obj, timeout: float | None, now: datetime) -> float | None:
    """Set Ready and UpgradeInProgress from the rest of the status; returns when to look again because of the timeout.

    A service that takes too long loses its clusters.
    """
    if not status.get("conditions"):
        for type in (READY, UPGRADING):
            put(status, type, "False", _INITIALIZING, "RayService is initializing", now)
    again = None
    if status.get("numServeEndpoints"):
        put(status, READY, "True", "NonZeroServeEndpoints", "Number of serve endpoints is greater than 0", now)
    elif is_true(status, READY):
        put(status, READY, "False", "ZeroServeEndpoints", "Number of serve endpoints dropped to 0", now)
    elif timeout is not None:
        again = _time_left(status, timeout, now)
    active, pending = (dig(status, side, "rayClusterName") for side in ("activeServiceStatus", "pendingServiceStatus"))
    if active and pending:
        message = "Both active and pending Ray clusters exist"
        put(status, UPGRADING, "True", "BothActivePendingClustersExist", message, now)
    elif active:
        message = "Active Ray cluster exists and no pending Ray cluster"
        put(status, UPGRADING, "False", "NoPendingCluster", message, now)
    status["serviceStatus"] = "Running" if is_true(status, READY) else ""
    return again


def _time_left(status: Obj, timeout: float, now: datetime) -> float | None:
    ready = find_in(status["conditions"], READY)
    if ready is None or ready["reason"] != _INITIALIZING:
        return None
    left = timeout - (now - parse_time(ready["lastTransitionTime"])).total_seconds()
    if left > 0:
        return left
    for side in ("activeServiceStatus", "pendingServiceStatus"):
        status[side] = {}
    message = f"RayService failed to become ready within the configured timeout of {timeout:g}s"
    put(status, READY, "False", TIMED_OUT, message, now)
    return None


def suspending(status: Obj, now: datetime) -> None:
    """Begin a suspension: from here on it is carried through, whatever the spec says next."""
    message = "Spec.Suspend is true; will delete all Kubernetes resources owned by this RayService."
    put(status, SUSPENDING, "True", "SuspendRequested", message, now)
    _all_false(status, "SuspendInProgress", "RayService is suspending.", now)
    status |= {"activeServiceStatus": {}, "pendingServiceStatus": {}, "numServeEndpoints": 0, "serviceStatus": ""}


def suspended(status: Obj, now: datetime) -> None:
    """Everything is gone."""
    for type, value in ((SUSPENDING, "False"), (SUSPENDED, "True")):
        put(status, type, value, "SuspendComplete", "All owned resources have been deleted.", now)
    _all_false(status, "SuspendComplete", "RayService is suspended.", now)


def resumed(status: Obj, now: datetime) -> None:
    """Begin anew, with all the time that it is given."""
    put(status, SUSPENDED, "False", "RayServiceResumed", "Spec.Suspend is false; RayService has resumed.", now)
    message = "RayService is initializing after resuming from suspend."
    for type in (READY, UPGRADING):
        status["conditions"] = without_condition(status["conditions"], type)
        put(status, type, "False", _INITIALIZING, message, now)


def _all_false(status: Obj, reason: str, message: str, now: datetime) -> None:
    put(status, READY, "False", reason, message, now)
    put(status, UPGRADING, "False", reason, "No upgrade in progress.", now)
    put(status, ROLLBACK, "False", reason, "No rollback in progress.", now)
