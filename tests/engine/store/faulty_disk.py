"""A disk that remembers what was asked of it and fails on command, under the SQLite that the store really uses.

`Disk` is a virtual file system of SQLite's (its `sqlite3_vfs`), made with ctypes. It keeps its files in memory and a trace
of every write, truncation, sync and deletion. `Crash` replays a trace up to any point and says what a real disk might hold
when the power goes just then: what was synced, and of the rest nothing, all, or sectors here and there in any order.
"""

from __future__ import annotations

import _sqlite3
import ctypes as c
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import pytest

SECTOR = 512
OK, IOERR, FULL, CANTOPEN = 0, 10, 13, 14
SHORT_READ, WRITE, FSYNC, TRUNCATE, DELETE = (IOERR | n << 8 for n in (2, 3, 4, 6, 10))


@dataclass(frozen=True)
class Step:
    """One thing that happened to a file, or (`what` is "note") to the store above it."""

    what: str
    name: str = ""
    offset: int = 0
    data: bytes = b""
    note: object = None


class _Vfs(c.Structure):
    pass


class _Methods(c.Structure):
    pass


class _File(c.Structure):
    _fields_ = (("methods", c.POINTER(_Methods)),)


_F, _V, _I, _L, _S = c.POINTER(_File), c.POINTER(_Vfs), c.c_int, c.c_int64, c.c_char_p


def _function(*arguments: type) -> type:
    return c.CFUNCTYPE(c.c_int, *arguments)


_VFS = {
    "xOpen": _function(_V, _S, _F, _I, c.POINTER(_I)),
    "xDelete": _function(_V, _S, _I),
    "xAccess": _function(_V, _S, _I, c.POINTER(_I)),
    "xFullPathname": _function(_V, _S, _I, c.POINTER(c.c_char)),
    "xDlOpen": c.c_void_p, "xDlError": c.c_void_p, "xDlSym": c.c_void_p, "xDlClose": c.c_void_p,
    "xRandomness": _function(_V, _I, c.POINTER(c.c_char)),
    "xSleep": _function(_V, _I),
    "xCurrentTime": _function(_V, c.POINTER(c.c_double)),
    "xGetLastError": _function(_V, _I, c.c_void_p),
}  # fmt: skip
_METHODS = {
    "xClose": _function(_F),
    "xRead": _function(_F, c.c_void_p, _I, _L),
    "xWrite": _function(_F, c.c_void_p, _I, _L),
    "xTruncate": _function(_F, _L),
    "xSync": _function(_F, _I),
    "xFileSize": _function(_F, c.POINTER(_L)),
    "xLock": _function(_F, _I),
    "xUnlock": _function(_F, _I),
    "xCheckReservedLock": _function(_F, c.POINTER(_I)),
    "xFileControl": _function(_F, _I, c.c_void_p),
    "xSectorSize": _function(_F),
    "xDeviceCharacteristics": _function(_F),
}
_Vfs._fields_ = (
    ("version", _I), ("file_size", _I), ("path_max", _I), ("next", c.c_void_p), ("name", _S), ("data", c.c_void_p),
    *_VFS.items(),
)  # fmt: skip
_Methods._fields_ = (("version", _I), *_METHODS.items())


class Disk:
    """Files in memory, by path. Use `installed` around whatever opens databases."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = {name: bytearray(data) for name, data in (files or {}).items()}
        self.trace: list[Step] = []
        self.fails: Callable[[Step], bool] = lambda _: False
        """Asked before every step whether it fails."""
        self._open: dict[int, str] = {}

    def note(self, note: object) -> None:
        """Put a remark of the test's into the trace."""
        self.trace.append(Step("note", note=note))

    @property
    def steps(self) -> int:
        """How often the disk was asked for something that it may refuse."""
        return sum(step.what != "note" for step in self.trace)

    @contextmanager
    def installed(self) -> Iterator[Disk]:
        """Every database that is opened meanwhile is on this disk."""
        try:
            library = c.CDLL(_sqlite3.__file__)
            register, unregister = library.sqlite3_vfs_register, library.sqlite3_vfs_unregister
        except (AttributeError, OSError):
            pytest.skip("this Python's SQLite does not take another file system")
        vfs = _Vfs(1, c.sizeof(_File), 512, None, b"argosy-test", None)
        for name, prototype in _VFS.items():
            if prototype is not c.c_void_p:
                setattr(vfs, name, prototype(getattr(self, f"_{name}")))
        self._methods = _Methods(1, *(prototype(getattr(self, f"_{name}")) for name, prototype in _METHODS.items()))
        assert register(c.byref(vfs), 1) == OK
        try:
            yield self
        finally:
            unregister(c.byref(vfs))

    def _refuses(self, step: Step) -> bool:
        refused = self.fails(step)
        self.trace.append(Step("refused", step.name, note=step.what) if refused else step)
        return refused

    # -- the file system

    def _xOpen(
        self, _: object, name: bytes | None, file: c._Pointer[_File], flags: int, out: c._Pointer[c.c_int]
    ) -> int:
        path = os.fsdecode(name) if name else f"temporary-{len(self.trace)}"
        if path not in self.files and not flags & 4:
            file.contents.methods = None
            return CANTOPEN
        self.files.setdefault(path, bytearray())
        self._open[c.addressof(file.contents)] = path
        file.contents.methods = c.pointer(self._methods)
        if out:
            out[0] = flags
        return OK

    def _xDelete(self, _: object, name: bytes, synced: int) -> int:
        path = os.fsdecode(name)
        if path not in self.files:
            return IOERR | 23 << 8
        if self._refuses(Step("delete", path, synced)):
            return DELETE
        del self.files[path]
        return OK

    def _xAccess(self, _: object, name: bytes, flags: int, out: c._Pointer[c.c_int]) -> int:
        out[0] = os.fsdecode(name) in self.files
        return OK

    def _xFullPathname(self, _: object, name: bytes, size: int, out: c._Pointer[c.c_char]) -> int:
        c.memmove(out, name + b"\0", len(name) + 1)
        return OK

    def _xRandomness(self, _: object, size: int, out: c._Pointer[c.c_char]) -> int:
        c.memmove(out, os.urandom(size), size)
        return size

    def _xSleep(self, _: object, micros: int) -> int:
        return micros

    def _xCurrentTime(self, _: object, out: c._Pointer[c.c_double]) -> int:
        out[0] = 2440587.5 + time.time() / 86400
        return OK

    def _xGetLastError(self, *_: object) -> int:
        return 0

    # -- one file

    def _of(self, file: c._Pointer[_File]) -> tuple[str, bytearray]:
        path = self._open[c.addressof(file.contents)]
        return path, self.files.setdefault(path, bytearray())

    def _xClose(self, file: c._Pointer[_File]) -> int:
        self._open.pop(c.addressof(file.contents), None)
        return OK

    def _xRead(self, file: c._Pointer[_File], out: int, size: int, offset: int) -> int:
        found = bytes(self._of(file)[1][offset : offset + size])
        c.memmove(out, found.ljust(size, b"\0"), size)
        return OK if len(found) == size else SHORT_READ

    def _xWrite(self, file: c._Pointer[_File], data: int, size: int, offset: int) -> int:
        path, content = self._of(file)
        step = Step("write", path, offset, c.string_at(data, size))
        if self._refuses(step):
            # A full disk takes the beginning.
            half = Step("write", path, offset, step.data[: size // 2])
            self.trace.append(half)
            apply(content, half)
            return FULL if len(self.trace) % 2 else WRITE
        apply(content, step)
        return OK

    def _xTruncate(self, file: c._Pointer[_File], size: int) -> int:
        path, content = self._of(file)
        if self._refuses(step := Step("truncate", path, size)):
            return TRUNCATE
        apply(content, step)
        return OK

    def _xSync(self, file: c._Pointer[_File], _: int) -> int:
        return FSYNC if self._refuses(Step("sync", self._of(file)[0])) else OK

    def _xFileSize(self, file: c._Pointer[_File], out: c._Pointer[c.c_int64]) -> int:
        out[0] = len(self._of(file)[1])
        return OK

    def _xLock(self, *_: object) -> int:
        return OK

    _xUnlock = _xLock  # noqa: N815 - SQLite's name

    def _xCheckReservedLock(self, _: object, out: c._Pointer[c.c_int]) -> int:
        out[0] = 0
        return OK

    def _xFileControl(self, *_: object) -> int:
        return 12  # SQLITE_NOTFOUND

    def _xSectorSize(self, _: object) -> int:
        return SECTOR

    def _xDeviceCharacteristics(self, _: object) -> int:
        return 0x1000  # SQLITE_IOCAP_POWERSAFE_OVERWRITE, as SQLite itself says of every file


def apply(content: bytearray, step: Step) -> None:
    """Do to a file what a step did."""
    if step.what == "truncate":
        del content[step.offset :]
        return
    if len(content) < step.offset:
        content += bytes(step.offset - len(content))
    content[step.offset : step.offset + len(step.data)] = step.data


class Crash:
    """What is safe after some steps of a trace, and what is not yet."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._safe = {name: bytearray(data) for name, data in (files or {}).items()}
        self._pending: dict[str, list[Step]] = {}

    def take(self, step: Step) -> None:
        """One more step has happened."""
        if step.what in ("write", "truncate"):
            self._pending.setdefault(step.name, []).append(step)
        elif step.what == "sync":
            if step.name not in self._safe:
                # SQLite's own file system syncs the directory too when a log is synced for the first time.
                for name in [name for name, steps in self._pending.items() if steps[-1].what == "delete"]:
                    self._safe.pop(name, None)
                    del self._pending[name]
            content = self._safe.setdefault(step.name, bytearray())
            for each in self._pending.pop(step.name, ()):
                apply(content, each)
        elif step.what == "delete" and step.offset:
            self._safe.pop(step.name, None)
            self._pending.pop(step.name, None)
        elif step.what == "delete":
            self._pending.setdefault(step.name, []).append(step)

    def images(self, random: Random) -> dict[str, dict[str, bytes]]:
        """What the disk may hold when the power goes now, by how it came about."""
        return {
            "the rest lost": self._image(lambda _: []),
            "all arrived": self._image(lambda steps: steps),
            "the last torn": self._image(lambda steps: [*steps[:-1], *_torn(steps[-1:], random)]),
            "any sectors": self._image(lambda steps: _torn(steps, random)),
        }

    def _image(self, arrived: Callable[[list[Step]], list[Step]]) -> dict[str, bytes]:
        files = {name: bytearray(data) for name, data in self._safe.items()}
        for name, steps in self._pending.items():
            for step in arrived(steps):
                if step.what == "delete":
                    files.pop(name, None)
                else:
                    apply(files.setdefault(name, bytearray()), step)
        return {name: bytes(data) for name, data in files.items()}


def _torn(steps: list[Step], random: Random) -> list[Step]:
    """Some sectors of these writes; what came later may have arrived and what came before not."""
    kept: list[Step] = []
    for step in steps:
        if step.what != "write":
            kept += [step] if random.random() < 0.5 else []
            continue
        start = 0
        while start < len(step.data):
            end = min(len(step.data), (step.offset + start) // SECTOR * SECTOR + SECTOR - step.offset)
            if random.random() < 0.6:
                kept.append(Step("write", step.name, step.offset + start, step.data[start:end]))
            start = end
    return kept
