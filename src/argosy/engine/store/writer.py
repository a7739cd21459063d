"""The one thread that writes, and the group commit that makes it fast.

`Store` submits batches; whatever arrived while the disk was busy with the last transaction goes into the next one. The
thread reports back to the event loop in the order of submission. When a write fails, everything submitted before the loop
heard of it fails as well, since it was decided on top of what failed: an epoch, which the loop advances, tells the two
sides' views apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from argosy.engine.store.records import Change, StoreFailed
from argosy.engine.store.sqlite import SqliteLog, row_of


@dataclass(frozen=True, slots=True)
class Group:
    """The commits of one turn of the event loop."""

    epoch: int
    commits: Sequence[tuple[Sequence[Change], asyncio.Future[None]]]


class Outcome(Protocol):
    """What the event loop does when it hears of groups."""

    def __call__(self, groups: Sequence[Group], error: StoreFailed | None) -> None:
        """These groups are durable, or failed."""
        ...


class InlineWriter:
    """Keeps nothing: for stores in memory. Needs no thread, so it runs under virtual time."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def submit(self, group: Group) -> None:
        """Everything is as durable as it gets."""
        asyncio.get_running_loop().call_soon(self._outcome, [group], None)

    def compact(self, floor: int) -> None:
        """Nothing to compact."""

    async def close(self) -> None:
        """Nothing to close."""


class ThreadWriter:
    """Writes groups to SQLite from a thread of its own."""

    def __init__(self, log: SqliteLog, outcome: Outcome) -> None:
        self._log = log
        self._outcome = outcome
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[Group | int | None] = queue.SimpleQueue()
        self._failed_epoch = -1
        self._floor = log.floor
        self._closed = self._loop.create_future()
        # A daemon, so that an engine that dies of something else is not held up; what it acknowledged is durable.
        self._thread = threading.Thread(target=self._run, name="argosy-store", daemon=True)
        self._thread.start()

    def submit(self, group: Group) -> None:
        """Write a group; `outcome` is called in the event loop when its fate is known."""
        self._inbox.put(group)

    def compact(self, floor: int) -> None:
        """Forget history up to a revision, when there is nothing better to do."""
        self._inbox.put(floor)

    async def close(self) -> None:
        """Write what was submitted, close the file, end the thread."""
        self._inbox.put(None)
        await self._closed
        self._thread.join()

    def _run(self) -> None:
        closing = False
        while not closing:
            groups, closing = self._gather()
            if groups:
                self._write(groups)
            elif self._floor > self._log.floor:
                self._compact()
        # Should this fail: what was acknowledged is in the write-ahead log, and the next start folds it in.
        with contextlib.suppress(StoreFailed):
            self._log.close()
        self._tell(self._closed.set_result, None)

    def _gather(self) -> tuple[list[Group], bool]:
        """Whatever is there; waits only when there is nothing to do at all."""
        groups: list[Group] = []
        block = self._floor <= self._log.floor
        while True:
            try:
                item = self._inbox.get(block=block)
            except queue.Empty:
                return groups, False
            block = False
            if item is None:
                return groups, True
            if isinstance(item, int):
                self._floor = max(self._floor, item)
            else:
                groups.append(item)

    def _write(self, groups: list[Group]) -> None:
        # Groups of an epoch that has failed were decided on top of what was lost.
        doomed = [group for group in groups if group.epoch <= self._failed_epoch]
        sound = [group for group in groups if group.epoch > self._failed_epoch]
        if doomed:
            self._tell(self._outcome, doomed, StoreFailed("a write before this one failed; try again"))
        if not sound:
            return
        try:
            self._log.append([row_of(change) for group in sound for changes, _ in group.commits for change in changes])
        except StoreFailed as error:
            self._failed_epoch = max(group.epoch for group in sound)
            self._tell(self._outcome, sound, error)
        else:
            self._tell(self._outcome, sound, None)

    def _compact(self) -> None:
        try:
            self._log.compact(self._floor)
        except StoreFailed:
            # Space is not freed this time; the next change of the floor asks again.
            self._floor = self._log.floor

    def _tell(self, callback: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            # The event loop is gone, and with it everybody who waited.
            return
