"""What a pull asks of where an image comes from, and how it tells how far it is: `layout` and `registry` are sources."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Protocol

from argosy.engine.node.images.environments import Progress
from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci.manifest import Descriptor

RESERVE_BYTES = 256 << 20
"""So much of the disk is left alone: the engine's own database must be able to go on."""
_LOOK_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index, as it was sent."""

    content: bytes
    media_type: str
    digest: str


class Source(Protocol):
    """One image's home. Blocking; everything raises ImageError with the reason, OSError where this machine is at fault."""

    def digest(self) -> str:
        """What the image's tag leads to now."""
        ...

    def manifest(self, digest: str = "") -> Document:
        """The document that the reference leads to, or the one of a digest."""
        ...

    def small(self, blob: Descriptor) -> bytes:
        """A blob of a few kilobytes."""
        ...

    def fetch(self, blob: Descriptor, place: Path, told: Telling) -> Path:
        """A blob as a file, whose digest is right: `place`, or where it lies already."""
        ...


@dataclass(slots=True)
class Telling:
    """How a pull goes: told to whoever watches it, and stopped through it."""

    progress: Progress
    stop: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def more(self, bytes: int) -> None:
        """So many bytes have come. Raises ImageError when nobody wants the rest."""
        self.check()
        with self._lock:
            self.progress.megabytes += bytes / 1e6
            self.progress.line("")

    def check(self) -> None:
        """Raises ImageError when the engine is ending."""
        if self.stop.is_set():
            raise ImageError("the pull was stopped with the engine")

    def room(self, at: Path) -> Callable[[int], None]:
        """What to call with the number of bytes unpacked so far: an image must not fill the disk to the brim."""
        looked = 0

        def watch(count: int) -> None:
            nonlocal looked
            if count - looked >= _LOOK_BYTES:
                looked = count
                self.check()
                if shutil.disk_usage(at).free < RESERVE_BYTES:
                    raise ImageError(f"no space left for it on the disk of {at}; {FREE_SOME}")

        return watch


FREE_SOME = "free some with `argosy images --prune`, or set ARGOSY_HOME to another disk"
