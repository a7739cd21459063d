"""Who owns whom, and what follows from it. Pure: `loop` feeds it what watches tell and carries out what it says.

Kubernetes' three ways of deleting an owner: background (the owner goes, its dependents follow), foreground (the owner waits,
held by a finalizer, until the dependents that block it are gone) and orphan (the dependents forget the owner first).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, is_deleting, key_of, uid_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner reference."""

    uid: str
    api_version: str
    kind: str
    name: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What the collector keeps of an object."""

    kind: Kind
    key: Key
    uid: str
    owners: tuple[Owner, ...] = ()
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    """Only the two that are the collector's own."""

    @property
    def waits(self) -> bool:
        """Whether its deletion waits for its dependents."""
        return self.deleting and FOREGROUND in self.finalizers


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete an object."""

    entry: Entry
    propagation: str


@dataclass(frozen=True, slots=True)
class Disown:
    """Take owner references out of an object."""

    entry: Entry
    owners: frozenset[str]


@dataclass(frozen=True, slots=True)
class Free:
    """Take one of the collector's finalizers off an object."""

    entry: Entry
    finalizer: str


@dataclass(frozen=True, slots=True)
class Verify:
    """Ask the server whether an owner that was never seen, or is seen no more, is there."""

    entry: Entry
    owner: Owner


Step: TypeAlias = Remove | Disown | Free | Verify


def entry_of(kind: Kind, obj: Obj) -> Entry:
    """What to keep of an object."""
    meta = obj["metadata"]
    references = meta.get("ownerReferences") or ()
    finalizers = meta.get("finalizers") or ()
    return Entry(
        kind,
        key_of(obj),
        uid_of(obj),
        tuple(
            Owner(
                str(r.get("uid")), str(r.get("apiVersion")), str(r.get("kind")), str(r.get("name")),
                bool(r.get("blockOwnerDeletion")),
            )
            for r in references
        ),
        is_deleting(obj),
        tuple(f for f in finalizers if f in (FOREGROUND, ORPHAN)),
    )  # fmt: skip


class Graph:
    """All objects that are known, and the index from owners to dependents."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._dependents: dict[str, dict[str, None]] = {}
        self._gone: dict[str, None] = {}

    def see(self, kind: Kind, obj: Obj) -> Iterable[str]:
        """An object is there, or changed. Returns the uids of what should be judged now."""
        new = entry_of(kind, obj)
        old = self.entries.get(new.uid)
        if old == new:
            return ()
        self._link(old, new)
        self.entries[new.uid] = new
        self._gone.pop(new.uid, None)
        affected = {new.uid} if new.owners or new.deleting else set()
        if new.deleting and (old is None or not old.deleting or old.finalizers != new.finalizers):
            affected.update(self._dependents.get(new.uid, ()))
        if new.deleting or (old is not None and old.owners != new.owners):
            affected.update(self._holding(new, old))
        return affected

    def lose(self, obj: Obj) -> Iterable[str]:
        """An object is gone, or no longer seen."""
        old = self.entries.pop(uid_of(obj), None)
        if old is None:
            return ()
        self._link(old, None)
        return {*self._dependents.get(old.uid, ()), *self._holding(old, None)}

    def confirm_gone(self, uid: str) -> None:
        """The server has said that there is no such owner."""
        self._gone[uid] = None
        while len(self._gone) > 4096:
            self._gone.pop(next(iter(self._gone)))

    def dependents_of(self, uid: str) -> list[Entry]:
        """What names this owner."""
        return [self.entries[d] for d in self._dependents.get(uid, ()) if d in self.entries]

    def judge(self, uid: str) -> list[Step]:
        """What must be done about an object now; nothing for most."""
        entry = self.entries.get(uid)
        if entry is None:
            return []
        if entry.deleting:
            return self._end(entry)
        if not entry.owners:
            return []
        unknown = [o for o in entry.owners if o.uid not in self.entries and o.uid not in self._gone]
        if unknown:
            return [Verify(entry, owner) for owner in unknown]
        gone = {o.uid for o in entry.owners if o.uid not in self.entries}
        waiting = {o.uid for o in entry.owners if o.uid in self.entries and self.entries[o.uid].waits}
        if not gone and not waiting:
            return []
        if len(gone) + len(waiting) < len({o.uid for o in entry.owners}):
            return [Disown(entry, frozenset(gone | waiting))]  # another owner still wants it
        if waiting and self._dependents.get(uid):
            return [Remove(entry, "Foreground")]
        if ORPHAN in entry.finalizers:
            return [Remove(entry, "Orphan")]
        return [Remove(entry, "Foreground" if FOREGROUND in entry.finalizers else "Background")]

    def _end(self, entry: Entry) -> list[Step]:
        dependents = self.dependents_of(entry.uid)
        if ORPHAN in entry.finalizers:
            if dependents:
                return [Disown(dependent, frozenset({entry.uid})) for dependent in dependents]
            return [Free(entry, ORPHAN)]
        if FOREGROUND in entry.finalizers:
            if not any(_blocks(dependent, entry.uid) for dependent in dependents):
                return [Free(entry, FOREGROUND)]
            return []  # each dependent is judged for itself
        return []

    def _holding(self, new: Entry, old: Entry | None) -> set[str]:
        """The owners whose own end may wait for this object."""
        owners = {o.uid for each in (new, old) if each is not None for o in each.owners}
        return {uid for uid in owners if uid in self.entries and self.entries[uid].deleting}

    def _link(self, old: Entry | None, new: Entry | None) -> None:
        before = {o.uid for o in old.owners} if old else set()
        after = {o.uid for o in new.owners} if new else set()
        uid = (new or old or _NOBODY).uid
        for owner in before - after:
            links = self._dependents.get(owner, {})
            links.pop(uid, None)
            if not links:
                self._dependents.pop(owner, None)
        for owner in after - before:
            self._dependents.setdefault(owner, {})[uid] = None


def _blocks(dependent: Entry, uid: str) -> bool:
    return any(owner.uid == uid and owner.blocks for owner in dependent.owners)


_NOBODY = Entry(Kind("", "", "", ""), Key("", ""), "")
