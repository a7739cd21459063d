"""Watches: readers of the store's history, each at its own position.

A watch holds no buffer. It reads from the history that all share, so that a thousand watches cost a thousand positions,
and one that falls behind what the history keeps is cut with `Expired`, never fed from unbounded memory.
"""

from __future__ import annotations

import asyncio

from argosy.engine.store.mvcc import Lane
from argosy.engine.store.records import Change

_WOKEN_AT_ONCE = 8
"""In one turn of the event loop. Everybody else has a turn between some of a thousand watches and the next, and what
changes meanwhile reaches those that come later in one batch.
"""

_FEW = 64
_ROUND_SECONDS = 50e-6
"""What a round takes at least for each watch beyond a few, so that a thousand of them get what changes in 50 ms in one write
each, and not every change in a write of its own. The first change after a pause waits for nothing.
"""


class Hub:
    """Wakes the watches of one resource, some at a time, round by round."""

    __slots__ = ("_due", "_news", "_next", "_waking", "watches")

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self._due: list[Watch] = []
        self._news = False
        self._next = 0.0
        """When the next round may begin, on the event loop's clock."""
        self._waking = False

    def wake(self) -> None:
        """There is something new."""
        self._news = True
        if not self._waking:
            self._begin(asyncio.get_running_loop())

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waking = True
        if self._next > loop.time():
            loop.call_at(self._next, self._wake_some)
        else:
            self._wake_some()

    def _wake_some(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._due:
            self._due, self._news = list(self.watches), False
            self._next = loop.time() + max(0, len(self._due) - _FEW) * _ROUND_SECONDS
        for watch in self._due[-_WOKEN_AT_ONCE:]:
            watch.wake()
        del self._due[-_WOKEN_AT_ONCE:]
        self._waking = bool(self._due)
        if self._waking:
            loop.call_soon(self._wake_some)
        elif self._news:
            self._begin(loop)


class Watch:
    """An async iterator of batches of changes, in order and without gaps; ends when it or the store is closed.

    Raises `Expired` when its reader is too slow: list again.
    """

    def __init__(self, lane: Lane, hub: Hub, since: int, namespace: str | None, name: str) -> None:
        self._lane = lane
        self._hub = hub
        self._namespace = namespace
        self._name = name
        self._position = lane.position_after(since)
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        hub.watches.add(self)

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> list[Change]:
        """The next changes, all that there are, at least one."""
        while True:
            batch = self.take()
            if batch:
                return batch
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def take(self) -> list[Change]:
        """The changes that are there now, perhaps none. Raises Expired."""
        if self._closed:
            return []
        batch = self._lane.read(self._position)
        self._position = self._lane.end
        if self._namespace is not None:
            batch = [change for change in batch if change.record.key.namespace == self._namespace]
        if self._name:
            batch = [change for change in batch if change.record.key.name == self._name]
        return batch

    @property
    def behind(self) -> bool:
        """Whether there are changes that it has not taken: if not, a bookmark may carry the store's revision."""
        return self._position < self._lane.end

    def wake(self) -> None:
        """Called by the store when there is something new."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """End the watch; its reader's loop ends."""
        self._closed = True
        self._hub.watches.discard(self)
        self.wake()
