"""HorizontalPodAutoscalers, in the version that is stored (v2) and the one that old clients ask for (v1), and Scale."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from argosy.kinds.cells import AGE, UNKNOWN, UNSET, column
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind


def _value(status: Obj, *fields: str) -> Any:
    for field in fields:
        if status.get(field) is not None:
            return f"{status[field]}%" if field == "averageUtilization" else status[field]
    return UNKNOWN


def _metric(spec: Obj, status: Obj) -> str:
    """One metric as `current/target`, resources with their name in front."""
    type = str(spec.get("type", ""))
    field = type[:1].lower() + type[1:]
    target = dig(spec, field, "target", default={})
    current = dig(status, field, "current", default={})
    if type in ("Resource", "ContainerResource"):
        order = ("averageValue",) if target.get("averageValue") is not None else ("averageUtilization",)
        return f"{dig(spec, field, 'name', default='')}: {_value(current, *order)}/{_value(target, *order)}"
    average = target.get("averageValue") is not None
    field = "averageValue" if average else "value"
    suffix = " (avg)" if average and type in ("External", "Object") else ""
    return f"{_value(current, field)}/{_value(target, field)}{suffix}"


def _targets(hpa: Obj, now: datetime) -> str:
    specs = dig(hpa, "spec", "metrics", default=())
    if not specs:
        wanted = dig(hpa, "spec", "targetCPUUtilizationPercentage")
        if wanted is None:
            return "<none>"
        current = dig(hpa, "status", "currentCPUUtilizationPercentage")
        return f"cpu: {UNKNOWN if current is None else f'{current}%'}/{wanted}%"
    statuses = dig(hpa, "status", "currentMetrics", default=())
    shown = [_metric(spec, statuses[i] if i < len(statuses) else {}) for i, spec in enumerate(specs)]
    text = ", ".join(shown[:2])
    return f"{text} + {len(shown) - 2} more..." if len(shown) > 2 else text


def _reference(hpa: Obj, now: datetime) -> str:
    target = dig(hpa, "spec", "scaleTargetRef", default={})
    return f"{target.get('kind', '')}/{target.get('name', '')}"


_COLUMNS = (
    Column("Reference", ".spec.scaleTargetRef", cell=_reference),
    Column("Targets", ".spec.metrics", cell=_targets),
    Column("MinPods", ".spec.minReplicas", cell=lambda o, now: str(dig(o, "spec", "minReplicas", default=UNSET))),
    column("MaxPods", "spec", "maxReplicas", default=0),
    column("Replicas", "status", "currentReplicas", default=0),
    AGE,
)


def _autoscaler(version: str) -> Kind:
    return Kind(
        "autoscaling", version, "HorizontalPodAutoscaler", "horizontalpodautoscalers", short_names=("hpa",),
        categories=("all",), subresources=frozenset({"status"}), columns=_COLUMNS,
    )  # fmt: skip


HORIZONTAL_POD_AUTOSCALER = _autoscaler("v2")
HORIZONTAL_POD_AUTOSCALER_V1 = _autoscaler("v1")

SCALE = Kind("autoscaling", "v1", "Scale", "scales", verbs=())
"""Never stored: what the scale subresources answer with."""

ALL = (HORIZONTAL_POD_AUTOSCALER, HORIZONTAL_POD_AUTOSCALER_V1)
