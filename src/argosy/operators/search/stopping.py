"""Ending trials early that do worse than others did at the same point. Pure.

- `medianstop`, Katib's: a trial whose best value after `start_step` values is worse than the median of what earlier trials
  averaged by then
- `asha` (Li et al. 2018, the variant that stops): after `start_step`, `start_step` × `reduction_factor`, … values a trial goes
  on only as one of the best 1/`reduction_factor` of those that came to that rung before it

`plan` writes what follows as `earlyStoppingRules` of a Trial, in Katib's words; `trial` applies them to what the Trial has
printed. How a trial stood at each of these points is written down on it (`Record`), for that outlives its log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from argosy.meta.json import Obj

MEDIAN_STOP, ASHA = "medianstop", "asha"
_RUNGS_MAX, _STEPS_MAX = 16, 10_000_000

Record = Mapping[str, Obj]
"""By the number of values: `count`, `min`, `max` and `mean` of the values so far, and when that was (`at`)."""


@dataclass(frozen=True, slots=True)
class MedianStop:
    """When to compare, and with how many."""

    min_trials: int = 3
    start_step: int = 4

    @property
    def marks(self) -> tuple[int, ...]:
        """After how many values a trial is looked at."""
        return (self.start_step,)

    def rules(self, metric: str, succeeded: Iterable[Record], *, lowest: bool) -> list[Obj]:
        """The rule for the next trial; none while too few have succeeded."""
        averages = [record[str(self.start_step)]["mean"] for record in succeeded if str(self.start_step) in record]
        if len(averages) < self.min_trials:
            return []
        return [_rule(metric, median(averages), self.start_step, lowest=lowest)]


@dataclass(frozen=True, slots=True)
class Asha:
    """The rungs of successive halving."""

    start_step: int = 1
    reduction_factor: int = 3

    @property
    def marks(self) -> tuple[int, ...]:
        """After how many values a trial is looked at: the rungs."""
        steps = [self.start_step * self.reduction_factor**rung for rung in range(_RUNGS_MAX)]
        return tuple(step for step in steps if step <= _STEPS_MAX)

    def rules(self, metric: str, own: Record, all_records: Sequence[Record], *, lowest: bool) -> list[Obj]:
        """The rule that ends a trial with this record at the first rung where it is not among the best; none while it is.

        Only those count that came to a rung no later, so a verdict stands whoever comes afterwards.
        """
        for step in self.marks:
            mine = _reached(own, step)
            if mine is None:
                continue
            before = [r for other in all_records if (r := _reached(other, step)) and r["at"] <= mine["at"]]
            values = sorted((_best(r, lowest=lowest) for r in before), reverse=not lowest)
            cut = values[max(1, len(values) // self.reduction_factor) - 1] if values else _best(mine, lowest=lowest)
            if _worse(_best(mine, lowest=lowest), cut, lowest=lowest):
                return [_rule(metric, cut, step, lowest=lowest)]
        return []


def read(spec: Obj) -> tuple[MedianStop | Asha | None, list[str]]:
    """`spec.earlyStopping`, and what is wrong with it."""
    given: Obj = spec.get("earlyStopping") or {}
    if not given:
        return None, []
    name = given.get("algorithmName")
    settings = {str(s.get("name")): str(s.get("value")) for s in given.get("algorithmSettings") or ()}
    known = {
        MEDIAN_STOP: {"min_trials_required": ("min_trials", 1), "start_step": ("start_step", 1)},
        ASHA: {"start_step": ("start_step", 1), "reduction_factor": ("reduction_factor", 2)},
    }.get(str(name))
    if known is None:
        return None, [f"spec.earlyStopping.algorithmName {name!r} is neither {MEDIAN_STOP} nor {ASHA}"]
    where = "spec.earlyStopping.algorithmSettings"
    wrong = [f"{where}: {setting} is no setting of {name}" for setting in settings if setting not in known]
    numbers = {}
    for setting, (field, least) in known.items():
        if setting not in settings:
            continue
        if not settings[setting].isdecimal() or int(settings[setting]) < least:
            wrong.append(f"{where} {setting} {settings[setting]!r} is not a whole number of at least {least}")
        else:
            numbers[field] = int(settings[setting])
    if wrong:
        return None, wrong
    return (MedianStop(**numbers) if name == MEDIAN_STOP else Asha(**numbers)), []


def write(marks: Record, before: Record, now: datetime) -> str:
    """A record as text: what is new gets the time, what was there stays."""
    at = now.isoformat()
    return json.dumps({**{mark: {**told, "at": at} for mark, told in marks.items()}, **before}, separators=(",", ":"))


def parse(text: str) -> Record:
    """The inverse of `write`; empty for what is no record."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def is_met(rule: Obj, marks: Record) -> bool:
    """Whether a trial that stood so is to end. Its best can only improve, so the first look decides, as upstream's does."""
    stood = _reached(marks, int(rule.get("startStep") or 1))
    if stood is None:
        return False
    value = float(rule["value"])
    if rule.get("comparison") == "greater":
        return bool(stood["min"] > value)
    return bool(stood["max"] < value if rule.get("comparison") == "less" else stood["min"] <= value <= stood["max"])


def steps_of(rules: Iterable[Obj]) -> set[int]:
    """After how many values these rules look at a trial."""
    return {int(rule.get("startStep") or 1) for rule in rules}


def _rule(metric: str, value: float, step: int, *, lowest: bool) -> Obj:
    return {"name": metric, "value": repr(value), "comparison": "greater" if lowest else "less", "startStep": step}


def _reached(record: Record, step: int) -> Obj | None:
    found = record.get(str(step))
    return found if found is not None and found["count"] >= step else None


def _best(stood: Obj, *, lowest: bool) -> float:
    return float(stood["min"] if lowest else stood["max"])


def _worse(value: float, than: float, *, lowest: bool) -> bool:
    return value > than if lowest else value < than
