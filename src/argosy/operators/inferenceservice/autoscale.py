"""How many replicas a model needs, from the requests that are at the gateway for it.

Pure: samples of demand in, a number out. Up at once, for people wait; down only when demand stayed low for a whole
window, for a replica that is taken away too early costs a model load. What is not known (the operator has just started,
the gateway was away) is never taken for "no demand".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Rule:
    """The bounds and the aim."""

    least: int
    most: int
    target: int
    """Requests in flight (or per second) that one replica should have."""
    window_seconds: float
    """How long demand must have been lower before replicas are taken away."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Demand from this moment until the next sample."""

    at: datetime
    demand: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do."""

    replicas: int
    why: str = ""
    """Empty when nothing changes."""
    again_in_seconds: float | None = None
    """When the decision may change though demand does not."""


def decide(samples: Sequence[Sample], current: int, now: datetime, rule: Rule) -> Decision:
    """The replicas that there should be now. `samples` are in order of time."""
    within = min(max(current, rule.least), rule.most)
    if not samples:
        return _bounded(current, within)
    latest = samples[-1].demand
    wanted = replicas_for(latest, rule)
    if wanted > within:
        return Decision(wanted, f"{_count(latest)} at the gateway, {rule.target} per replica wanted")
    start = now - timedelta(seconds=rule.window_seconds)
    peak = _peak(samples, start)
    settled = min(within, replicas_for(peak, rule)) if peak is not None else within
    if settled < within:
        most = f"at most {_count(peak)}" if peak else "no request"
        why = f"{most} at the gateway in the last {rule.window_seconds:g} s"
        return Decision(settled, why, _next(samples, now, rule))
    return Decision(within, _bounded(current, within).why, _next(samples, now, rule) if wanted < within else None)


def replicas_for(demand: float, rule: Rule) -> int:
    """The replicas that a demand asks for, within bounds."""
    return min(max(math.ceil(demand / rule.target), rule.least), rule.most)


def trimmed(samples: Sequence[Sample], now: datetime, window_seconds: float) -> list[Sample]:
    """The samples that still matter: all in the window, and the one that held when it began. Equal neighbours are one."""
    start = now - timedelta(seconds=window_seconds)
    kept: list[Sample] = []
    for sample in samples:
        if kept and kept[-1].demand == sample.demand:
            continue
        if sample.at <= start:
            kept.clear()
        kept.append(sample)
    return kept


def _peak(samples: Sequence[Sample], start: datetime) -> float | None:
    """The highest demand since `start`; None when what it was then is not known."""
    if samples[0].at > start:
        return None
    before = [sample for sample in samples if sample.at <= start]
    return max(before[-1].demand, *(sample.demand for sample in samples if sample.at > start), 0.0)


def _next(samples: Sequence[Sample], now: datetime, rule: Rule) -> float | None:
    """When the oldest thing that holds replicas leaves the window."""
    start = now - timedelta(seconds=rule.window_seconds)
    ends = [sample.at for sample in samples if sample.at > start]
    return max((ends[0] - start).total_seconds(), 0.05) if ends else None


def _bounded(current: int, within: int) -> Decision:
    if within == current:
        return Decision(current)
    return Decision(within, "minReplicas" if within > current else "maxReplicas")


def _count(demand: float) -> str:
    return f"{demand:g} request{'' if demand == 1 else 's'}"
