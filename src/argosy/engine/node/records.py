"""What the agent itself keeps about a pod on disk: a small file in the pod's directory.

After a restart it gives every pod its address again, and tells which directories belong to pods that are no more.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec


class PodRecord(msgspec.Struct, frozen=True):
    """One pod that has a directory here."""

    uid: str
    namespace: str
    name: str
    address: str


class Records:
    """The pods' directories under `<home>/pods`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._encoder = msgspec.json.Encoder()

    def place(self, uid: str) -> Path:
        """A pod's own directory."""
        return self._directory / uid

    def write(self, record: PodRecord) -> Path:
        """Make the pod's directory, with its record; returns it."""
        place = self.place(record.uid)
        place.mkdir(parents=True, exist_ok=True, mode=0o755)
        (place / "pod.json").write_bytes(self._encoder.encode(record))
        return place

    def all(self) -> Mapping[str, PodRecord | None]:
        """Every directory by uid; None where the record cannot be read."""
        found: dict[str, PodRecord | None] = {}
        with suppress(FileNotFoundError):
            for place in self._directory.iterdir():
                found[place.name] = None
                with suppress(OSError, msgspec.DecodeError):
                    found[place.name] = msgspec.json.decode((place / "pod.json").read_bytes(), type=PodRecord)
        return found

    def remove(self, uid: str) -> None:
        """Delete a pod's directory. Blocking: call it from a thread."""
        shutil.rmtree(self.place(uid), ignore_errors=True)
