"""The objects of one kind as last seen, with indexes. Pure: `Informer` feeds it from lists and watches.

It turns whatever a server sends, repeats and gaps included, into changes that are consistent: an object is added before it
is modified or deleted, never twice, and never goes back in time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from argosy.meta.json import Obj
from argosy.meta.objects import Key, key_of, uid_of, version_of

OWNER = "owner"
"""The index that every cache has: by the uid of the controlling owner."""


class Change(NamedTuple):
    """What happened to an object: ADDED, MODIFIED or DELETED, and the state before (the same object for DELETED)."""

    type: str
    obj: Obj
    old: Obj | None


@dataclass(slots=True)
class _Index:
    of: Callable[[Obj], Iterable[str]]
    entries: dict[str, dict[Key, Obj]] = field(default_factory=dict)

    def move(self, key: Key, old: Obj | None, new: Obj | None) -> None:
        before = tuple(self.of(old)) if old is not None else ()
        after = tuple(self.of(new)) if new is not None else ()
        for value in before:
            if value not in after:
                entry = self.entries[value]
                entry.pop(key, None)
                if not entry:
                    del self.entries[value]
        for value in after:
            assert new is not None, "an object that is gone has no values"
            self.entries.setdefault(value, {})[key] = new


class Cache:
    """Objects by key. `version` is the newest resourceVersion heard of, as a number (0 when they are not numbers)."""

    def __init__(self) -> None:
        self.objects: dict[Key, Obj] = {}
        self.version = 0
        self._indexes: dict[str, _Index] = {OWNER: _Index(_owner)}

    def items(self) -> Collection[Obj]:
        """All objects, in no order."""
        return self.objects.values()

    def index(self, name: str, of: Callable[[Obj], Iterable[str]]) -> None:
        """Keep an index; naming one that exists changes nothing."""
        if name in self._indexes:
            return
        index = self._indexes[name] = _Index(of)
        for key, obj in self.objects.items():
            index.move(key, None, obj)

    def indexed(self, name: str, value: str) -> Sequence[Obj]:
        """The objects that an index files under a value, in no order."""
        entry = self._indexes[name].entries.get(value)
        return list(entry.values()) if entry else ()

    def apply(self, type: str, obj: Obj) -> list[Change]:
        """Take one event of a watch. Repeats and echoes of the past change nothing."""
        key = key_of(obj)
        old = self.objects.get(key)
        version = _number(version_of(obj))
        self.version = max(self.version, version)
        if old is not None and _is_past(obj, old, deleted=type == "DELETED"):
            return []
        if type == "DELETED":
            if old is None:
                return []
            self._put(key, old, None)
            return [Change("DELETED", obj, old)]
        changes: list[Change] = []
        if old is not None and uid_of(old) != uid_of(obj):
            # Its deletion went by unseen: whoever counts by uid must hear of it.
            self._put(key, old, None)
            changes.append(Change("DELETED", old, old))
            old = None
        self._put(key, old, obj)
        changes.append(Change("MODIFIED" if old is not None else "ADDED", obj, old))
        return changes

    def replace(self, objects: Iterable[Obj], version: str) -> list[Change]:
        """Take a whole list: what it lacks is deleted."""
        fresh = {key_of(obj): obj for obj in objects}
        changes: list[Change] = []
        for key, old in list(self.objects.items()):
            if key not in fresh:
                self._put(key, old, None)
                changes.append(Change("DELETED", old, old))
        for key, obj in fresh.items():
            known = self.objects.get(key)
            if known is None or version_of(known) != version_of(obj) or uid_of(known) != uid_of(obj):
                # A list is the present, even where its versions are smaller: the server may have been restored.
                if known is not None and uid_of(known) != uid_of(obj):
                    self._put(key, known, None)
                    changes.append(Change("DELETED", known, known))
                    known = None
                self._put(key, known, obj)
                changes.append(Change("MODIFIED" if known is not None else "ADDED", obj, known))
        self.version = _number(version)
        return changes

    def saw(self, version: str) -> None:
        """A bookmark: everything up to this version has been sent."""
        self.version = max(self.version, _number(version))

    def _put(self, key: Key, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            del self.objects[key]
        else:
            self.objects[key] = new
        for index in self._indexes.values():
            index.move(key, old, new)


def _owner(obj: Obj) -> tuple[str, ...]:
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return (reference.get("uid") or "",)
    return ()


def _is_past(obj: Obj, known: Obj, *, deleted: bool) -> bool:
    new, old = version_of(obj), version_of(known)
    if new == old:
        # A deletion may carry the last state's own version.
        return not deleted
    return new.isdigit() and old.isdigit() and int(new) < int(old)


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0
