"""Prometheus' text format, in which the gateway and the model server tell what they count. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds in seconds: from a cached answer to a long generation."""


@dataclass(slots=True)
class Histogram:
    """Seconds, in cumulative buckets when written."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(_BUCKETS, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, labels: str) -> list[str]:
        """The sample lines."""
        found, so_far = [], 0
        for bound, count in zip((*map(str, _BUCKETS), "+Inf"), self.counts, strict=True):
            so_far += count
            found.append(f'{name}_bucket{{{labels},le="{bound}"}} {so_far}')
        return [*found, f"{name}_sum{{{labels}}} {self.total:.6f}", f"{name}_count{{{labels}}} {so_far}"]


def header(name: str, help: str, kind: str) -> list[str]:
    """The two lines before a metric's samples."""
    return [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]


def label(name: str, value: str) -> str:
    """`name="value"`, escaped."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{escaped}"'
