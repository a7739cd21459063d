"""Rules of autoscalers and disruption budgets."""

from __future__ import annotations

from argosy.meta import causes, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, count_or_percent, needs_one_of, one_of, required, selector

_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_SOURCES = {
    "ContainerResource": "containerResource", "External": "external", "Object": "object", "Pods": "pods",
    "Resource": "resource",
}  # fmt: skip
_TARGETS = ("AverageValue", "Utilization", "Value")


def autoscaler(new: Obj, old: Obj | None) -> Found:
    """autoscaling/v1 and v2 HorizontalPodAutoscaler."""
    found: Found = []
    spec = new["spec"]
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if least is not None and least < 1:
        found.append(causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most < 1:
        found.append(causes.required("spec.maxReplicas", "must be set and greater than 0"))
    if least is not None and most < least:
        found.append(causes.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    target = spec.get("scaleTargetRef") or {}
    for name in ("kind", "name"):
        required(found, f"spec.scaleTargetRef.{name}", target.get(name))
    version = target.get("apiVersion") or ""
    if not version and spec.get("scaleTargetRef") is not None:
        found.append(causes.invalid("spec.scaleTargetRef.apiVersion", "", "apiVersion must specify API group"))
    metrics = spec.get("metrics") or ()
    for index, metric in enumerate(metrics):
        _metric(found, f"spec.metrics[{index}]", metric)
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        message = "must specify at least one Object or External metric to support scaling to zero replicas"
        found.append(causes.forbidden("spec.metrics", message))
    behavior = spec.get("behavior") or {}
    for name in ("scaleUp", "scaleDown"):
        if behavior.get(name) is not None:
            _behavior(found, f"spec.behavior.{name}", behavior[name])
    return found


def _metric(found: Found, path: str, metric: Obj) -> None:
    kind = metric.get("type")
    if not required(found, f"{path}.type", kind):
        return
    one_of(found, f"{path}.type", kind, _TYPES)
    wanted = _SOURCES.get(str(kind))
    given = [name for name in _SOURCES.values() if metric.get(name) is not None]
    if wanted is None:
        found.append(causes.unsupported(f"{path}.type", kind, _TYPES))
        return
    for name in given:
        if name != wanted:
            message = "must populate the given metric source only"
            found.append(causes.forbidden(f"{path}.{name}", message))
    if wanted not in given:
        message = "must populate information for the given metric source"
        found.append(causes.required(f"{path}.{wanted}", message))
        return
    source, place = metric[wanted], f"{path}.{wanted}"
    if wanted in ("resource", "containerResource"):
        if not source.get("name"):
            found.append(causes.required(f"{place}.name", "must specify a resource name"))
        if wanted == "containerResource" and not source.get("container"):
            found.append(causes.required(f"{place}.container", "must specify a container"))
    elif not (source.get("metric") or {}).get("name"):
        found.append(causes.required(f"{place}.metric.name", "must specify a metric name"))
    _target(found, f"{place}.target", source.get("target") or {}, resource=wanted in ("resource", "containerResource"))


def _target(found: Found, path: str, target: Obj, *, resource: bool) -> None:
    kind = target.get("type")
    if not kind:
        found.append(causes.required(f"{path}.type", "must specify a metric target type"))
    else:
        one_of(found, f"{path}.type", kind, _TARGETS)
    use = target.get("averageUtilization")
    if use is not None and use < 1:
        found.append(causes.invalid(f"{path}.averageUtilization", use, "must be greater than 0"))
    for name in ("value", "averageValue"):
        value = target.get(name)
        if value is not None and quantity.parse(value).nanos <= 0:
            found.append(causes.invalid(f"{path}.{name}", value, "must be positive"))
    if resource:
        if use is None and target.get("averageValue") is None:
            message = "must set either a target raw value or a target utilization"
            found.append(causes.required(f"{path}.averageUtilization", message))
        elif use is not None and target.get("averageValue") is not None:
            message = "may not set both a target raw value and a target utilization"
            found.append(causes.forbidden(f"{path}.averageValue", message))
    elif target.get("value") is None and target.get("averageValue") is None:
        message = "must set either a target value for metric or a per-pod target"
        found.append(causes.required(f"{path}.averageValue", message))


def _behavior(found: Found, path: str, rules: Obj) -> None:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        found.append(
            causes.invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
        )
    elif window is not None and window > 3600:
        found.append(causes.invalid(f"{path}.stabilizationWindowSeconds", window, "must be less than or equal to 3600"))
    one_of(found, f"{path}.selectPolicy", rules.get("selectPolicy"), ("Disabled", "Max", "Min"))
    if not rules.get("policies"):
        found.append(causes.required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(rules.get("policies") or ()):
        place = f"{path}.policies[{index}]"
        needs_one_of(found, f"{place}.type", policy.get("type"), ("Percent", "Pods"))
        for name in ("value", "periodSeconds"):
            value = policy.get(name) or 0
            if value <= 0:
                found.append(causes.invalid(f"{place}.{name}", value, "must be greater than zero"))
        if (policy.get("periodSeconds") or 0) > 1800:
            message = "must be less than or equal to 1800"
            found.append(causes.invalid(f"{place}.periodSeconds", policy["periodSeconds"], message))


def disruption_budget(new: Obj, old: Obj | None) -> Found:
    """policy/v1 PodDisruptionBudget."""
    found: Found = []
    spec = new.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        shown = {
            "MinAvailable": least,
            "Selector": spec.get("selector"),
            "MaxUnavailable": most,
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        found.append(causes.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    count_or_percent(found, "spec.minAvailable", least, most=100)
    count_or_percent(found, "spec.maxUnavailable", most, most=100)
    selector(found, "spec.selector", spec.get("selector"))
    policies = ("AlwaysAllow", "IfHealthyBudget")
    one_of(found, "spec.unhealthyPodEvictionPolicy", spec.get("unhealthyPodEvictionPolicy"), policies)
    return found
