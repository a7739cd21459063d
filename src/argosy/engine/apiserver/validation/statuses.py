"""What is wrong with a reported status: numbers that cannot be, as controllers with a mistake report them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from argosy import kinds
from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.rules import certificates, claim_status, cluster, flow, network, services

_PARTS: dict[Kind, tuple[str, ...]] = {
    kinds.DEPLOYMENT: ("updatedReplicas", "readyReplicas", "availableReplicas"),
    kinds.REPLICA_SET: ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    kinds.REPLICATION_CONTROLLER: ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    kinds.STATEFUL_SET: ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
}
"""Numbers that count some of the replicas."""


_RULES: dict[Kind, Callable[[Obj, Obj], list[Cause]]] = {
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
