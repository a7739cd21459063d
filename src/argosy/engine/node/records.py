"""Where the agent keeps what belongs to a pod, and the small file by which it knows the pod again.

A pod has two directories. The one under `<home>/pods` is on disk: logs, emptyDirs, what the runtime writes. The other is
in memory where the machine has a tmpfs: tokens, Secrets and ConfigMaps (as in Kubernetes, Secrets do not touch a disk), the
files for /etc, and the record. They are written for every pod, and on a disk they would cost more than starting it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

_MEMORY = Path("/dev/shm")
_HOME = ".home"


def memory_directory(home: Path) -> Path:
    """The engine's directory in memory, which is `<home>/pods` itself where there is no tmpfs to be trusted.

    Whoever ends an engine and its pods calls `remove_memory`.
    """
    name = hashlib.sha256(str(home).encode()).hexdigest()[:12]
    place = _MEMORY / f"argosy-{os.geteuid()}-{name}"
    try:
        if not os.path.ismount(_MEMORY):
            return home / "pods"
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)
            put(place / _HOME, str(home).encode())
        found = place.lstat()
    except OSError:
        return home / "pods"
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return place if mine else home / "pods"


def sweep() -> None:
    """Remove the directories of engines whose home has been deleted without ending them."""
    for place in _MEMORY.glob(f"argosy-{os.geteuid()}-*"):
        try:
            home = Path((place / _HOME).read_text())
        except OSError:
            continue
        if place.lstat().st_uid == os.geteuid() and not home.exists():
            shutil.rmtree(place, ignore_errors=True)


class PodRecord(msgspec.Struct, frozen=True):
    """One pod that has a directory here."""

    uid: str
    namespace: str
    name: str
    address: str
    devices: Mapping[str, Sequence[str]] = {}
    """The accelerators of each container, by their ids."""


def put(path: Path | str, content: bytes) -> None:
    """Write a small file in place, in three system calls."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


class Records:
    """The pods' directories of one engine."""

    def __init__(self, home: Path) -> None:
        self._disk = home / "pods"
        sweep()
        self._memory = memory_directory(home)
        self._encoder = msgspec.json.Encoder()
        self._remover: ThreadPoolExecutor | None = None

    def place(self, uid: str) -> Path:
        """A pod's directory on disk."""
        return self._disk / uid

    def memory(self, uid: str) -> Path:
        """A pod's directory in memory."""
        return self._memory / uid

    def write(self, record: PodRecord) -> None:
        """Make the pod's directories, with its record."""
        for above in (self._disk, self._memory):
            os.makedirs(f"{above}/{record.uid}", exist_ok=True)  # noqa: PTH103 - half the price of a Path
        put(f"{self._memory}/{record.uid}/pod.json", self._encoder.encode(record))

    def all(self) -> Mapping[str, PodRecord | None]:
        """Every pod that has a directory, by uid; None where there is no record (the machine was started again)."""
        found: dict[str, PodRecord | None] = {}
        for root in dict.fromkeys((self._disk, self._memory)):
            with suppress(FileNotFoundError):
                for place in root.iterdir():
                    if place.name == _HOME:
                        continue
                    found.setdefault(place.name, None)
                    with suppress(OSError, msgspec.DecodeError):
                        found[place.name] = msgspec.json.decode((place / "pod.json").read_bytes(), type=PodRecord)
        return found

    def remove(self, uid: str) -> None:
        """Delete a pod's directories, the one on disk in the background."""
        shutil.rmtree(self.memory(uid), ignore_errors=True)
        self._remove_soon(self.place(uid))

    def remove_volumes(self, uid: str) -> None:
        """Delete a pod's own volumes on disk, in the background."""
        if (place := self.place(uid) / "volumes").exists():
            self._remove_soon(place)

    def _remove_soon(self, place: Path) -> None:
        if self._remover is None:
            self._remover = ThreadPoolExecutor(1, "remove pods")
        self._remover.submit(shutil.rmtree, place, ignore_errors=True)

    def close(self) -> None:
        """Finish deleting; give the memory back when nothing is in it."""
        if self._remover is not None:
            self._remover.shutdown()
            self._remover = None
        if self._memory != self._disk and not any(place.name != _HOME for place in self._memory.iterdir()):
            shutil.rmtree(self._memory, ignore_errors=True)


def remove_memory(home: Path) -> None:
    """Remove an engine's directory in memory: for whoever has ended all its pods."""
    place = memory_directory(home)
    if place != home / "pods":
        shutil.rmtree(place, ignore_errors=True)
