"""What the store knows, in memory: the present state, what is on its way to the disk, and the recent past.

`Store` drives it: `prepare` decides a commit at once (expectations are checked against what is under way as well, so of
two rivals exactly one wins without waiting for the disk), `settle` makes it visible when it is durable, `discard` undoes
whatever is under way when the disk refuses. Pure: no I/O, no clock, no tasks.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from argosy.engine.store.records import Change, ChangeType, Mismatch, Op, Put, Record
from argosy.errors import Expired
from argosy.meta.json import Obj, encode
from argosy.meta.objects import Key


class Table:
    """The objects of one resource, by key and in order of their keys."""

    __slots__ = ("order", "records")

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.order: list[Key] = []

    def put(self, record: Record) -> None:
        """Insert or replace."""
        if record.key not in self.records:
            insort(self.order, record.key)
        self.records[record.key] = record

    def remove(self, key: Key) -> None:
        """Take out; absent keys are fine."""
        if self.records.pop(key, None) is not None:
            del self.order[bisect_left(self.order, key)]

    def list(self, namespace: str | None) -> list[Record]:
        """In order of (namespace, name)."""
        records = self.records
        if not records:
            return []
        if namespace is None:
            return [records[key] for key in self.order]
        low = bisect_left(self.order, Key(namespace, ""))
        high = bisect_left(self.order, Key(namespace + "\0", ""), lo=low)
        return [records[key] for key in self.order[low:high]]


class Lane:
    """The recent changes of one resource. Positions count every change there ever was, so they survive eviction."""

    __slots__ = ("changes", "end", "floor")

    def __init__(self, floor: int) -> None:
        self.changes: deque[Change] = deque()
        self.end = 0
        """The position after the newest change."""
        self.floor = floor
        """Every change of this resource after this revision is still here."""

    def position_after(self, revision: int) -> int:
        """Where a reader who has seen `revision` goes on. Raises Expired when that is no longer known."""
        if revision < self.floor:
            raise _expired(revision, self.floor)
        newer = 0
        for change in reversed(self.changes):
            if change.record.revision <= revision:
                break
            newer += 1
        return self.end - newer

    def read(self, position: int) -> list[Change]:
        """Everything from `position` on. Raises Expired for a reader who fell behind what is kept."""
        count = self.end - position
        if count > len(self.changes):
            raise Expired("this watch fell too far behind; list again and watch from there")
        if count <= 0:
            return []
        newest_first = list(islice(reversed(self.changes), count))
        newest_first.reverse()
        return newest_first


class History:
    """The recent past of all resources, bounded in number and in bytes."""

    def __init__(self, *, changes_max: int, bytes_max: int) -> None:
        self._lanes: dict[str, Lane] = {}
        self._order: deque[Lane] = deque()
        self._changes_max = changes_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._base = 0
        self.floor = 0
        """The newest revision that was evicted: what the disk need not keep either."""

    def lane(self, resource: str) -> Lane:
        """The changes of one resource."""
        lane = self._lanes.get(resource)
        if lane is None:
            lane = self._lanes[resource] = Lane(self._base)
        return lane

    def begin(self, floor: int) -> None:
        """Nothing up to `floor` is known: the history of a store that was opened again starts there."""
        self.floor = self._base = floor

    def append(self, change: Change) -> None:
        """Add the newest change. The bounds are kept by `trim`, so that a commit larger than them can still be read."""
        lane = self.lane(change.record.resource)
        lane.changes.append(change)
        lane.end += 1
        self._order.append(lane)
        self._bytes += len(change.record.raw)

    def trim(self) -> None:
        """Evict the oldest changes beyond the bounds."""
        while len(self._order) > self._changes_max or self._bytes > self._bytes_max:
            self._evict()

    def forget(self, revision: int) -> None:
        """Evict everything up to a revision, for compaction on demand."""
        while self._order and self._order[0].changes[0].record.revision <= revision:
            self._evict()
        self.floor = max(self.floor, revision)
        self._base = max(self._base, revision)
        for lane in self._lanes.values():
            lane.floor = max(lane.floor, revision)

    def _evict(self) -> None:
        lane = self._order.popleft()
        record = lane.changes.popleft().record
        lane.floor = record.revision
        self.floor = max(self.floor, record.revision)
        self._bytes -= len(record.raw)


class State:
    """The present, and what is on its way to the disk."""

    def __init__(self, history: History) -> None:
        self.revision = 0
        """The newest durable revision."""
        self.history = history
        self._assigned = 0
        self._tables: dict[str, Table] = {}
        self._pending: dict[tuple[str, Key], Change] = {}

    def table(self, resource: str) -> Table:
        """The durable objects of one resource."""
        table = self._tables.get(resource)
        if table is None:
            table = self._tables[resource] = Table()
        return table

    def resources(self) -> list[str]:
        """Every resource that has objects."""
        return sorted(resource for resource, table in self._tables.items() if table.records)

    def newest(self, resource: str, key: Key) -> Record | None:
        """The state that a commit's expectation is held against: what is under way, else what is durable."""
        pending = self._pending.get((resource, key))
        if pending is not None:
            return None if pending.type == "DELETED" else pending.record
        table = self._tables.get(resource)
        return table.records.get(key) if table else None

    def restore(self, revision: int, floor: int, changes: Iterable[Change]) -> None:
        """Take what a disk kept: changes in order, of which those after `floor` are history as well."""
        self.history.begin(floor)
        for change in changes:
            self._show(change)
            if change.record.revision > floor:
                self.history.append(change)
        self.history.trim()
        self.revision = self._assigned = revision

    def prepare(self, ops: Sequence[Op]) -> list[Change]:
        """Decide a commit: every op gets the next revision, and later commits see it as under way.

        Raises Mismatch, with nothing changed, when an expectation does not hold.
        """
        staged: dict[tuple[str, Key], Change] = {}
        changes: list[Change] = []
        revision = self._assigned
        for op in ops:
            place = (op.resource, op.key)
            before = staged.get(place)
            if before is None:
                current = self.newest(op.resource, op.key)
            else:
                current = None if before.type == "DELETED" else before.record
            _check(op, current)
            revision += 1
            change = staged[place] = _change(op, current, revision)
            changes.append(change)
        self._assigned = revision
        self._pending.update(staged)
        return changes

    def settle(self, changes: Iterable[Change]) -> None:
        """These changes are durable: show them."""
        for change in changes:
            self._show(change)
            place = (change.record.resource, change.record.key)
            if self._pending.get(place) is change:
                del self._pending[place]
            self.history.append(change)
            self.revision = change.record.revision

    def discard(self) -> None:
        """Nothing that is under way will become durable. Revisions that were given out are not given out again."""
        self._pending.clear()

    def _show(self, change: Change) -> None:
        table = self.table(change.record.resource)
        if change.type == "DELETED":
            table.remove(change.record.key)
        else:
            table.put(change.record)


def _check(op: Op, current: Record | None) -> None:
    if isinstance(op, Put):
        if op.expect is not None and op.expect != (current.revision if current else 0):
            raise Mismatch(op, current)
    elif current is None or (op.expect is not None and op.expect != current.revision):
        raise Mismatch(op, current)


def _change(op: Op, current: Record | None, revision: int) -> Change:
    type: ChangeType
    if isinstance(op, Put):
        type, obj = ("MODIFIED" if current else "ADDED"), op.obj
    else:
        assert current is not None, "_check refuses to remove what is not there"
        type, obj = "DELETED", op.obj if op.obj is not None else current.obj
    stamped: Obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
    return Change(type, Record(op.resource, op.key, revision, encode(stamped), stamped), current)


def _expired(revision: int, floor: int) -> Expired:
    return Expired(f"too old resource version: {revision} ({floor})")
