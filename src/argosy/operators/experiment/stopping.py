"""Ending trials early that do worse than most did at the same point: Katib's `medianstop`. Pure.

`plan` gives each Trial the rule that follows from those before it; `trial` applies it to what the Trial has printed so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from argosy.meta.json import Obj

ALGORITHM = "medianstop"
_MIN_TRIALS, _START_STEP = 3, 4


@dataclass(frozen=True, slots=True)
class MedianStop:
    """When to compare, and with how many."""

    min_trials: int = _MIN_TRIALS
    start_step: int = _START_STEP

    def rules(self, metric: str, averages: Sequence[float], *, lowest: bool) -> list[Obj]:
        """The rule for the next trial; none while too few have ended."""
        if len(averages) < self.min_trials:
            return []
        comparison = "greater" if lowest else "less"
        value = repr(median(averages))
        return [{"name": metric, "value": value, "comparison": comparison, "startStep": self.start_step}]


def read(spec: Obj) -> tuple[MedianStop | None, list[str]]:
    """`spec.earlyStopping`, and what is wrong with it."""
    given: Obj = spec.get("earlyStopping") or {}
    if not given:
        return None, []
    if given.get("algorithmName") != ALGORITHM:
        return None, [f"spec.earlyStopping.algorithmName {given.get('algorithmName')!r} is not {ALGORITHM}"]
    settings = {str(s.get("name")): str(s.get("value")) for s in given.get("algorithmSettings") or ()}
    wrong = [
        f"spec.earlyStopping.algorithmSettings {name} {settings[name]!r} is not a whole number above 0"
        for name in ("min_trials_required", "start_step")
        if name in settings and not (settings[name].isdigit() and int(settings[name]))
    ]
    if wrong:
        return None, wrong
    least, start = settings.get("min_trials_required", _MIN_TRIALS), settings.get("start_step", _START_STEP)
    return MedianStop(int(least), int(start)), []


def early_average(numbers: Sequence[float], start_step: int) -> float | None:
    """The average of the first values of a trial; None of one that printed nothing."""
    return fmean(numbers[:start_step]) if numbers else None


def is_met(rule: Obj, numbers: Sequence[float]) -> bool:
    """Whether a trial that printed these is to end: its best is still worse than the rule's value."""
    if len(numbers) < int(rule.get("startStep") or 1):
        return False
    value = float(rule["value"])
    if rule.get("comparison") == "greater":
        return min(numbers) > value
    return max(numbers) < value if rule.get("comparison") == "less" else numbers[-1] == value
