"""What share of a job's time went into new steps: from what its ranks print, epoch by epoch. Pure.

The operator adds up the epochs that have ended, in an annotation, since their logs go with their pods; `argosy why` adds
the present one. An epoch is what lies between two restarts of a gang.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from argosy.clock import parse_time, rfc3339
from argosy.meta.json import decode, encode
from argosy.operators.settings import PREFIX
from argosy.operators.watching import progress

GOODPUT = f"{PREFIX}goodput"
_TOKENS = re.compile(
    r"\btok(?:en)?s?(?:/s(?:ec(?:ond)?)?|_per_s(?:ec(?:ond)?)?)\b[\s=:]*([\d,]+(?:\.\d+)?)", re.IGNORECASE
)
HEAD, TAIL = "limitBytes=65536", "tailLines=400"
"""What is read of a log: its beginning for the first step, its end for the last ones."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The steps of one epoch."""

    first: int
    last: int
    began: datetime
    """When the first was reported."""
    ended: datetime
    step_seconds: float


@dataclass(frozen=True, slots=True)
class Totals:
    """All epochs together."""

    since: datetime
    """The first report of all."""
    useful: float = 0.0
    """Seconds that went into steps which were new then."""
    last: int = 0
    """The furthest step."""
    twice: int = 0
    """How many steps were done again."""
    epochs: int = 0
    step_seconds: float = 0.0

    def share(self, now: datetime) -> float:
        """Useful time / wall time."""
        wall = (now - self.since).total_seconds()
        return min(self.useful / wall, 1.0) if wall > 0 else 1.0


def epoch(head: str, tail: str, pattern: re.Pattern[str]) -> Epoch | None:
    """What the beginning and the end of a log with timestamps tell; None where fewer than two steps are reported."""
    early, late = _reports(head, pattern), _reports(tail, pattern)
    if not early or not late:
        return None
    (began, first), (ended, last) = early[0], late[-1]
    if last <= first or ended <= began:
        return None
    return Epoch(first, last, began, ended, (ended - began).total_seconds() / (last - first))


def add(totals: Totals | None, one: Epoch) -> Totals:
    """The totals with one more epoch. What it did again of the epochs before is not useful a second time."""
    if totals is None:
        totals = Totals(one.began)
    again = min(max(totals.last - one.first + 1, 0), one.last - one.first) if totals.epochs else 0
    useful = (one.ended - one.began).total_seconds() - again * one.step_seconds
    return replace(
        totals,
        useful=totals.useful + useful,
        last=max(totals.last, one.last),
        twice=totals.twice + again,
        epochs=totals.epochs + 1,
        step_seconds=one.step_seconds,
    )


def tokens_per_second(tail: str) -> float | None:
    """What the log said last of it."""
    found = _TOKENS.findall(tail)
    return float(found[-1].replace(",", "")) if found else None


def write(totals: Totals) -> str:
    """For an annotation."""
    fields = (round(totals.useful, 1), totals.last, totals.twice, totals.epochs, round(totals.step_seconds, 4))
    names = ("useful", "last", "twice", "epochs", "stepSeconds")
    return encode({"since": rfc3339(totals.since), **dict(zip(names, fields, strict=True))}).decode()


def read(text: str) -> Totals | None:
    """From an annotation; nonsense counts as absent."""
    try:
        found = decode(text.encode())
        return Totals(
            parse_time(found["since"]),
            float(found["useful"]),
            int(found["last"]),
            int(found["twice"]),
            int(found["epochs"]),
            float(found["stepSeconds"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def sentence(totals: Totals, now: datetime, tokens: float | None = None) -> str:
    """For people."""
    minutes = (now - totals.since).total_seconds() / 60
    parts = [f"goodput {totals.share(now):.0%} of {minutes:.1f} min", f"step {totals.last}"]
    if totals.step_seconds:
        parts.append(f"{totals.step_seconds:.2g} s a step")
    if tokens is not None:
        parts.append(f"{tokens:,.0f} tokens/s")
    restarts = totals.epochs - 1
    if restarts > 0:
        parts.append(f"{restarts} restart{'s' * (restarts > 1)}, {totals.twice} steps done twice")
    return ", ".join(parts)


def _reports(log: str, pattern: re.Pattern[str]) -> list[tuple[datetime, int]]:
    found: list[tuple[datetime, int]] = []
    for stamp, text in _stamped(log):
        match = pattern.search(text)
        step = match[match.lastindex or 0] if match else ""
        if step.isdigit():
            found.append((stamp, int(step)))
    return found


def _stamped(log: str) -> Iterable[tuple[datetime, str]]:
    for line in log.splitlines():
        stamp, _, text = line.partition(" ")
        try:
            yield parse_time(stamp), text
        except ValueError:
            continue


def pattern_of(annotations: dict[str, str]) -> re.Pattern[str]:
    """What a report looks like in a job's logs; the usual one where its own cannot be read."""
    try:
        return progress.pattern_of(annotations)
    except re.error:
        return progress.pattern_of({})
