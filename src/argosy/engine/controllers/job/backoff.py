"""How long a Job waits after failures before it makes the next pod: 10 s, doubled, at most 6 minutes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from argosy.engine.controllers.job.census import Census, finished_at
from argosy.meta.json import Obj

FIRST_SECONDS = 10.0
MAX_SECONDS = 360.0


def wait_seconds(census: Census, now: datetime) -> float:
    """Seconds left before new pods may be made; 0 when they may be made at once."""
    return after_failures(census.failed, census.succeeded, now)


def after_failures(failed: Sequence[Obj], succeeded: Sequence[Obj], now: datetime) -> float:
    """The same for any set of pods (those of one index, say): failures since the last success count."""
    if not failed:
        return 0.0
    success = max((finished_at(pod, now) for pod in succeeded), default=None)
    ends = sorted(finished_at(pod, now) for pod in failed)
    recent = [end for end in ends if success is None or end > success]
    if not recent:
        return 0.0
    delay = min(FIRST_SECONDS * 2.0 ** min(len(recent) - 1, 30), MAX_SECONDS)
    return max(0.0, (recent[-1] + timedelta(seconds=delay) - now).total_seconds())
