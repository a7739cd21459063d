"""What is wrong with a reported status: numbers that cannot be, as controllers with a mistake report them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from argosy import kinds
from argosy.errors import Cause
from argosy.meta import causes, names, quantity
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.rules import (
    certificates,
    claim_status,
    cluster,
    flow,
    job_status,
    network,
    nodes,
    pod_status,
    services,
)
from argosy.meta.rules.conditions import well_formed
from argosy.meta.rules.fields import Found, amount, non_negative, resource_name, say

_PARTS: dict[Kind, tuple[str, ...]] = {
    kinds.DEPLOYMENT: ("updatedReplicas", "readyReplicas", "availableReplicas"),
    kinds.REPLICA_SET: ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    kinds.REPLICATION_CONTROLLER: ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    kinds.STATEFUL_SET: ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
}
"""Numbers that count some of the replicas."""


def _daemon_set(obj: Obj, old: Obj) -> Found:
    found: Found = []
    now, before = obj.get("status") or {}, old.get("status") or {}
    counts = (
        "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
        "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
    )  # fmt: skip
    non_negative(found, "status", now, *counts)
    return found + _collisions(now, before)


def _collisions(now: Obj, before: Obj) -> Found:
    value, earlier = now.get("collisionCount"), before.get("collisionCount")
    if earlier is None or (value is not None and value >= earlier):
        return []
    return [causes.invalid("status.collisionCount", value or 0, "cannot be decremented")]


def _autoscaler(obj: Obj, old: Obj) -> Found:
    found: Found = []
    non_negative(found, "status", obj.get("status") or {}, "currentReplicas", "desiredReplicas")
    return found


def _disruption_budget(obj: Obj, old: Obj) -> Found:
    found: Found = []
    status = obj.get("status") or {}
    well_formed(found, "status.conditions", status.get("conditions") or ())
    counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    non_negative(found, "status", status, *counts)
    return found


def _namespace(obj: Obj, old: Obj) -> Found:
    phase, leaving = (obj.get("status") or {}).get("phase") or "", bool(obj["metadata"].get("deletionTimestamp"))
    if phase == ("Terminating" if leaving else "Active"):
        return []
    only = (
        "'Terminating' if `deletionTimestamp` is not empty" if leaving else "'Active' if `deletionTimestamp` is empty"
    )
    return [causes.invalid("status.Phase", phase, f"may only be {only}")]


def _claim(obj: Obj, old: Obj) -> Found:
    found: Found = []
    status = obj.get("status") or {}
    for name, size in (status.get("capacity") or {}).items():
        if quantity.parse(size).nanos < 0:
            found.append(causes.invalid(f"status.capacity[{name}]", str(size), "must be a valid resource quantity"))
    for name, state in (status.get("allocatedResourceStatuses") or {}).items():
        _claim_resource(found, "status.allocatedResourceStatuses", name)
        if state not in _RESIZES:
            found.append(causes.unsupported("status.allocatedResourceStatuses", name, _RESIZES))
    for name, size in (status.get("allocatedResources") or {}).items():
        before, path = len(found), f"status.allocatedResources[{name}]"
        _claim_resource(found, "status.allocatedResources", name)
        if len(found) == before and quantity.parse(size).nanos < 0:
            found.append(causes.invalid(path, str(size), "must be a valid resource quantity"))
        elif len(found) == before:
            amount(found, path, "storage", size)
    return found


_RESIZES = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible",
    "NodeResizePending",
)  # fmt: skip


def _claim_resource(found: Found, path: str, name: str) -> None:
    faults = names.qualified(name)
    say(found, path, name, faults)
    if not faults and ("/" not in name or "kubernetes.io/" in name) and name != "storage":
        found.append(causes.unsupported(path, name, ("storage",)))


def _quota(obj: Obj, old: Obj) -> Found:
    found: Found = []
    for field in ("hard", "used"):
        for name, value in ((obj.get("status") or {}).get(field) or {}).items():
            path = f"status.{field}[{name}]"
            resource_name(found, path, name)
            amount(found, path, name, value)
    return found


_RULES: dict[Kind, Callable[[Obj, Obj], list[Cause]]] = {
    kinds.POD: pod_status.status,
    kinds.JOB: job_status.status,
    kinds.DAEMON_SET: _daemon_set,
    kinds.NODE: nodes.node_update,
    kinds.HORIZONTAL_POD_AUTOSCALER: _autoscaler,
    kinds.POD_DISRUPTION_BUDGET: _disruption_budget,
    kinds.NAMESPACE: _namespace,
    kinds.PERSISTENT_VOLUME_CLAIM: _claim,
    kinds.RESOURCE_QUOTA: _quota,
    kinds.SERVICE: services.status,
    kinds.INGRESS: network.ingress_status,
    kinds.CERTIFICATE_SIGNING_REQUEST: certificates.status,
    kinds.API_SERVICE: cluster.api_service_status,
    kinds.FLOW_SCHEMA: flow.status,
    kinds.PRIORITY_LEVEL_CONFIGURATION: flow.status,
    kinds.RESOURCE_CLAIM: claim_status.status,
}


def validate(kind: Kind, obj: Obj, old: Obj) -> list[Cause]:
    """What is wrong with the object's new status."""
    if kind in _RULES:
        return _RULES[kind](obj, old)
    if kind not in _PARTS:
        return []
    now, before = obj.get("status") or {}, old.get("status") or {}
    found = [*_numbers(now, _PARTS[kind]), *_collisions(now, before)]
    non_negative(found, "status", now, "observedGeneration", "collisionCount")
    available = now.get("availableReplicas") or 0
    if available > (now.get("readyReplicas") or 0):
        bound = "status.readyReplicas" if kind is kinds.STATEFUL_SET else "readyReplicas"
        message = f"cannot be greater than {bound}"
        found.append(causes.invalid("status.availableReplicas", available, message))
    return found


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
