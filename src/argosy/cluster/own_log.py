"""The engine's own log, which never holds more than two files of 8 MiB: `engine.log` and, older, `engine.log.1`.

`main.py` logs through `Bounded`. The holder and other children write to the same open file, so a full file is copied and
emptied in place instead of being renamed: whoever appends to it goes on at its start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

BYTES_MAX = 8 << 20


def bound(path: Path, bytes_max: int = BYTES_MAX) -> None:
    """Move what the log holds to its predecessor's place when it is full. On a full disk the old lines are let go."""
    try:
        if path.stat().st_size <= bytes_max:
            return
    except OSError:
        return
    before, draft = path.with_name(path.name + ".1"), path.with_name(path.name + ".tmp")
    try:
        with path.open("rb") as full, draft.open("wb") as copy:
            full.seek(-bytes_max, os.SEEK_END)  # a child may have written more than a file holds
            shutil.copyfileobj(full, copy, 1 << 20)
        draft.chmod(0o600)
        draft.replace(before)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.truncate(path, 0)


class Bounded(logging.StreamHandler):  # type: ignore[type-arg]  # its parameter exists for type checkers alone
    """Writes to stderr, which `argosy up` has led to the log, and bounds it."""

    def __init__(self, path: Path, bytes_max: int = BYTES_MAX) -> None:
        super().__init__()
        self._path = path
        self._bytes_max = bytes_max
        self._is_led_there = self._same_file()
        if self._is_led_there:
            bound(path, bytes_max)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, then look how much is there."""
        super().emit(record)
        if self._is_led_there:
            with contextlib.suppress(OSError):
                if os.fstat(self.stream.fileno()).st_size > self._bytes_max:
                    bound(self._path, self._bytes_max)

    def _same_file(self) -> bool:
        """Whether stderr is the log: an engine started by hand in a terminal writes there."""
        try:
            return os.path.samestat(os.fstat(self.stream.fileno()), self._path.stat())
        except (OSError, ValueError):
            return False
