"""The pods that wait, grouped so that those who cannot be placed cost nothing until something changes. Pure.

Pods with the same signature stand or fall together: when one does not fit, its group rests until the snapshot gains room (or,
for groups that look around, until any pod is placed). So ten thousand equal pods that wait for a full node cost one decision
per change, not ten thousand.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import islice

from argosy.engine.scheduler.messages import Unfit
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.engine.scheduler.snapshot import Snapshot

_FIRST_TRIED = 32
"""How many of a group that has failed before are tried first; all of them once these were placed."""


@dataclass(slots=True)
class _Group:
    pods: dict[str, PodInfo] = field(default_factory=dict)
    failed_at: tuple[int, int] | None = None
    """(gains, puts) of the snapshot when the last one did not fit."""
    unfit: Unfit | None = None
    """Why it did not; None where that is only a matter of moments."""
    whole: bool = False
    """A gang: always tried with all members."""
    looks_around: bool = False


class Waiting:
    """Unplaced pods by uid."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, _Group] = {}
        self._places: dict[str, Hashable] = {}
        self._newcomers: list[str] = []
        """Pods that joined a group while it rests, so that nobody tried them."""

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, uid: str) -> bool:
        return uid in self._places

    def get(self, uid: str) -> PodInfo | None:
        """One of the waiting."""
        place = self._places.get(uid)
        return self._groups[place].pods[uid] if place is not None else None

    def add(self, pod: PodInfo) -> None:
        """A pod waits, or changed while it waits."""
        place: Hashable = pod.gang.name if pod.gang is not None else pod.signature
        known = self._places.get(pod.uid)
        if known is not None and known != place:
            self.remove(pod.uid)
        group = self._groups.get(place)
        if group is None:
            group = self._groups[place] = _Group(whole=pod.gang is not None)
        if pod.uid not in group.pods and group.whole:
            group.failed_at = None  # a gang that gains a member may be complete now
        if pod.uid not in group.pods and group.failed_at is not None:
            self._newcomers.append(pod.uid)
        group.looks_around = group.looks_around or pod.looks_around
        group.pods[pod.uid] = pod
        self._places[pod.uid] = place

    def remove(self, uid: str) -> None:
        """A pod is placed or gone."""
        place = self._places.pop(uid, None)
        if place is None:
            return
        group = self._groups[place]
        del group.pods[uid]
        if not group.pods:
            del self._groups[place]

    def candidates(self, snapshot: Snapshot, limit: int) -> list[PodInfo]:
        """Who is worth trying now, at most about `limit`, higher priority first among groups."""
        found: list[PodInfo] = []
        for group in sorted(self._groups.values(), key=_priority):
            if len(found) >= limit:
                break
            if group.failed_at is not None and not _may_fit_now(group, snapshot):
                continue
            if group.whole:
                found += group.pods.values()
                continue
            room = min(limit - len(found), _FIRST_TRIED if group.failed_at is not None else limit)
            found += _first(group.pods, room)
        return found

    def failed(self, pod: PodInfo, snapshot: Snapshot, unfit: Unfit | None = None) -> None:
        """A pod did not fit: its group rests."""
        place = self._places.get(pod.uid)
        if place is not None:
            self._groups[place].failed_at = (snapshot.gains, snapshot.puts)
            self._groups[place].unfit = unfit

    def newcomers(self) -> list[tuple[PodInfo, Unfit]]:
        """Who has joined groups that rest since this was last asked, and what keeps those waiting."""
        found: list[tuple[PodInfo, Unfit]] = []
        for uid in self._newcomers:
            place = self._places.get(uid)
            group = self._groups[place] if place is not None else None
            if group is not None and group.failed_at is not None and group.unfit is not None:
                found.append((group.pods[uid], group.unfit))
        self._newcomers.clear()
        return found

    def placed(self, pod: PodInfo) -> None:
        """A pod fitted: its group need not rest, unless another of it then failed."""
        place = self._places.get(pod.uid)
        if place is not None:
            self._groups[place].failed_at = None

    def fellows(self, pod: PodInfo) -> list[PodInfo]:
        """All that stand or fall with a pod, itself included."""
        place = self._places.get(pod.uid)
        return list(self._groups[place].pods.values()) if place is not None else []


def _priority(group: _Group) -> int:
    return -next(iter(group.pods.values())).priority


def _may_fit_now(group: _Group, snapshot: Snapshot) -> bool:
    assert group.failed_at is not None, "only groups that rest are asked about"
    gains, puts = group.failed_at
    return snapshot.gains != gains or (group.looks_around and snapshot.puts != puts)


def _first(pods: dict[str, PodInfo], count: int) -> list[PodInfo]:
    if count >= len(pods):
        return list(pods.values())
    return list(islice(pods.values(), count))
