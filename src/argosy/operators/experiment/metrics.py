"""Metrics in what a trial prints, as Katib's StdOut collector finds them: `name=value`, anywhere in a line. Pure.

The probe of a Trial hands a log in and keeps the summary only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from argosy.meta.json import Obj

UNAVAILABLE = "unavailable"
_NUMBER = r"([+-]?(?:inf|nan)\b|[+-]?\d*(?:\.\d+)?(?:[Ee][+-]?\d+)?)"
_DEFAULT = rf"([\w|-]+)\s*=\s*{_NUMBER}"


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


def observe(log: str, names: Sequence[str], formats: Sequence[str] = ()) -> list[Obj]:
    """Least, greatest and latest value of each metric; those that were not printed are unavailable."""
    return [_summary(name, values) for name, values in _values(log, names, formats).items()]


def numbers_of(log: str, name: str, formats: Sequence[str] = ()) -> list[float]:
    """Every number of one metric, in the order in which they were printed."""
    return [number for text in _values(log, [name], formats)[name] if (number := _number(text)) is not None]


def _values(log: str, names: Sequence[str], formats: Sequence[str]) -> dict[str, list[str]]:
    seen: dict[str, list[str]] = {name: [] for name in names}
    patterns = [re.compile(text) for text in formats or (_DEFAULT,)]
    for line in log.splitlines():
        if not any(name in line for name in names):
            continue
        for pattern in patterns:
            for match in pattern.finditer(line):
                name, value = match[1].strip(), match[2].strip()
                if name in seen and value:
                    seen[name].append(value)
    return seen


def _summary(name: str, values: Sequence[str]) -> Obj:
    numbers = [(number, text) for text in values if (number := _number(text)) is not None]
    return {
        "name": name,
        "min": min(numbers)[1] if numbers else UNAVAILABLE,
        "max": max(numbers)[1] if numbers else UNAVAILABLE,
        "latest": values[-1] if values else UNAVAILABLE,
    }


def value_of(observation: Obj | None, name: str, strategy: str) -> float | None:
    """The number that counts of an observation: its `min`, `max` or `latest`."""
    for metric in (observation or {}).get("metrics") or ():
        if metric.get("name") == name:
            text = metric.get(strategy)
            return _number(str(metric.get("latest") if text in (None, UNAVAILABLE) else text))
    return None


def _number(text: str) -> float | None:
    """The number that a text is; one that is not a number is none, for it cannot be compared."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
