"""From pods and their measured use to the replicas that each metric of an autoscaler asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from argosy.engine.controllers.autoscaler.algebra import (
    Recommendation,
    Usage,
    by_average,
    by_share,
    by_total,
    by_utilization,
)
from argosy.engine.controllers.autoscaler.behavior import amount, tolerance
from argosy.engine.controllers.pods import is_finished
from argosy.meta.json import Obj, dig
from argosy.meta.objects import is_deleting, name_of, pod_is_ready
from argosy.meta.selectors import from_object

SERVED = {"Pods": "pods", "Object": "object", "External": "external"}
"""Sorts of metrics that an adapter serves, and the field that describes each."""


def essence(pods: Iterable[Obj]) -> list[Obj]:
    """What matters of the pods: name, readiness, requests by container."""
    return [
        {
            "name": name_of(pod),
            "ready": pod_is_ready(pod),
            "requests": {
                str(c["name"]): dict(dig(c, "resources", "requests", default={}))
                for c in pod["spec"].get("containers") or ()
            },
        }
        for pod in pods
        if not is_finished(pod) and not is_deleting(pod)
    ]


def recommend(autoscaler: Obj, found: Mapping[str, Any], replicas: int) -> Obj:
    """`replicas` (the largest that any metric asks for) and `by` (which), or `error` and `reason`.

    Both with `current` (status.currentMetrics).
    """
    answers: list[int] = []
    names: list[str] = []
    current: list[Obj] = []
    failure: Obj = {}
    for number, metric in enumerate(autoscaler["spec"].get("metrics") or ()):
        try:
            if metric.get("type") in SERVED:
                served = dig(found, "served", str(number), default={})
                recommendation, seen = _of_service(autoscaler, metric, served, found, replicas)
            else:
                recommendation, seen = _one(autoscaler, metric, found, replicas)
        except ValueError as error:
            failure = failure or {"reason": _failure_reason(metric), "error": str(error)}
            continue
        answers.append(recommendation.replicas)
        names.append(name_for_people(metric))
        current.append(seen)
    if not answers or (failure and max(answers) < replicas):
        return {**failure, "current": current}  # with a metric missing nobody is scaled down
    largest = max(answers)
    return {"replicas": largest, "by": names[answers.index(largest)], "current": current}


def name_for_people(metric: Obj) -> str:
    """What conditions and events call a metric."""
    type = str(metric["type"])
    if type in ("Resource", "ContainerResource"):
        source = metric["resource" if type == "Resource" else "containerResource"]
        sort = "resource" if type == "Resource" else "container resource"
        share = " utilization (percentage of request)" if source["target"].get("type") == "Utilization" else ""
        return f"{source['name']} {sort}{share}"
    source = metric[SERVED[type]]
    name = str(source["metric"]["name"])
    if type == "Object":
        return f"{source['describedObject']['kind']} metric {name}"
    if type == "Pods":
        return f"pods metric {name}"
    selector = source["metric"].get("selector")
    return f"external metric {name}({from_object(selector) if selector else ''})"


def _one(autoscaler: Obj, metric: Obj, found: Mapping[str, Any], replicas: int) -> tuple[Recommendation, Obj]:
    type = str(metric.get("type"))
    field = {"Resource": "resource", "ContainerResource": "containerResource"}.get(type)
    if field is None:
        raise ValueError(
            f"there are no metrics of type {type}; use Resource, ContainerResource, Pods, Object or External"
        )
    if found.get("error"):
        raise ValueError(found["error"])
    source = metric[field]
    name = str(source["name"])
    container = str(source.get("container") or "")
    usage = _usage(found.get("pods") or (), found.get("use") or (), name, container)
    target = source["target"]
    margin = tolerance(autoscaler, _direction(_rises(usage, target)))
    current: Obj = {}
    if target.get("type") == "Utilization":
        answer = by_utilization(usage, replicas, float(target["averageUtilization"]), margin)
        current["averageUtilization"] = min(int(answer.value), 2**31 - 1)
    else:
        answer = by_average(usage, replicas, amount(target.get("averageValue")), margin)
    used = list(usage.used.values())
    current["averageValue"] = quantity(sum(used) / len(used)) if used else "0"
    seen: Obj = {"name": name, "current": current}
    if container:
        seen["container"] = container
    return answer, {"type": type, field: seen}


def _of_service(
    autoscaler: Obj, metric: Obj, served: Obj, found: Mapping[str, Any], replicas: int
) -> tuple[Recommendation, Obj]:
    """A metric of pods, of another object, or of the world outside, as an adapter has told it."""
    if served.get("error"):
        raise ValueError(served["error"])
    values: Mapping[str, float] = served.get("values") or {}
    if not values:
        raise ValueError("no values of the metric are known")
    type = str(metric["type"])
    field = SERVED[type]
    target = metric[field]["target"]
    pods = found.get("pods") or ()
    ready = sum(bool(pod["ready"]) for pod in pods)
    total = sum(values.values())
    current: Obj = {}
    if type == "Pods":
        wanted = amount(target.get("averageValue"))
        usage = Usage(
            {pod["name"]: values[pod["name"]] for pod in pods if pod["name"] in values},
            {pod["name"]: wanted for pod in pods},
            frozenset(pod["name"] for pod in pods if not pod["ready"]),
        )
        rises = sum(usage.used.values()) > wanted * len(usage.used)
        answer = by_average(usage, replicas, wanted, tolerance(autoscaler, _direction(rises)))
        current["averageValue"] = quantity(answer.value)
    elif target.get("type") == "Value":
        wanted = amount(target.get("value"))
        answer = by_total(total, wanted, replicas, ready, tolerance(autoscaler, _direction(total > wanted)))
        current["value"] = quantity(answer.value)
    else:
        wanted = amount(target.get("averageValue"))
        answer = by_share(total, wanted, replicas, tolerance(autoscaler, _direction(total > wanted * replicas)))
        current["averageValue"] = quantity(answer.value)
    seen: Obj = {"metric": metric[field]["metric"], "current": current}
    if type == "Object":
        seen["describedObject"] = metric[field]["describedObject"]
    return answer, {"type": type, field: seen}


def _direction(rises: bool) -> str:
    return "scaleUp" if rises else "scaleDown"


def _usage(pods: Sequence[Obj], use: Sequence[Obj], resource: str, container: str) -> Usage:
    used: dict[str, float] = {}
    for entry in use:
        amounts = [
            amount(c["usage"][resource])
            for c in entry.get("containers") or ()
            if resource in (c.get("usage") or {}) and container in ("", c.get("name"))
        ]
        if amounts:
            used[name_of(entry)] = sum(amounts)
    requests: dict[str, float] = {}
    for pod in pods:
        named = [r for c, r in pod["requests"].items() if container in ("", c)]
        requests[pod["name"]] = sum(amount(r[resource]) for r in named if resource in r)
    return Usage(
        {pod: amount for pod, amount in used.items() if pod in requests},
        requests,
        frozenset(pod["name"] for pod in pods if not pod["ready"]),
    )


def _rises(usage: Usage, target: Obj) -> bool:
    total = sum(usage.used.values())
    if target.get("type") == "Utilization":
        return total * 100 > sum(usage.requests.get(p, 0.0) for p in usage.used) * float(target["averageUtilization"])
    return total > len(usage.used) * amount(target.get("averageValue") or "1")


def quantity(value: float) -> str:
    """A value as the API writes it: whole, or in thousandths."""
    return str(int(value)) if value == int(value) else f"{int(value * 1000)}m"


def _failure_reason(metric: Obj) -> str:
    type = str(metric.get("type"))
    return f"FailedGet{type}Metric" if type in ("Resource", "ContainerResource", *SERVED) else "InvalidMetricSourceType"
