"""The work queue of a reconciler.

Semantics as everybody knows them from client-go: an item that is added while it waits is there once; one that is added
while it is being worked on comes again when that is done; so each item is worked on by one worker at a time and no change
is missed. Failures come back after a delay that doubles per item. Time is the event loop's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class QueueClosed(Exception):
    """The queue was shut down and is empty."""


class WorkQueue(Generic[T]):
    """Items to work on, each at most once at a time.

    `first_seconds` and `last_seconds` bound the delay of an item that fails again and again.
    """

    def __init__(self, *, first_seconds: float = 0.01, last_seconds: float = 60.0) -> None:
        self._first, self._last = first_seconds, last_seconds
        self._ready: deque[T] = deque()
        self._dirty: set[T] = set()
        self._processing: set[T] = set()
        self._failures: dict[T, int] = {}
        self._timers: dict[T, asyncio.TimerHandle] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being worked on; delayed items do not count."""
        return not self._dirty and not self._processing

    def add(self, item: T) -> None:
        """Have it worked on, soon."""
        if self._closed or item in self._dirty:
            return
        self._dirty.add(item)
        if item not in self._processing:
            self._ready.append(item)
            self._wake()

    def add_after(self, item: T, seconds: float) -> None:
        """Have it worked on in a while. Of several delays the earliest counts."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(item)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(item)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[item] = loop.call_later(seconds, self._due, item)

    def add_rate_limited(self, item: T) -> None:
        """It failed: have it worked on again, later each time."""
        failures = self._failures.get(item, 0)
        self._failures[item] = failures + 1
        self.add_after(item, min(self._last, self._first * 2 ** min(failures, 30)))

    def failures(self, item: T) -> int:
        """How often it failed since it last succeeded."""
        return self._failures.get(item, 0)

    def forget(self, item: T) -> None:
        """It succeeded: the next failure starts from the shortest delay."""
        self._failures.pop(item, None)

    async def get(self) -> T:
        """The next item; `done` must follow. Raises QueueClosed after `shut_down`."""
        while not self._ready:
            if self._closed:
                raise QueueClosed
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                # A wake-up that reached a worker which goes away belongs to another.
                if getter.done() and not getter.cancelled():
                    self._wake()
                raise
            finally:
                if getter in self._getters:
                    self._getters.remove(getter)
        item = self._ready.popleft()
        self._dirty.discard(item)
        self._processing.add(item)
        return item

    def done(self, item: T) -> None:
        """Work on it has ended; if it was added meanwhile, it comes again."""
        self._processing.discard(item)
        if item in self._dirty:
            self._ready.append(item)
            self._wake()

    def shut_down(self) -> None:
        """Take no more; workers get what is ready, then QueueClosed."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        while self._getters:
            self._wake()

    def _due(self, item: T) -> None:
        self._timers.pop(item, None)
        self.add(item)

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
