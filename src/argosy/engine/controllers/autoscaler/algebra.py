"""How many replicas metrics ask for, and how much of that may happen now. Pure numbers.

The first half is Kubernetes' formula for one metric: the ratio of use to target, with a tolerance, and with pods that say
nothing counted against the change. The second half is `spec.behavior`: windows that look back, policies that limit speed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of a target's pods for one resource, in the resource's own unit."""

    used: Mapping[str, float]
    """Pod -> use, of those that report it."""
    requests: Mapping[str, float]
    """Pod -> request, of all pods that count."""
    unready: frozenset[str] = frozenset()
    """Pods that are not ready (yet)."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A metric's answer: the replicas it asks for, and the value it saw."""

    replicas: int
    value: float
    """Percent of the request for a utilisation target, else the average per pod."""


def by_utilization(usage: Usage, replicas: int, target_percent: float, tolerance: float) -> Recommendation:
    """Replicas for a target of percent of the requests. Raises ValueError when nothing can be computed."""
    requests = sum(usage.requests.get(pod, 0.0) for pod in usage.used if pod not in usage.unready)
    if not requests:
        raise ValueError("no pod that reports its use has a request for the resource; set resources.requests")
    scaled = Usage(
        {pod: used * 100.0 / target_percent for pod, used in usage.used.items()}, usage.requests, usage.unready
    )
    seen = sum(used for pod, used in usage.used.items() if pod not in usage.unready) * 100.0 / requests
    return Recommendation(_replicas(scaled, usage.requests, replicas, tolerance), seen)


def by_average(usage: Usage, replicas: int, target: float, tolerance: float) -> Recommendation:
    """Replicas for a target of an average per pod. Raises ValueError when no pod reports."""
    ready = [used for pod, used in usage.used.items() if pod not in usage.unready]
    if not ready:
        raise ValueError("no ready pod reports its use yet")
    flat = dict.fromkeys(usage.requests, target)
    return Recommendation(_replicas(usage, flat, replicas, tolerance), sum(ready) / len(ready))


def by_total(total: float, target: float, replicas: int, ready: int, tolerance: float) -> Recommendation:
    """Replicas for a target of one value for all: as many times the ready pods as the value is the target."""
    ratio = total / target
    wanted = replicas if abs(ratio - 1) <= tolerance else math.ceil(_rounded(ratio * ready))
    return Recommendation(wanted, total)


def by_share(total: float, target: float, replicas: int, tolerance: float) -> Recommendation:
    """Replicas for a target of a share of one value for each."""
    ratio = total / (target * replicas) if replicas else math.inf
    wanted = replicas if abs(ratio - 1) <= tolerance else math.ceil(_rounded(total / target))
    return Recommendation(wanted, total / replicas if replicas else total)


def _replicas(usage: Usage, wanted: Mapping[str, float], replicas: int, tolerance: float) -> int:
    """`usage.used` over `wanted` is the ratio; both are sums over pods."""
    ready = {pod: used for pod, used in usage.used.items() if pod not in usage.unready and pod in wanted}
    if not ready:
        raise ValueError("no ready pod reports its use yet")
    ratio = _ratio(ready, wanted)
    silent = [pod for pod in wanted if pod not in usage.used and pod not in usage.unready]
    unready = [pod for pod in wanted if pod in usage.unready]
    if not silent and not (unready and ratio > 1):
        return replicas if abs(ratio - 1) <= tolerance else math.ceil(_rounded(ratio * len(ready)))
    guessed = dict(ready)
    if ratio < 1:  # going down: the silent are taken to use all they should
        guessed |= {pod: wanted[pod] for pod in silent}
    else:  # going up: the silent and the unready are taken to use nothing
        guessed |= dict.fromkeys([*silent, *unready], 0.0)
    new_ratio = _ratio(guessed, wanted)
    if abs(new_ratio - 1) <= tolerance or (ratio < 1) != (new_ratio < 1):
        return replicas
    proposal = math.ceil(_rounded(new_ratio * len(guessed)))
    if (new_ratio < 1 and proposal > replicas) or (new_ratio > 1 and proposal < replicas):
        return replicas
    return proposal


def _ratio(used: Mapping[str, float], wanted: Mapping[str, float]) -> float:
    return sum(used.values()) / (sum(wanted[pod] for pod in used) or 1.0)


def _rounded(value: float) -> float:
    return round(value, 9)  # 3.0000000000000004 replicas are three


@dataclass(frozen=True, slots=True)
class Policy:
    """One entry of `behavior.scaleUp.policies`."""

    percent: bool
    value: int
    period_seconds: int


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of `spec.behavior`."""

    window_seconds: int
    policies: tuple[Policy, ...]
    select: str = "Max"
    """Max, Min or Disabled."""


UP = Rules(0, (Policy(True, 100, 15), Policy(False, 4, 15)))
DOWN = Rules(300, (Policy(True, 100, 15),))


@dataclass(frozen=True, slots=True)
class Past:
    """What happened before, as (seconds ago, number)."""

    recommendations: Sequence[tuple[float, int]] = ()
    changes: Sequence[tuple[float, int]] = field(default=())
    """Replicas added (positive) or removed (negative) by this autoscaler."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the replicas are and may be."""

    current: int
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Desired:
    """The outcome, and the condition reasons that explain it."""

    replicas: int
    able: str
    limited: str = ""
    """Empty when nothing limits it, else the reason for ScalingLimited."""


def desired_replicas(proposed: int, bounds: Bounds, past: Past, up: Rules = UP, down: Rules = DOWN) -> Desired:
    """What to scale to now."""
    stable, able = _stabilise(proposed, bounds.current, past, up, down)
    allowed = stable
    limited = ""
    if stable > bounds.current:
        ceiling = _ceiling(bounds.current, past, up)
        if stable > ceiling:
            allowed, limited = max(ceiling, bounds.current), "ScaleUpLimit"
    elif stable < bounds.current:
        floor = _floor(bounds.current, past, down)
        if stable < floor:
            allowed, limited = min(floor, bounds.current), "ScaleDownLimit"
    if allowed > bounds.maximum:
        return Desired(bounds.maximum, able, "TooManyReplicas")
    if allowed < bounds.minimum:
        return Desired(bounds.minimum, able, "TooFewReplicas")
    return Desired(allowed, able, limited)


def _stabilise(proposed: int, current: int, past: Past, up: Rules, down: Rules) -> tuple[int, str]:
    lowest = min([proposed, *(n for ago, n in past.recommendations if ago < up.window_seconds)])
    highest = max([proposed, *(n for ago, n in past.recommendations if ago < down.window_seconds)])
    stable = min(max(current, lowest), highest)  # up only as far as all agree, down only as far as all agree
    if stable == proposed:
        return stable, "ReadyForNewScale"
    return stable, "ScaleDownStabilized" if stable > proposed else "ScaleUpStabilized"


def _ceiling(current: int, past: Past, rules: Rules) -> int:
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = current - sum(n for ago, n in past.changes if ago < policy.period_seconds and n > 0)
        limits.append(math.ceil(start * (1 + policy.value / 100)) if policy.percent else start + policy.value)
    return (min if rules.select == "Min" else max)(limits, default=current)


def _floor(current: int, past: Past, rules: Rules) -> int:
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = current - sum(n for ago, n in past.changes if ago < policy.period_seconds and n < 0)
        limits.append(math.floor(start * (1 - policy.value / 100)) if policy.percent else start - policy.value)
    return (max if rules.select == "Min" else min)(limits, default=current)
