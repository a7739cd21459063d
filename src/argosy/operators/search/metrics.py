"""Metrics in what a trial prints, taken in line by line. Pure: the lines come from `reading`, or from a test.

Text is `name=value` anywhere in a line, or whatever two groups of a pattern say; JSON is one object a line. A line that
begins with a time tells when its values were; the latest by time is the latest, as in Katib's collectors.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from argosy.meta.json import Obj

UNAVAILABLE = "unavailable"
_NUMBER = r"([+-]?(?:inf|nan)\b|[+-]?\d*(?:\.\d+)?(?:[Ee][+-]?\d+)?)"
_DEFAULT = rf"([\w|-]+)\s*=\s*{_NUMBER}"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def problems(formats: Sequence[str]) -> list[str]:
    """What is wrong with the formats of `metricsCollectorSpec.source.filter.metricsFormat`."""
    found = []
    for text in formats:
        try:
            groups = re.compile(text).groups
        except re.error as error:
            found.append(f"metricsFormat {text!r} is no regular expression: {error}")
            continue
        if groups < 2:
            found.append(f"metricsFormat {text!r} needs two groups, for the name and the value")
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for, the metric that counts first."""

    names: tuple[str, ...]
    formats: tuple[str, ...] = ()
    as_json: bool = False
    marks: tuple[int, ...] = ()
    """Numbers of values of the first metric after which is written down how it stood."""


@dataclass(slots=True)
class _Series:
    count: int = 0
    total: float = 0.0
    least: tuple[float, str] | None = None
    greatest: tuple[float, str] | None = None
    latest: str = UNAVAILABLE
    when: datetime = _LONG_AGO


@dataclass(slots=True)
class Collected:
    """What a trial has printed so far. Mutable: one for each stream that is read."""

    wanted: Wanted
    marks: dict[str, Obj] = field(default_factory=dict)
    """For each mark that was reached: `count` of values, their `min`, `max` and `mean`."""
    _series: dict[str, _Series] = field(default_factory=dict)
    _patterns: list[re.Pattern[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._series = {name: _Series() for name in self.wanted.names}
        self._patterns = [re.compile(text) for text in self.wanted.formats or (_DEFAULT,)]

    def take(self, line: str) -> None:
        """One line."""
        if self.wanted.as_json:
            self._take_json(line)
        elif any(name in line for name in self._series):
            when = _time(line.split(" ", 1)[0])
            for pattern in self._patterns:
                for match in pattern.finditer(line):
                    self._add(match[1].strip(), (match[2] or "").strip(), when)

    def close(self) -> None:
        """Nothing more comes: a mark that was not reached is told of with what there was."""
        first = self._first()
        missed = next((mark for mark in self.wanted.marks if str(mark) not in self.marks), None)
        if missed is not None and first.count:
            self.marks[str(missed)] = _standing(first)

    @property
    def metrics(self) -> list[Obj]:
        """Least, greatest and latest value of each metric; those that were not printed are unavailable."""
        return [
            {
                "name": name,
                "min": one.least[1] if one.least else UNAVAILABLE,
                "max": one.greatest[1] if one.greatest else UNAVAILABLE,
                "latest": one.latest,
            }
            for name, one in self._series.items()
        ]

    def _first(self) -> _Series:
        return self._series[self.wanted.names[0]]

    def _take_json(self, line: str) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            return
        if not isinstance(told, dict):
            return
        stamp = told.get("timestamp")
        when = datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int | float) else _time(str(stamp or ""))
        for name in self._series:
            value = told.get(name)
            if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
                self._add(name, str(value).strip(), when)

    def _add(self, name: str, text: str, when: datetime) -> None:
        one = self._series.get(name)
        if one is None or not text:
            return
        if when >= one.when:
            one.latest, one.when = text, when
        value = number(text)
        if value is None:
            return
        one.count += 1
        one.total += value
        one.least = min(one.least or (value, text), (value, text), key=lambda pair: pair[0])
        one.greatest = max(one.greatest or (value, text), (value, text), key=lambda pair: pair[0])
        if one is self._first() and one.count in self.wanted.marks:
            self.marks[str(one.count)] = _standing(one)


def _standing(one: _Series) -> Obj:
    least, greatest = (pair[0] if pair else 0.0 for pair in (one.least, one.greatest))
    return {"count": one.count, "min": least, "max": greatest, "mean": one.total / one.count}


def observe(log: str, names: Sequence[str], formats: Sequence[str] = ()) -> list[Obj]:
    """The metrics of a whole log."""
    collected = Collected(Wanted(tuple(names), tuple(formats)))
    for line in log.splitlines():
        collected.take(line)
    return collected.metrics


def value_of(observation: Obj | None, name: str, strategy: str) -> float | None:
    """The number that counts of an observation: its `min`, `max` or `latest`."""
    for metric in (observation or {}).get("metrics") or ():
        if metric.get("name") == name:
            text = metric.get(strategy)
            return number(str(metric.get("latest") if text in (None, UNAVAILABLE) else text))
    return None


def number(text: str) -> float | None:
    """The number that a text is; one that is not a number is none, for it cannot be compared."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _time(text: str) -> datetime:
    if not (text[:1].isdigit() and "T" in text):
        return _LONG_AGO
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _LONG_AGO
    return found if found.tzinfo else _LONG_AGO
