"""Where time comes from.

Pure code never asks for the time: it is handed `now`. The loops that hand it over read it here, so that a test can
put another clock in its place, and so that the timestamps of the Kubernetes API are written in one way only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; aware datetimes in UTC."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """`metav1.Time`: whole seconds, `2026-01-31T12:00:00Z`."""
    return f"{_in_utc(moment).isoformat(timespec='seconds')[:19]}Z"


def rfc3339_micro(moment: datetime) -> str:
    """`metav1.MicroTime`: six digits of a second, as Leases and Events carry."""
    return f"{_in_utc(moment).isoformat(timespec='microseconds')[:26]}Z"


def parse_time(text: str) -> datetime:
    """Read either form back. Raises ValueError for anything else."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
