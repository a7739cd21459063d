"""Which replica answers a request: the one with the fewest requests, among those not known to be in trouble.

Pure but for the counters in `Replica`, which the caller keeps. A replica that refuses connections answers quickly and so
always has the fewest requests; `avoid_until` keeps it from drawing them all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

_FIRST_SECONDS, _LAST_SECONDS = 0.2, 5.0


@dataclass(slots=True, eq=False)
class Replica:
    """One ready endpoint. Times are the event loop's."""

    address: str
    port: int
    in_flight: int = 0
    served: int = 0
    """Requests so far; ties go to the one with fewer."""
    failures: int = 0
    """In a row."""
    avoid_until: float = 0.0
    aborts: set[Callable[[], None]] = field(default_factory=set)
    """What ends the attempts that are under way, should the replica vanish without a word."""

    @property
    def url(self) -> str:
        """`http://10.64.0.7:8080`."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}"


def choose(replicas: Iterable[Replica], now: float, limit: int = 0, tried: Collection[Replica] = ()) -> Replica | None:
    """The best replica that may be asked now, None when there is none. One that was tried comes last."""
    usable = [r for r in replicas if r.avoid_until <= now and not (limit and r.in_flight >= limit)]
    return min(usable, key=lambda r: (r in tried, r.in_flight, r.served, r.address, r.port), default=None)


def usable_at(replicas: Iterable[Replica], now: float) -> float | None:
    """When the first replica that is being avoided may be asked again."""
    return min((r.avoid_until for r in replicas if r.avoid_until > now), default=None)


def failed(replica: Replica, now: float) -> None:
    """Note that a replica did not answer: leave it alone for a while, longer each time."""
    replica.avoid_until = now + min(_FIRST_SECONDS * 2 ** min(replica.failures, 10), _LAST_SECONDS)
    replica.failures += 1


def answered(replica: Replica) -> None:
    """Note that a replica works."""
    replica.failures = 0
    replica.avoid_until = 0.0
