"""Tells at once when a file is written to: inotify, one descriptor for the whole engine.

Used by `logs` for whoever follows one. Where the kernel has no inotify, or no watch left, `Watch.wait` merely waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
import weakref
from pathlib import Path

_MODIFIED, _WRITER_CLOSED, _MOVED, _DELETED = 0x2, 0x8, 0x800, 0x400
_EVENTS = _MODIFIED | _WRITER_CLOSED | _MOVED | _DELETED
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = struct.Struct("=iIII")
_READ_BYTES = 1 << 16


class _Inotify:
    """The descriptor of one event loop, and who waits for what."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(_FLAGS)
        self._watches: dict[int, set[Watch]] = {}
        if self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def add(self, watch: Watch, path: Path) -> int:
        """The watch's number; -1 when there can be none."""
        number = int(self._libc.inotify_add_watch(self._fd, os.fsencode(path), _EVENTS)) if self._fd >= 0 else -1
        if number >= 0:
            self._watches.setdefault(number, set()).add(watch)
        return number

    def remove(self, watch: Watch, number: int) -> None:
        waiting = self._watches.get(number)
        if waiting is not None:
            waiting.discard(watch)
            if not waiting:
                del self._watches[number]
                self._libc.inotify_rm_watch(self._fd, number)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._fd, _READ_BYTES)
            offset = 0
            while offset < len(data):
                number, _, _, length = _HEADER.unpack_from(data, offset)
                offset += _HEADER.size + length
                for watch in self._watches.get(number, ()):
                    watch.changed.set()


_of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Inotify] = weakref.WeakKeyDictionary()


class Watch:
    """One file under watch, whatever name it has meanwhile. Close it."""

    def __init__(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        self.changed = asyncio.Event()
        self._inotify = _of_loop.get(loop) or _of_loop.setdefault(loop, _Inotify())
        self._number = self._inotify.add(self, path)

    async def wait(self, seconds: float) -> bool:
        """Wait until the file changes, at most that long; whether it did (since the last time that this was asked)."""
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            return False
        self.changed.clear()
        return True

    def close(self) -> None:
        """Watch no more."""
        if self._number >= 0:
            self._inotify.remove(self, self._number)
            self._number = -1
