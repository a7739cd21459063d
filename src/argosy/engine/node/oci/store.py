"""What is kept of OCI images under `<home>/oci`, content-addressed and shared by all images of a home.

    blobs/    partial downloads, and layers on their way to be unpacked
    layers/   each layer unpacked once, by its DiffID: its files in `tree`, what it says of others in `rest.json`
    roots/    root file systems, by ChainID: hard links to the layers' files
    refs/     one small file an image: what it is, and (its time) when it was last used

Everything is made as a draft and renamed, under a lock of its own, so that whatever is killed leaves either the whole thing
or a draft that the next one clears away. Whoever is not the engine's user gets nowhere in here.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from argosy.engine.node.runtime.cleaning import remove_tree

SETTLE_SECONDS = 120.0
"""An image that was looked at so recently is not removed: a container may be about to start on it."""
FULL, ENOUGH = 0.85, 0.80
"""As a kubelet's: images go when the disk is so full, until it is only so full."""


class Record(msgspec.Struct, frozen=True):
    """One image that is here."""

    reference: str
    """As the pod names it."""
    target: str
    """Where it came from."""
    digest: str
    """Of the manifest or index that the reference led to."""
    root: str
    """ChainID of its root file system, in hexadecimal."""
    layers: tuple[str, ...]
    """DiffIDs in hexadecimal, the lowest first."""
    config: bytes
    """The image's configuration, as it was fetched."""
    size: int
    """In bytes, compressed, as registries count."""


def hexadecimal(digest: str) -> str:
    """A digest's name as a file: sha512 may not be taken for sha256."""
    algorithm, _, value = digest.partition(":")
    return value if algorithm == "sha256" else f"{algorithm}-{value}"


def chain_id(diff_ids: Sequence[str]) -> str:
    """The name of what layers show together: OCI's ChainID, in hexadecimal."""
    chain = diff_ids[0] if diff_ids else "sha256:" + hashlib.sha256(b"").hexdigest()
    for diff_id in diff_ids[1:]:
        chain = "sha256:" + hashlib.sha256(f"{chain} {diff_id}".encode()).hexdigest()
    return hexadecimal(chain)


class Store:
    """The directory of a home. Blocking; called from threads."""

    def __init__(self, home: Path) -> None:
        self.place = home.resolve() / "oci"
        self.blobs, self.layers, self.roots, self._refs, self._locks = (
            self.place / name for name in ("blobs", "layers", "roots", "refs", "locks")
        )

    def make(self) -> None:
        """Make the directories. Raises OSError."""
        self.place.mkdir(parents=True, exist_ok=True)
        self.place.chmod(0o700)
        for directory in (self.blobs, self.layers, self.roots, self._refs, self._locks):
            directory.mkdir(exist_ok=True)

    @contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
        """Keep other threads and engines of this home from making the same thing. Raises BlockingIOError."""
        with (self._locks / name).open("a") as file:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            yield

    @contextmanager
    def draft(self, final: Path) -> Iterator[Path]:
        """An empty directory that becomes `final` when all goes well and nothing when not. The caller holds its lock."""
        draft = final.with_name(f"{final.name}.draft")
        remove_tree(draft)
        draft.mkdir(mode=0o700)
        try:
            yield draft
            draft.rename(final)
        except BaseException:
            with suppress(OSError):
                remove_tree(draft)
            raise

    def read(self, target: str) -> Record | None:
        """What is known of an image, if its root is there."""
        record = _record(self._ref(target))
        return record if record is not None and (self.roots / record.root).is_dir() else None

    def write(self, record: Record) -> None:
        """Remember an image."""
        path = self._ref(record.target)
        draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
        draft.write_bytes(msgspec.json.encode(record))
        draft.replace(path)

    def touch(self, target: str) -> None:
        """The image is being used."""
        with suppress(OSError):
            os.utime(self._ref(target))

    def records(self) -> list[tuple[Record, float]]:
        """Every image that is here and when it was last used, the least recently used first."""
        found = []
        for path in self._refs.glob("*.json"):
            record = _record(path)
            if record is not None:
                with suppress(OSError):
                    found.append((record, path.stat().st_mtime))
        return sorted(found, key=lambda each: each[1])

    def forget(self, record: Record) -> None:
        """Remove an image's entry; `sweep` removes what only it needed."""
        self._ref(record.target).unlink(missing_ok=True)

    def sweep(self, in_use: Iterable[str]) -> None:
        """Remove roots and layers that no image and no container (`in_use`: the names of their roots) needs, and drafts.

        The caller holds the store's lock (`lock("store")`), every pull a share of it, so nothing is being made meanwhile.
        """
        records = [record for record, _ in self.records()]
        roots = {record.root for record in records} | set(in_use)
        layers = {layer for record in records for layer in record.layers}
        for directory, wanted in ((self.roots, roots), (self.layers, layers)):
            for entry in directory.iterdir() if directory.is_dir() else ():
                if entry.name not in wanted:
                    gone = entry.with_name(f"{entry.name.removesuffix('.draft')}.draft")
                    if gone != entry:
                        entry.rename(gone)
                    remove_tree(gone)
        for path in self.blobs.iterdir() if self.blobs.is_dir() else ():
            path.unlink(missing_ok=True)
        for path in (*self._refs.glob("*.draft"), *(each for each in self._locks.iterdir() if each.name != "store")):
            path.unlink(missing_ok=True)

    def collect(self, in_use: frozenset[str], *, everything: bool) -> list[Record]:
        """Remove images that no container uses: all of them, or the least recently used while the disk is too full.

        Raises BlockingIOError while an image is being pulled.
        """
        removed: list[Record] = []
        if not self.place.is_dir() or not (everything or self.fullness() > FULL):
            return removed
        with self.lock("store", wait=False):
            for record, used in self.records():
                if not everything and self.fullness() <= ENOUGH:
                    break
                if record.root in in_use or time.time() - used < (0 if everything else SETTLE_SECONDS):
                    continue
                self.forget(record)
                removed.append(record)
                if not everything:
                    self.sweep(in_use)
            self.sweep(in_use)
        return removed

    def fullness(self) -> float:
        """How full the disk is, from 0 to 1."""
        usage = shutil.disk_usage(self.place)
        return usage.used / usage.total if usage.total else 0.0

    def _ref(self, target: str) -> Path:
        return self._refs / f"{hashlib.sha256(target.encode()).hexdigest()}.json"


def _record(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None
