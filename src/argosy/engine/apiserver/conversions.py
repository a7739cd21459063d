"""Objects of one version in another: HPA v1, events.k8s.io, and custom kinds, whose versions differ in name only. Pure."""

from __future__ import annotations

from collections.abc import Callable

from argosy import kinds
from argosy.engine.apiserver.served import Served
from argosy.meta.json import Obj
from argosy.meta.kind import Kind

Convert = Callable[[Obj], Obj]

_CPU = "cpu"
_EVENT_FIELDS = (
    ("note", "message"), ("regarding", "involvedObject"), ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"), ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"), ("deprecatedCount", "count"),
)  # fmt: skip
"""(events.k8s.io, core) names of the same field."""


def to_storage(served: Served, obj: Obj) -> Obj:
    """An object of the served version in the stored one; the result may share parts with it."""
    convert = _TO.get(served.kind)
    made = convert(obj) if convert else obj
    return {**made, "kind": served.storage.kind, "apiVersion": served.storage.api_version}


def from_storage(served: Served, obj: Obj) -> Obj:
    """A stored object in the served version; the result may share parts with it."""
    convert = _FROM.get(served.kind)
    made = convert(obj) if convert else obj
    return {**made, "kind": served.kind.kind, "apiVersion": served.kind.api_version}


def _events_to(obj: Obj) -> Obj:
    new_names = dict(_EVENT_FIELDS)
    return {new_names.get(field, field): value for field, value in obj.items()}


def _events_from(obj: Obj) -> Obj:
    new_names = {core: modern for modern, core in _EVENT_FIELDS}
    return {new_names.get(field, field): value for field, value in obj.items()}


def _hpa_to(obj: Obj) -> Obj:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    wanted = spec.pop("targetCPUUtilizationPercentage", None)
    if wanted is not None:
        target = {"type": "Utilization", "averageUtilization": wanted}
        others = [m for m in spec.get("metrics") or () if m.get("resource", {}).get("name") != _CPU]
        spec["metrics"] = [{"type": "Resource", "resource": {"name": _CPU, "target": target}}, *others]
    current = status.pop("currentCPUUtilizationPercentage", None)
    if current is not None:
        measured = {"averageUtilization": current, "averageValue": "0"}
        status["currentMetrics"] = [{"type": "Resource", "resource": {"name": _CPU, "current": measured}}]
    return {**obj, "spec": spec, **({"status": status} if "status" in obj else {})}


def _hpa_from(obj: Obj) -> Obj:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    for metric in spec.pop("metrics", None) or ():
        target = (metric.get("resource") or {}).get("target") or {}
        if (metric.get("resource") or {}).get("name") == _CPU and target.get("averageUtilization") is not None:
            spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
    for metric in status.pop("currentMetrics", None) or ():
        current = (metric.get("resource") or {}).get("current") or {}
        if (metric.get("resource") or {}).get("name") == _CPU and current.get("averageUtilization") is not None:
            status["currentCPUUtilizationPercentage"] = current["averageUtilization"]
    status.pop("conditions", None)
    spec.pop("behavior", None)
    return {**obj, "spec": spec, **({"status": status} if "status" in obj else {})}


_TO: dict[Kind, Convert] = {kinds.EVENTS_V1: _events_to, kinds.HORIZONTAL_POD_AUTOSCALER_V1: _hpa_to}
_FROM: dict[Kind, Convert] = {kinds.EVENTS_V1: _events_from, kinds.HORIZONTAL_POD_AUTOSCALER_V1: _hpa_from}
