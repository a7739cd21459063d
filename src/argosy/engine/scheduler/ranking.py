"""Nodes in order of their score for pods of one signature, kept in order as nodes change. Pure.

A heap whose entries may be out of date: an entry is believed only if its node has not changed since. Nodes that changed are
named by the snapshot's journal and entered anew. So the best node for the next of a thousand equal pods costs a logarithm,
not a look at every node.
"""

from __future__ import annotations

import heapq

from argosy.engine.scheduler.filters import Fit
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.engine.scheduler.scores import score
from argosy.engine.scheduler.snapshot import Snapshot


class Ranking:
    """The nodes that let a signature in, best first."""

    def __init__(self, pod: PodInfo, snapshot: Snapshot, owner: str) -> None:
        self._pod = pod
        self._owner = owner
        self._fit = Fit(pod, snapshot)
        self._snapshot = snapshot
        self._read = snapshot.journal_start + len(snapshot.journal)
        self._heap: list[tuple[float, str, int]] = []
        for name in snapshot.nodes:
            self._enter(name)

    def best(self) -> str | None:
        """The best node that the pod fits now; None when there is none. Leaves the order as it was."""
        self._catch_up()
        heap = self._heap
        while heap:
            _, name, version = heap[0]
            info = self._snapshot.nodes.get(name)
            if info is not None and info.version == version:
                return name
            heapq.heappop(heap)
        return None

    def _catch_up(self) -> None:
        snapshot = self._snapshot
        journal = snapshot.journal
        start = self._read - snapshot.journal_start
        end = len(journal)
        if start == end:
            return
        self._read = snapshot.journal_start + end
        if start < 0 or end - start > 2 * len(snapshot.nodes):
            self._heap.clear()
            changed = list(snapshot.nodes)
        else:
            changed = list(dict.fromkeys(journal[start:]))
        for name in changed:
            self._enter(name)
        if len(self._heap) > 4 * len(snapshot.nodes) + 64:
            self._prune()

    def _enter(self, name: str) -> None:
        info = self._snapshot.nodes.get(name)
        if info is None or self._fit.enters(info) or self._fit.finds_room(info):
            return
        heapq.heappush(self._heap, (-score(self._pod, info, self._snapshot, self._owner), name, info.version))

    def _prune(self) -> None:
        nodes = self._snapshot.nodes
        self._heap = [
            entry for entry in self._heap if (info := nodes.get(entry[1])) is not None and info.version == entry[2]
        ]
        heapq.heapify(self._heap)
