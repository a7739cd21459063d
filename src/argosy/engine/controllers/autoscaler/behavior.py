"""`spec.behavior` and `spec.metrics` as the algebra's values. Pure."""

from __future__ import annotations

from argosy.engine.controllers.autoscaler.algebra import DOWN, TOLERANCE, UP, Policy, Rules
from argosy.meta.json import Obj, dig
from argosy.meta.quantity import NANO, parse


def amount(quantity: object) -> float:
    """A quantity as a number of its unit."""
    return parse(str(quantity)).nanos / NANO


def rules(autoscaler: Obj, direction: str) -> Rules:
    """The rules of `scaleUp` or `scaleDown`, defaults filled in."""
    default = UP if direction == "scaleUp" else DOWN
    given = dig(autoscaler, "spec", "behavior", direction)
    if not given:
        return default
    window = given.get("stabilizationWindowSeconds")
    policies = tuple(
        Policy(policy.get("type") == "Percent", int(policy["value"]), int(policy["periodSeconds"]))
        for policy in given.get("policies") or ()
    )
    return Rules(
        default.window_seconds if window is None else int(window),
        policies or default.policies,
        str(given.get("selectPolicy") or "Max"),
    )


def tolerance(autoscaler: Obj, direction: str) -> float:
    """`behavior.<direction>.tolerance`, a tenth unless it is set."""
    given = dig(autoscaler, "spec", "behavior", direction, "tolerance")
    return TOLERANCE if given is None else amount(given)


def window_seconds(autoscaler: Obj) -> float:
    """How far back anything needs to be remembered."""
    both = [rules(autoscaler, "scaleUp"), rules(autoscaler, "scaleDown")]
    return float(max([r.window_seconds for r in both] + [p.period_seconds for r in both for p in r.policies]))
