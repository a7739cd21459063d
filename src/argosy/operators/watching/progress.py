"""Whether training gets on: how fast its logs say that it does, and since when they say nothing more.

Training code needs to do nothing but print its step now and then, as it does anyway. A job asks to be watched by the
annotation `argosy.dev/hang-after`: `20x` is twenty times the time between two reports, `10m` a fixed time. Pure; `watch`
brings the lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from argosy.clock import parse_time
from argosy.meta.json import Obj
from argosy.meta.objects import annotations_of
from argosy.operators.settings import PREFIX

HANG_AFTER = f"{PREFIX}hang-after"
PATTERN = f"{PREFIX}progress-pattern"
_USUAL_PATTERN = r"\b(?:step|iter(?:ation)?|epoch)\b[\s=:#]*(\d+)"
_UNITS = {"s": 1, "m": 60, "h": 3600}
_PATIENCE_SECONDS = 30.0
"""A gang is never called hung sooner by a multiple: a checkpoint or an evaluation takes longer than a step."""
_REPORTS_LEAST = 4
"""Fewer say nothing about the usual time: the first steps compile and warm up."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When a job counts as hung. Exactly one of `times` and `seconds` is set."""

    pattern: re.Pattern[str]
    """What a report looks like; its last group, where it has one, is the step."""
    times: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What one rank's log says."""

    last: datetime
    """Its last report, or where there is none its start."""
    step: str = ""
    """Of the last report; empty where there is none."""
    usual: float | None = None
    """Seconds between two reports; None while too few are known."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A gang that does not get on."""

    seconds: float
    """Since the last report of any rank."""
    allowed: float
    usual: float | None


def pattern_of(annotations: Mapping[str, str]) -> re.Pattern[str]:
    """What a report looks like in the logs of a job. Raises re.error for a pattern of its own that is none."""
    return re.compile(annotations.get(PATTERN) or _USUAL_PATTERN, re.IGNORECASE)


def policy(subject: Obj) -> Policy | None:
    """What a job asks for, None where it does not ask to be watched. Raises ValueError for what cannot be read."""
    annotations = annotations_of(subject)
    wanted = annotations.get(HANG_AFTER, "").strip()
    if not wanted:
        return None
    try:
        pattern = pattern_of(annotations)
    except re.error as error:
        raise ValueError(f"annotation {PATTERN} is not a regular expression: {error}") from None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(x|s|m|h)", wanted)
    if found is None or not float(found[1]):
        raise ValueError(f"annotation {HANG_AFTER} is {wanted!r}; write a multiple such as 20x or a time such as 10m")
    number = float(found[1])
    if found[2] == "x":
        return Policy(pattern, times=number)
    return Policy(pattern, seconds=number * _UNITS[found[2]])


def pace(lines: Iterable[str], started: datetime, pattern: re.Pattern[str]) -> Pace:
    """Read a log whose lines begin with their time."""
    reports = []
    for line in lines:
        stamp, _, text = line.partition(" ")
        found = pattern.search(text)
        if found is None:
            continue
        try:
            reports.append((parse_time(stamp), found[found.lastindex] if found.lastindex else found[0]))
        except ValueError:
            continue  # the tail of a line that was cut
    if not reports:
        return Pace(started)
    last, step = reports[-1]
    gaps = [(later - earlier).total_seconds() for (earlier, _), (later, _) in pairwise(reports)]
    return Pace(last, step, median(gaps) if len(reports) >= _REPORTS_LEAST else None)


def stalled(paces: Mapping[str, Pace], wanted: Policy, now: datetime) -> Stall | None:
    """Whether nobody gets on any more. Ranks that never report (often all but one) say nothing; a fixed time counts from
    the start where none reports at all.
    """
    if not paces:
        return None
    reporting = [one for one in paces.values() if one.step]
    usual = max((one.usual for one in reporting if one.usual is not None), default=None)
    since = (now - max(one.last for one in reporting or paces.values())).total_seconds()
    if wanted.seconds is not None:
        allowed = wanted.seconds
    elif wanted.times is not None and usual is not None:
        allowed = max(wanted.times * usual, _PATIENCE_SECONDS)
    else:
        return None
    return Stall(since, allowed, usual) if since > allowed else None
