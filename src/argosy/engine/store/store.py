"""The store: objects by key, one revision counter, watches, durable on one machine.

The API server is its only user. Reads come from memory and show only what is durable; `commit` decides at once, in the
event loop, and returns when the disk has it. See `mvcc` for the decisions, `writer` for the group commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from argosy.engine.store.mvcc import History, State
from argosy.engine.store.records import Change, Mismatch, Op, Record, StoreFailed
from argosy.engine.store.sqlite import SqliteLog
from argosy.engine.store.watch import Hub, Watch
from argosy.engine.store.writer import Group, InlineWriter, ThreadWriter
from argosy.meta.objects import Key

__all__ = ["Mismatch", "Store", "StoreFailed"]

_COMPACT_EVERY = 1000
"""Evicted changes between two compactions on disk."""


class Store:
    """Durable, versioned, watchable objects. Made by `open`; used from one event loop."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._hubs: dict[str, Hub] = {}
        self._writer: ThreadWriter | InlineWriter = InlineWriter(self._heard)
        self._epoch = 0
        self._turn: list[tuple[list[Change], asyncio.Future[None]]] = []
        self._compacted = state.history.floor
        self._closed = False
        self.recovered = ""
        """What had to be recovered when it was opened, as a sentence; empty after an orderly end."""

    @classmethod
    async def open(cls, path: Path | None, *, history_changes: int = 20_000, history_bytes: int = 8 << 20) -> Store:
        """Open the store in this file, making it if need be; None keeps everything in memory only.

        `history_changes` and `history_bytes` bound what watches can be resumed from. Raises StoreFailed.
        """
        state = State(History(changes_max=history_changes, bytes_max=history_bytes))
        if path is None:
            return cls(state)
        log = await asyncio.to_thread(_load, path, state)
        store = cls(state)
        store._writer = ThreadWriter(log, store._heard)
        store.recovered = log.recovered
        store._compacted = log.floor
        store._compact_if_due()
        return store

    @property
    def revision(self) -> int:
        """The newest durable revision."""
        return self._state.revision

    def get(self, resource: str, key: Key) -> Record | None:
        """One object, as durable now."""
        return self._state.table(resource).records.get(key)

    def newest(self, resource: str, key: Key) -> Record | None:
        """One object as the next commit will find it, which may not be durable yet. Only for deciding a commit."""
        return self._state.newest(resource, key)

    def list_at(self, resource: str, namespace: str | None, revision: int) -> list[Record]:
        """As `list` answered at an earlier revision. Raises Expired when that is no longer known."""
        lane = self._state.history.lane(resource)
        since = lane.read(lane.position_after(revision))
        if not since:
            return self._state.table(resource).list(namespace)
        then = dict(self._state.table(resource).records)
        for change in reversed(since):
            if change.previous is None:
                then.pop(change.record.key, None)
            else:
                then[change.record.key] = change.previous
        return [then[key] for key in sorted(then) if namespace is None or key.namespace == namespace]

    def list(self, resource: str, namespace: str | None = None) -> list[Record]:
        """All objects of a resource, or those of a namespace, in order of (namespace, name)."""
        return self._state.table(resource).list(namespace)

    def count(self, resource: str) -> int:
        """How many objects a resource has."""
        return len(self._state.table(resource).records)

    def resources(self) -> Sequence[str]:
        """Every resource that has objects, in order."""
        return self._state.resources()

    async def commit(self, ops: Sequence[Op]) -> Sequence[Record]:
        """Carry out all of it or nothing; returns the new records (for a removal the final state) once durable.

        Raises Mismatch at once when an expectation does not hold, StoreFailed when the disk refuses. A caller that is
        cancelled while it waits has asked for the commit nevertheless.
        """
        if self._closed:
            raise StoreFailed("the store is closed; start the engine again")
        changes = self._state.prepare(ops)
        if not changes:
            return []
        loop = asyncio.get_running_loop()
        if not self._turn:
            # Everything that this turn of the loop commits goes to the writer together.
            loop.call_soon(self._submit)
        durable: asyncio.Future[None] = loop.create_future()
        self._turn.append((changes, durable))
        await durable
        return [change.record for change in changes]

    def watch(self, resource: str, since: int, namespace: str | None = None, name: str = "") -> Watch:
        """Follow a resource, or one name in it, after the revision `since`. Raises Expired when that is compacted away."""
        hub = self._hubs.setdefault(resource, Hub())
        watch = Watch(self._state.history.lane(resource), hub, since, namespace, name)
        if self._closed:
            watch.close()
        return watch

    def compact(self, revision: int) -> None:
        """Forget the history up to a revision: watches from before it expire. The present is untouched."""
        self._state.history.forget(min(revision, self.revision))
        self._writer.compact(self._state.history.floor)

    async def close(self) -> None:
        """Write what was committed, end every watch, let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._submit()
        await self._writer.close()
        for hub in self._hubs.values():
            for watch in list(hub.watches):
                watch.close()

    def _submit(self) -> None:
        if self._turn:
            group = Group(self._epoch, self._turn)
            self._turn = []
            self._writer.submit(group)

    def _heard(self, groups: Sequence[Group], error: StoreFailed | None) -> None:
        """The writer's answer, in the event loop, in the order of submission."""
        if error is not None:
            self._fail(groups, error)
            return
        touched: set[str] = set()
        # Before rather than after: who follows closely has had its turn to read what came last, however much it was.
        self._state.history.trim()
        for group in groups:
            for changes, durable in group.commits:
                self._state.settle(changes)
                touched.update(change.record.resource for change in changes)
                if not durable.done():
                    durable.set_result(None)
        for resource in touched:
            if resource in self._hubs:
                self._hubs[resource].wake()
        self._compact_if_due()

    def _fail(self, groups: Sequence[Group], error: StoreFailed) -> None:
        failed = list(groups)
        if any(group.epoch == self._epoch for group in groups):
            # Nothing under way can become durable any more; what was not even handed over fails here.
            failed.append(Group(self._epoch, self._turn))
            self._turn = []
            self._epoch += 1
            self._state.discard()
        for group in failed:
            for _, durable in group.commits:
                if not durable.done():
                    durable.set_exception(StoreFailed(str(error)))

    def _compact_if_due(self) -> None:
        floor = self._state.history.floor
        if floor - self._compacted >= _COMPACT_EVERY:
            self._compacted = floor
            self._writer.compact(floor)


def _load(path: Path, state: State) -> SqliteLog:
    log = SqliteLog.open(path)
    state.restore(log.revision, log.floor, log.changes())
    return log
