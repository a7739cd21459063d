"""What a crash left in the write-ahead log, told in a sentence.

SQLite recovers by itself and says nothing. `sqlite.SqliteLog` looks at the log before it is opened (`look`), asks SQLite
how much of it was good, and has the rest made into words for whoever starts the engine.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER, _FRAME_HEADER = 32, 24
_FRAMES_MAX = 100_000
"""Looked at. The log is folded into the file every thousand frames, so there are more only when folding fails."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One page in the log. Those that follow each other with the same salt were written since the log last began."""

    salt: bytes
    commits: bool
    """Whether a transaction ends with it."""


@dataclass(frozen=True, slots=True)
class LeftLog:
    """A log that its writer did not fold in: the engine was killed, or the machine lost its power."""

    salt: bytes
    frames: tuple[Frame, ...]
    torn: bool
    """Whether the file ends within a frame."""

    def told(self, good: int, revision: int) -> str:
        """What recovery came to, of which SQLite took `good` frames (negative: it cannot say, since the disk takes no
        writes); empty when there was nothing to recover.
        """
        if good < 0:
            return f"the last engine did not shut down: its log was recovered, up to revision {revision}"
        taken = sum(frame.commits for frame in self.frames[:good])
        left = self.frames[good:]
        dropped = bool(left and left[0].salt == self.salt) or (self.torn and not left)
        if not taken and not dropped:
            return ""
        found = f"{taken} transaction{'' if taken == 1 else 's'} recovered from the log, up to revision {revision}"
        end = "; an unfinished one at its end, acknowledged to nobody, dropped" if dropped else ""
        return f"the last engine did not shut down: {found}{end}"


def look(path: Path) -> LeftLog | None:
    """The log beside a database file; None where there is none, or nothing in it."""
    try:
        with path.with_name(f"{path.name}-wal").open("rb") as file:
            header = file.read(_HEADER)
            if len(header) < _HEADER:
                return None
            size = os.fstat(file.fileno()).st_size - _HEADER
            step = _FRAME_HEADER + struct.unpack(">I", header[8:12])[0]
            frames = [
                os.pread(file.fileno(), _FRAME_HEADER, _HEADER + number * step)
                for number in range(min(size // step, _FRAMES_MAX))
            ]
    except OSError:
        return None
    found = tuple(Frame(raw[8:16], raw[4:8] != b"\0\0\0\0") for raw in frames if len(raw) == _FRAME_HEADER)
    return LeftLog(header[16:24], found, size % step != 0)
