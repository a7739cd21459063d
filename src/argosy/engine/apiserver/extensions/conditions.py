"""How an APIService fares, in the words of Kubernetes' aggregator. Pure; `remotes` observes and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from argosy.clock import rfc3339
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig


@dataclass(frozen=True, slots=True)
class Health:
    """The condition `Available`."""

    available: bool
    reason: str
    message: str


LOCAL = Health(True, "Local", "Local APIServices are always available")
PASSED = Health(True, "Passed", "all checks passed")


def reachable(service: Obj | None, slices: Sequence[Obj], namespace: str, name: str, port: int) -> Health | None:
    """What keeps requests from the Service of an APIService; None when nothing does."""
    where = f'service/{name} in "{namespace}"'
    if service is None:
        return Health(False, "ServiceNotFound", f"{where} is not present")
    ports = [p for p in dig(service, "spec", "ports", default=[]) if p.get("port") == port]
    if not ports:
        return Health(False, "ServicePortError", f"{where} is not listening on port {port}")
    if not slices:
        return Health(False, "EndpointsNotFound", f"cannot find endpointslices for {where}")
    called = ports[0].get("name") or ""
    for each in slices:
        if any((p.get("name") or "") == called for p in each.get("ports") or ()) and any(
            dig(e, "conditions", "ready", default=True) for e in each.get("endpoints") or ()
        ):
            return None
    return Health(False, "MissingEndpoints", f'endpointslices for {where} have no addresses with port name "{called}"')


def undiscovered(url: str, why: str) -> Health:
    """A server that does not say what it serves."""
    return Health(False, "FailedDiscoveryCheck", f"failing or missing response from {url}: {why}")


def with_health(service: Obj, health: Health, now: datetime) -> Obj | None:
    """The APIService that says so; None when it does already."""
    said = find(service, "Available")
    status = "True" if health.available else "False"
    if said and (said.get("status"), said.get("reason"), said.get("message")) == (
        status,
        health.reason,
        health.message,
    ):
        return None
    since = said["lastTransitionTime"] if said and said.get("status") == status else rfc3339(now)
    made = {
        "type": "Available", "status": status, "lastTransitionTime": since, "reason": health.reason,
        "message": health.message,
    }  # fmt: skip
    others = [c for c in dig(service, "status", "conditions", default=[]) if c.get("type") != "Available"]
    return {**service, "status": {**(service.get("status") or {}), "conditions": [*others, made]}}
