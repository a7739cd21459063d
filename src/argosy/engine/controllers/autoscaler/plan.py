"""What an autoscaler does with what its probe found: scale, and say why. Pure."""

from __future__ import annotations

from datetime import timedelta

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.controllers.autoscaler.algebra import Bounds, Desired, Past, desired_replicas
from argosy.engine.controllers.autoscaler.behavior import rules
from argosy.engine.controllers.pods import moment
from argosy.intent import Observed, Patch, Plan, Reason
from argosy.meta.conditions import Condition, with_stamped
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, is_deleting, name_of, namespace_of

_ABLE = {
    "ReadyForNewScale": "recommended size matches current size",
    "SucceededRescale": "the HPA controller was able to update the target scale to {n}",
    "ScaleDownStabilized": "recent recommendations were higher than current one, applying the highest recent recommendation",
    "ScaleUpStabilized": "recent recommendations were lower than current one, applying the lowest recent recommendation",
}
_LIMITED = {
    "": ("DesiredWithinRange", "the desired count is within the acceptable range"),
    "TooManyReplicas": ("TooManyReplicas", "the desired replica count is more than the maximum replica count"),
    "TooFewReplicas": ("TooFewReplicas", "the desired replica count is less than the minimum replica count"),
    "ScaleUpLimit": ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"),
    "ScaleDownLimit": ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"),
}


def plan(seen: Observed) -> Plan:
    """Scale the target if the metrics ask for it and the rules let it."""
    autoscaler, found = seen.subject, seen.probed
    if found is None or is_deleting(autoscaler) or _is_from_before(found, autoscaler):
        return Plan()
    if "scale" not in found:
        reason = Reason(str(found["reason"]), f"{found['error']}; correct spec.scaleTargetRef.", warning=True)
        failed = Condition(
            "AbleToScale", "False", reason.code, f"the HPA controller was unable to scale: {found['error']}"
        )
        return Plan(status=_status(seen, found, None, [failed]), reasons=(reason,))
    current = int(dig(found, "scale", "spec", "replicas", default=0))
    minimum = int(autoscaler["spec"].get("minReplicas", 1))
    if current == 0 and minimum != 0:
        off = Condition(
            "ScalingActive",
            "False",
            "ScalingDisabled",
            "scaling is disabled since the replica count of the target is zero",
        )
        return Plan(status=_status(seen, found, 0, [_able("ReadyForNewScale", 0), off]))
    return _scale(seen, found, Bounds(current, minimum, int(autoscaler["spec"]["maxReplicas"])))


def _is_from_before(found: Obj, autoscaler: Obj) -> bool:
    """Whether the last scaling is younger than what the probe saw: then the next probe has the word."""
    scaled, looked = moment(dig(autoscaler, "status", "lastScaleTime")), moment(found.get("at"))
    return scaled is not None and looked is not None and looked < scaled + timedelta(seconds=1)


def _scale(seen: Observed, found: Obj, bounds: Bounds) -> Plan:
    autoscaler = seen.subject
    answer: Obj = found.get("answer") or {}
    conditions: list[Condition] = []
    reasons: list[Reason] = []
    if not bounds.minimum <= bounds.current <= bounds.maximum:
        over = bounds.current > bounds.maximum
        desired = Desired(
            bounds.maximum if over else bounds.minimum,
            "ReadyForNewScale",
            "TooManyReplicas" if over else "TooFewReplicas",
        )
        why = f"Current number of replicas {'above Spec.MaxReplicas' if over else 'below Spec.MinReplicas'}"
    elif answer.get("replicas") is None:
        message = f"the HPA was unable to compute the replica count: {answer.get('error') or 'no metrics yet'}"
        code = str(answer.get("reason") or "FailedGetResourceMetric")
        inactive = Condition("ScalingActive", "False", code, message)
        warning = Reason(code, f"{message}; see that the target's pods run and have resource requests.", warning=True)
        status = _status(seen, found, bounds.current, [_able("ReadyForNewScale", bounds.current), inactive])
        return Plan(status=status, reasons=(warning,))
    else:
        past = Past(
            [(float(ago), int(n)) for ago, n in found["past"]["recommendations"]],
            [(float(ago), int(n)) for ago, n in found["past"]["changes"]],
        )
        proposed = int(answer["replicas"])
        desired = desired_replicas(proposed, bounds, past, rules(autoscaler, "scaleUp"), rules(autoscaler, "scaleDown"))
        by = str(answer.get("by") or "metrics")
        why = f"{by} above target" if desired.replicas > bounds.current else "All metrics below target"
        valid = f"the HPA was able to successfully calculate a replica count from {by}"
        conditions.append(Condition("ScalingActive", "True", "ValidMetricFound", valid))
    code, message = _LIMITED[desired.limited]
    conditions.append(Condition("ScalingLimited", "True" if desired.limited else "False", code, message))
    if desired.replicas == bounds.current:
        conditions.insert(0, _able(desired.able, desired.replicas))
        return Plan(status=_status(seen, found, desired.replicas, conditions), reasons=tuple(reasons))
    conditions.insert(0, _able("SucceededRescale", desired.replicas))
    reasons.append(Reason("SuccessfulRescale", f"New size: {desired.replicas}; reason: {why}"))
    patch = Patch(
        _target(autoscaler, found), _target_key(autoscaler), {"spec": {"replicas": desired.replicas}}, "scale"
    )
    return Plan((patch,), _status(seen, found, desired.replicas, conditions, scaled=True), tuple(reasons))


def _target(autoscaler: Obj, found: Obj) -> Kind:
    target = autoscaler["spec"]["scaleTargetRef"]
    group, _, version = str(target.get("apiVersion") or "v1").rpartition("/")
    built_in = kinds.by_gvk(group, version, str(target["kind"]))
    if built_in is not None:
        return built_in
    return Kind(group, version, str(target["kind"]), str(found["plural"]))


def _target_key(autoscaler: Obj) -> Key:
    return Key(namespace_of(autoscaler), name_of({"metadata": autoscaler["spec"]["scaleTargetRef"]}))


def _able(reason: str, replicas: int) -> Condition:
    return Condition("AbleToScale", "True", reason, _ABLE[reason].format(n=replicas))


def _status(
    seen: Observed, found: Obj, desired: int | None, conditions: list[Condition], *, scaled: bool = False
) -> Obj:
    before = seen.subject.get("status") or {}
    told = list(before.get("conditions") or ())
    for condition in conditions:
        told = with_stamped(told, condition, seen.now)
    status: Obj = {
        "observedGeneration": seen.subject["metadata"].get("generation", 1),
        "currentReplicas": int(dig(found, "scale", "status", "replicas", default=before.get("currentReplicas") or 0)),
        "desiredReplicas": before.get("desiredReplicas") or 0 if desired is None else desired,
        "currentMetrics": (found.get("answer") or {}).get("current") or None,
        "conditions": told,
    }
    last = rfc3339(seen.now) if scaled else before.get("lastScaleTime")
    if last:
        status["lastScaleTime"] = last
    return status
