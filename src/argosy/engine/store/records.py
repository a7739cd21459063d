"""The values that go into the store and come out of it.

The API server builds `Put` and `Remove`, hands them to `Store.commit`, and reads `Record` and `Change` back. They stand
apart from `mvcc` so that whoever only reads needs nothing else.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from argosy.errors import ArgosyError
from argosy.meta import fieldset
from argosy.meta.json import Obj, decode
from argosy.meta.objects import Key

ChangeType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]


_KEPT_BYTES_MAX = 1 << 16
"""Larger objects (definitions, archives in Secrets) are few and rarely looked at, and decoded take several times their
size: they are decoded each time.
"""

_RECENT_MAX = 512
"""So many records keep their decoded object for the next who asks; of older ones only those that somebody else holds too (an
informer, say) are kept, for decoded an object takes several times its bytes.
"""


class _Head(msgspec.Struct):
    metadata: Obj


class Record:
    """One revision of one object, immutable. Everybody who sees this revision shares this value, so its object is
    decoded once and its bytes are encoded once.
    """

    __slots__ = ("_obj", "key", "raw", "resource", "revision")

    def __init__(self, resource: str, key: Key, revision: int, raw: bytes, obj: Obj | None = None) -> None:
        self.resource = resource
        """`Kind.resource`: `deployments.apps`, `pods`."""
        self.key = key
        self.revision = revision
        self.raw = raw
        """The object as JSON, with `metadata.resourceVersion`."""
        self._obj = obj if len(raw) <= _KEPT_BYTES_MAX else None
        if self._obj is not None:
            _remember(self)

    @property
    def obj(self) -> Obj:
        """The decoded object; shared, so `thaw` it before changing anything."""
        if self._obj is not None:
            return self._obj
        obj: Obj = decode(self.raw)
        if len(self.raw) <= _KEPT_BYTES_MAX:
            for entry in obj["metadata"].get("managedFields") or ():
                if "fieldsV1" in entry:
                    entry["fieldsV1"] = fieldset.ordered(entry["fieldsV1"])  # one tree for all that are alike
            self._obj = obj
            _remember(self)
        return obj

    @property
    def metadata(self) -> Obj:
        """The object's metadata; of a large object nothing else is decoded."""
        if self._obj is not None or len(self.raw) <= _KEPT_BYTES_MAX:
            metadata: Obj = self.obj["metadata"]
            return metadata
        return msgspec.json.decode(self.raw, type=_Head).metadata

    def __repr__(self) -> str:
        return f"<Record {self.resource} {self.key} @{self.revision}>"


_recent: deque[Record] = deque()


def _remember(record: Record) -> None:
    _recent.append(record)
    if len(_recent) > _RECENT_MAX:
        oldest = _recent.popleft()
        obj = oldest._obj
        if sys.getrefcount(obj) <= _UNSHARED:
            oldest._obj = None


_UNSHARED = 3
"""References to an object that nobody but its record has: the record's, and two while it is asked."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write an object. The store sets `metadata.resourceVersion`; from here on the object belongs to the store."""

    resource: str
    key: Key
    obj: Obj
    expect: int | None = None
    """0: must not exist; N: its current revision must be N; None: whatever is there."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove an object. One that is not there is a `Mismatch`."""

    resource: str
    key: Key
    expect: int | None = None
    """N: its current revision must be N; None: whatever is there."""
    obj: Obj | None = None
    """The final state that watchers are told; by default the last one. It gets the deletion's revision either way."""


Op: TypeAlias = Put | Remove


class Change:
    """One step of history. `record` is the new state, or for DELETED the final one; `previous` what was there before."""

    __slots__ = ("_line", "previous", "record", "type")

    def __init__(self, type: ChangeType, record: Record, previous: Record | None) -> None:
        self.type: ChangeType = type
        self.record = record
        self.previous = previous
        self._line = b""

    @property
    def line(self) -> bytes:
        """The change as one line of a JSON watch, newline included; made once for all who watch."""
        if not self._line:
            self._line = b'{"type":"%b","object":%b}\n' % (self.type.encode(), self.record.raw)
        return self._line

    def __repr__(self) -> str:
        return f"<{self.type} {self.record!r}>"


class Mismatch(ArgosyError):
    """A commit expected another revision than there is. Nothing of the commit was kept.

    `current` is the newest state, perhaps not durable yet: a read-modify-write retries from it and never has to wait for
    the disk to do so.
    """

    def __init__(self, op: Op, current: Record | None) -> None:
        found = f"revision {current.revision}" if current else "nothing"
        super().__init__(f"{op.resource} {op.key}: expected revision {op.expect}, found {found}")
        self.op = op
        self.current = current


class StoreFailed(ArgosyError):
    """The disk did not take a write, or does not give back what it took. Nothing of the commit was kept."""
