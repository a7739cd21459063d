"""Cron schedules: when is the next time, and which was the last. Pure.

The five fields of crontab with lists, ranges, steps and names; `@hourly` and its kin; `@every 90s`. Wall-clock times that a
change to summer time skips are skipped, those that it repeats happen once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {
    name: n
    for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_DAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_YEARS_AHEAD = 5
_LOOKBACKS = tuple(timedelta(minutes=m) for m in (2, 61, 1441, 45_000, 530_000, 2_700_000))


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule in a time zone."""

    zone: ZoneInfo
    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = True
    """The day-of-month field is `*`: then the weekday alone decides, otherwise either suffices."""
    any_weekday: bool = True
    every: timedelta | None = None

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time later than `moment`; None when there is none within five years (the 30th of February)."""
        if self.every is not None:
            return moment.replace(microsecond=0) + self.every
        local = moment.astimezone(self.zone).replace(tzinfo=None, second=0, microsecond=0) + timedelta(minutes=1)
        horizon = local.year + _YEARS_AHEAD
        while local.year <= horizon:
            if local.month not in self.months:
                local = _first_of_next_month(local)
            elif not self._on_day(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes:
                local += timedelta(minutes=1)
            else:
                found = local.replace(tzinfo=self.zone).astimezone(UTC)
                exists = found.astimezone(self.zone).replace(tzinfo=None) == local
                if exists and found > moment:
                    return found
                local += timedelta(minutes=1)
        return None

    def last_until(self, moment: datetime, after: datetime) -> datetime | None:
        """The latest time that is later than `after` and not later than `moment`."""
        if self.every is not None:
            count = (moment - after) // self.every
            return after.replace(microsecond=0) + count * self.every if count > 0 else None
        for lookback in _LOOKBACKS:
            found = self.next_after(max(after, moment - lookback))
            if found is not None and found <= moment:
                while (later := self.next_after(found)) is not None and later <= moment:
                    found = later
                return found
            if moment - lookback <= after:
                return None
        return None

    def _on_day(self, local: datetime) -> bool:
        by_date = local.day in self.days
        by_weekday = (local.weekday() + 1) % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_date and by_weekday
        return by_date or by_weekday


@lru_cache(maxsize=512)
def parse(text: str, zone: str = "") -> Schedule:
    """Read a schedule. Raises ValueError in one sentence that says what is wrong."""
    try:
        place = ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"unknown time zone {zone}; use a name such as Europe/Paris") from None
    text = text.strip()
    if text.startswith("@every "):
        return Schedule(place, every=_duration(text[7:]))
    fields = _MACROS.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f"expected 5 fields in the schedule {text!r}, found {len(fields)}")
    minutes, hours, days, months, weekdays = fields
    return Schedule(
        place,
        _field(minutes, 0, 59),
        _field(hours, 0, 23),
        _field(days, 1, 31),
        _field(months, 1, 12, _MONTHS),
        frozenset(day % 7 for day in _field(weekdays, 0, 7, _DAYS)),
        days[0] in "*?",
        weekdays[0] in "*?",
    )


def _field(text: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first in {"*", "?"}:
            start, end = low, high - (names is _DAYS)
        else:
            start = _number(first, names)
            end = _number(last, names) if dash else (high if step else start)
        width = _number(step, None) if step else 1
        if not (low <= start <= end <= high) or width < 1:
            raise ValueError(f"{part!r} is not within {low}-{high} in the schedule")
        found.update(range(start, end + 1, width))
    return frozenset(found)


def _number(text: str, names: dict[str, int] | None) -> int:
    if text.isdigit():
        return int(text)
    if names and text.lower() in names:
        return names[text.lower()]
    raise ValueError(f"{text!r} is no number in the schedule")


def _duration(text: str) -> timedelta:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if not parts or "".join(n + u for n, u in parts) != text.strip():
        raise ValueError(f"{text!r} is no duration such as 1h30m")
    return max(timedelta(seconds=1), timedelta(seconds=sum(float(n) * _UNITS[u] for n, u in parts)))


def _first_of_next_month(local: datetime) -> datetime:
    year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
    return datetime(year, month, 1)  # noqa: DTZ001 - wall clock of the schedule's own zone
