"""Container logs: from the CRI lines that a shim writes to what `pods/log` answers.

`Reader` follows one run's log through rotation; `select` applies the request's options to lines and is pure. What is
written wakes whoever follows (`file_changes`); that a silent run has ended is noticed within 250 ms.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from argosy.clock import parse_time
from argosy.engine.node.file_changes import Watch

_BLOCK = 256 * 1024
_WAIT_FIRST_SECONDS, _WAIT_LAST_SECONDS = 0.02, 0.25


@dataclass(frozen=True, slots=True)
class Selection:
    """Which lines of a log are wanted, and how they are shown."""

    tail_lines: int | None = None
    since: str = ""
    """`2026-01-31T12:00:00`: lines before it are left out."""
    timestamps: bool = False
    limit_bytes: int | None = None
    follow: bool = False


def since_of(now: datetime, since_seconds: int | None, since_time: str) -> str:
    """The start of a log request as the lines' own prefix; empty for everything."""
    if since_time:
        moment = parse_time(since_time)
    elif since_seconds is not None:
        moment = now.astimezone(UTC) - timedelta(seconds=since_seconds)
    else:
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def select(lines: Iterator[bytes], selection: Selection) -> bytes:
    """CRI lines (`<time> stdout|stderr F|P <text>`) as the text that a client sees."""
    since = selection.since.encode()
    out: list[bytes] = []
    for line in lines:
        moment, _, rest = line.partition(b" ")
        _, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        if since and moment[: len(since)] < since:
            continue
        if selection.timestamps:
            out.append(moment + b" ")
        out.append(text)
        if not tag.startswith(b"P"):
            out.append(b"\n")
    return b"".join(out)


def streams(lines: Iterator[bytes]) -> list[tuple[str, bytes]]:
    """CRI lines as what was written to which stream; neighbours of one stream are joined."""
    found: list[tuple[str, list[bytes]]] = []
    for line in lines:
        _, _, rest = line.partition(b" ")
        name, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        stream = name.decode(errors="replace")
        if not found or found[-1][0] != stream:
            found.append((stream, []))
        found[-1][1].append(text if tag.startswith(b"P") else text + b"\n")
    return [(stream, b"".join(texts)) for stream, texts in found]


class Reader:
    """One run's log. `pauses` (seconds, the first and the longest) are how often it is looked at without being told."""

    def __init__(
        self,
        path: Path,
        ended: Callable[[], bool],
        pauses: tuple[float, float] = (_WAIT_FIRST_SECONDS, _WAIT_LAST_SECONDS),
    ) -> None:
        self._path = path
        self._ended = ended
        self._first, self._last = pauses

    async def read(self, selection: Selection) -> AsyncGenerator[bytes, None]:
        """Yield the selected text; with `follow` until the run has ended and everything was read."""
        left = selection.limit_bytes
        async for lines in self._lines(selection):
            text = select(iter(lines), selection)
            if left is not None:
                text = text[:left]
                left -= len(text)
            if text:
                yield text
            if left is not None and left <= 0:
                return

    async def follow(self, *, from_start: bool) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield ("stdout" or "stderr", bytes), from now or from the start on, until the run has ended."""
        selection = Selection(None if from_start else 0, follow=True)
        async with aclosing(self._lines(selection)) as blocks:
            async for lines in blocks:
                for part in streams(iter(lines)):
                    yield part

    async def _lines(self, selection: Selection) -> AsyncGenerator[list[bytes], None]:
        file = self._open()
        waited = self._first
        while file is None:
            if not selection.follow or self._ended():
                return
            await asyncio.sleep(waited)
            waited = min(waited * 1.5, self._last)
            file = self._open()
        watch = Watch(self._path) if selection.follow else None
        try:
            head, offset = self._past(file, selection.tail_lines)
            for lines in head:
                yield lines
            os.lseek(file, offset, os.SEEK_SET)
            rest = b""
            waited = self._first
            while True:
                ended = self._ended()  # asked before reading: what was written before the end is read after it
                block = os.read(file, _BLOCK)
                if block:
                    waited = self._first
                    *lines, rest = (rest + block).split(b"\n")
                    if lines:
                        yield lines
                    await asyncio.sleep(0)
                    continue
                following = self._rotated(file)
                if following is not None:
                    os.close(file)
                    file = following
                    if watch is not None:
                        watch.close()
                        watch = Watch(self._path)
                    continue
                if watch is None or ended:
                    return
                changed = await watch.wait(waited)
                waited = self._first if changed else min(waited * 1.5, self._last)
        finally:
            os.close(file)
            if watch is not None:
                watch.close()

    def _open(self) -> int | None:
        try:
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None

    def _rotated(self, file: int) -> int | None:
        """The file that has taken this one's place under the log's name, if the log was rotated."""
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return None
        mine = os.fstat(file)
        if (named.st_ino, named.st_dev) == (mine.st_ino, mine.st_dev):
            return None
        return self._open()

    def _past(self, file: int, tail: int | None) -> tuple[list[list[bytes]], int]:
        """What comes out of the rotated file first, and where to begin in the present one."""
        old: list[bytes] = []
        if tail is None:
            return [self._rotated_lines()], 0
        offset, found = _last_lines(file, tail)
        if found < tail:
            missing = tail - found
            rotated = self._rotated_lines()
            old = rotated[len(rotated) - missing :] if missing < len(rotated) else rotated
        return [old], offset

    def _rotated_lines(self) -> list[bytes]:
        try:
            return self._path.with_name(self._path.name + ".1").read_bytes().split(b"\n")[:-1]
        except OSError:
            return []


def _last_lines(file: int, count: int) -> tuple[int, int]:
    """(offset of the last `count` whole lines, how many there are)."""
    end = os.fstat(file).st_size
    if count <= 0:
        return end, count
    position, found = end, 0
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        block = os.pread(file, size, position)
        cut = len(block)
        while True:
            # The newline that ends the last line does not begin another.
            stop = cut - 1 if position + cut == end else cut
            cut = block.rfind(b"\n", 0, stop)
            if cut < 0:
                break
            found += 1
            if found == count:
                return position + cut + 1, found
    return 0, found + (1 if end else 0)


def last_words(path: Path, *, bytes_max: int = 2048, lines_max: int = 80) -> str:
    """The end of a log, for `terminationMessagePolicy: FallbackToLogsOnError`."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4 * bytes_max))
            lines = file.read().split(b"\n")[:-1][-lines_max:]
    except OSError:
        return ""
    return select(iter(lines), Selection())[-bytes_max:].decode(errors="replace")
