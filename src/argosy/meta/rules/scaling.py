"""Rules of autoscalers and disruption budgets."""

from __future__ import annotations

from argosy.meta import causes, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.container import container_resource
from argosy.meta.rules.fields import (
    Found,
    count_or_percent,
    named,
    needs_supported,
    one_of,
    required,
    say,
    selector,
)  # fmt: skip

_SOURCES = {
    "Object": "object", "External": "external", "Pods": "pods", "Resource": "resource",
    "ContainerResource": "containerResource",
}  # fmt: skip
_TYPES = tuple(sorted(_SOURCES))


def autoscaler(new: Obj, old: Obj | None) -> Found:
    """autoscaling/v1 and v2 HorizontalPodAutoscaler."""
    found: Found = []
    spec = new["spec"]
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if least is not None and least < 1:
        found.append(causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most == 0:
        found.append(causes.required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        found.append(causes.invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        found.append(causes.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    _reference(found, "spec.scaleTargetRef", spec.get("scaleTargetRef") or {}, grouped=True)
    metrics = spec.get("metrics") or ()
    for index, metric in enumerate(metrics):
        _metric(found, f"spec.metrics[{index}]", metric)
    use = spec.get("targetCPUUtilizationPercentage")
    if use is not None and use < 1:
        message = "must be greater than 0"
        found.append(causes.invalid("spec.metrics[0].resource.target.averageUtilization", use, message))
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        message = "must specify at least one Object or External metric to support scaling to zero replicas"
        found.append(causes.forbidden("spec.metrics", message))
    behavior = spec.get("behavior") or {}
    for name in ("scaleUp", "scaleDown"):
        if behavior.get(name) is not None:
            _behavior(found, f"spec.behavior.{name}", behavior[name])
    return found


def _reference(found: Found, path: str, value: Obj, *, grouped: bool) -> None:
    for field in ("kind", "name"):
        named(found, f"{path}.{field}", value.get(field), names.path_segment)
    version = value.get("apiVersion") or ""
    if version.count("/") > 1:
        found.append(causes.invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    elif grouped and version != "v1" and "/" not in version.strip("/"):
        found.append(causes.invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))


def _metric(found: Found, path: str, metric: Obj) -> None:
    kind = metric.get("type") or ""
    required(found, f"{path}.type", kind, "must specify a metric source type")
    given = [name for name in _SOURCES.values() if metric.get(name) is not None]
    if kind not in _SOURCES:
        found += [causes.unsupported(f"{path}.type", kind, _TYPES)] * 2
    if given:
        _source(found, f"{path}.{given[0]}", given[0], metric[given[0]])
    wanted = _SOURCES.get(kind, "")
    if wanted and wanted not in given:
        found.append(causes.required(f"{path}.{wanted}", "must populate information for the given metric source"))
    if len(given) != 1:
        message = "must populate the given metric source only"
        found.extend(causes.forbidden(f"{path}.{name}", message) for name in given if name != wanted)


def _source(found: Found, path: str, kind: str, source: Obj) -> None:
    target, place = source.get("target") or {}, f"{path}.target"
    if kind in ("resource", "containerResource"):
        name = source.get("name") or ""
        if required(found, f"{path}.name", name, "must specify a resource name") and kind == "containerResource":
            container_resource(found, f"{path}.name", name)
        container = source.get("container") or ""
        if kind == "containerResource" and required(found, f"{path}.container", container, "must specify a container"):
            say(found, f"{path}.container", container, names.label(container))
    else:
        if kind == "object":
            _reference(found, f"{path}.describedObject", source.get("describedObject") or {}, grouped=False)
        name = (source.get("metric") or {}).get("name") or ""
        if required(found, f"{path}.metric.name", name, "must specify a metric name"):
            say(found, f"{path}.metric.name", name, names.path_segment(name))
    _target(found, place, target)
    value, average, use = (target.get(field) for field in ("value", "averageValue", "averageUtilization"))
    if kind in ("resource", "containerResource"):
        if use is None and average is None:
            message = "must set either a target raw value or a target utilization"
            found.append(causes.required(f"{place}.averageUtilization", message))
        elif use is not None and average is not None:
            message = "may not set both a target raw value and a target utilization"
            found.append(causes.forbidden(f"{place}.averageValue", message))
    elif kind == "pods" and average is None:
        found.append(causes.required(f"{place}.averageValue", "must specify a positive target averageValue"))
    elif kind != "pods" and value is None and average is None:
        other = "averageValue" if kind == "object" else "value for metric or a per-pod target"
        message = f"must set either a target {'value or ' if kind == 'object' else ''}{other}"
        found.append(causes.required(f"{place}.averageValue", message))
    elif kind == "external" and value is not None and average is not None:
        message = "may not set both a target value for metric and a per-pod target"
        found.append(causes.forbidden(f"{place}.value", message))


def _target(found: Found, path: str, target: Obj) -> None:
    kind = target.get("type") or ""
    required(found, f"{path}.type", kind, "must specify a metric target type")
    if kind not in ("Utilization", "Value", "AverageValue"):
        message = "must be either Utilization, Value, or AverageValue"
        found.append(causes.invalid(f"{path}.type", kind, message))
    for name in ("value", "averageValue"):
        value = target.get(name)
        if value is not None and quantity.parse(value).nanos <= 0:
            found.append(causes.invalid(f"{path}.{name}", value, "must be positive"))
    use = target.get("averageUtilization")
    if use is not None and use < 1:
        found.append(causes.invalid(f"{path}.averageUtilization", use, "must be greater than 0"))


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
        needs_supported(found, f"{place}.type", policy.get("type"), ("Percent", "Pods"))
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
