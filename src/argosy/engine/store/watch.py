"""Watches: readers of the store's history, each at its own position.

A watch holds no buffer. It reads from the history that all share, so that a thousand watches cost a thousand positions,
and one that falls behind what the history keeps is cut with `Expired`, never fed from unbounded memory.
"""

from __future__ import annotations

import asyncio

from argosy.engine.store.mvcc import Lane
from argosy.engine.store.records import Change


class Hub:
    """Wakes the watches of one resource."""

    __slots__ = ("watches",)

    def __init__(self) -> None:
        self.watches: set[Watch] = set()

    def wake(self) -> None:
        """There is something new."""
        for watch in self.watches:
            watch.wake()


class Watch:
    """An async iterator of batches of changes, in order and without gaps; ends when it or the store is closed.

    Raises `Expired` when its reader is too slow: list again.
    """

    def __init__(self, lane: Lane, hub: Hub, since: int, namespace: str | None) -> None:
        self._lane = lane
        self._hub = hub
        self._namespace = namespace
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
