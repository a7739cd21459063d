"""What the verbs print with: results on stdout (a table for people, JSON for programs), everything else on stderr.

Free of the library that reads options, for the commands of `short`; everybody else takes it from `terminal`.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from argosy.meta.json import encode


class Format(StrEnum):
    """What `-o` takes."""

    text = "text"
    json = "json"


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(encode(value).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A remark, on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Kubectl's plain table: columns padded to their widest cell, three spaces between."""
    lines = [list(headers), *([("" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        say("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_facts(facts: Mapping[str, Any]) -> None:
    """`key   value` lines."""
    width = max((len(key) for key in facts), default=0)
    for key, value in facts.items():
        say(f"{key.ljust(width)}   {value}")


class Progress:
    """A line on stderr that says what is being waited for, once that has taken two seconds.

    On a terminal it is redrawn in place with a spinner; elsewhere each new text is one line, so that logs of CI read well.
    """

    _FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
    _FRAME_SECONDS = 0.2
    _QUIET_SECONDS = 2.0
    _LINE_SECONDS = 10.0
    """Off a terminal, a new line at most this often."""

    def __init__(self, text: str) -> None:
        self._began = time.monotonic()
        self._text = text
        self._shown = ""
        self._line_at = 0.0
        self._frame = 0
        self._tty = sys.stderr.isatty()
        self._closed = False
        self._lock = threading.Lock()

    def update(self, text: str = "") -> None:
        """Say what is happening now; call it as often as you like."""
        with self._lock:
            self._text, self._closed = text or self._text, False
            self._draw()

    def keep(self, ended: threading.Event) -> None:
        """Draw on while nothing new is said; the body of a thread."""
        while not ended.wait(self._FRAME_SECONDS):
            with self._lock:
                if not self._closed:
                    self._draw()

    def _draw(self) -> None:
        waited = time.monotonic() - self._began
        if waited < self._QUIET_SECONDS:
            return
        if self._tty:
            self._frame = (self._frame + 1) % len(self._FRAMES)
            width = max(20, shutil.get_terminal_size().columns - 12)  # one line, or it could not be redrawn
            sys.stderr.write(f"\r\033[K{self._FRAMES[self._frame]} {self._text[:width]} ({waited:.0f} s)")
            sys.stderr.flush()
        elif self._text != self._shown and waited - self._line_at >= self._LINE_SECONDS:
            self._line_at = waited
            note(f"… {self._text}")
        else:
            return
        self._shown = self._text

    def close(self) -> None:
        """Clear the line, until the next update."""
        with self._lock:
            if self._tty and self._shown and not self._closed:
                sys.stderr.write("\r\033[K")
                sys.stderr.flush()
            self._closed = True


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """A `Progress` for the length of a block."""
    shown, ended = Progress(text), threading.Event()
    threading.Thread(target=shown.keep, args=(ended,), name="progress", daemon=True).start()
    try:
        yield shown
    finally:
        ended.set()
        shown.close()
