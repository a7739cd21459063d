"""A directory of data sets that jobs share, on a volume that their pods mount. Called by `datasets`.

An entry is a directory named by what is in it (URI and version), whole from the moment that it has its name. Who fetches one
holds its lock, so that it is fetched once; who reads one holds the lock shared for as long as the pod lives, so that nobody
removes it meanwhile. Locks go with the processes that hold them, also with those that were killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FRESH_SECONDS = 600
"""What was asked for so recently is about to be held."""
_SHARE = 0.8
"""Of the volume, where no bound is given."""
_PARTIAL, _TRASH, _LOCK, _USED, _SIZE = ".partial", ".trash-", ".lock", ".used", ".size"


def use(cache: Path, key: str, fetch: Callable[[Path], None], *, now: float, limit: int = 0) -> Path:
    """The entry, fetched where it is not there; `fetch` fills the directory it is given. `limit` are bytes, 0: four fifths
    of the volume. Raises what `fetch` raises; nothing is left of it then.
    """
    cache.mkdir(parents=True, exist_ok=True)
    entry = cache / key
    with _locked(cache, key, fcntl.LOCK_SH):
        if entry.is_dir():
            _touch(cache, key, now)
            return entry
    with _locked(cache, key, fcntl.LOCK_EX):
        if not entry.is_dir():
            evict(cache, now=now, limit=limit)
            _fetch(cache, key, fetch, now)
        _touch(cache, key, now)
    evict(cache, now=now, limit=limit)
    return entry


def hold(cache: Path, keys: list[str]) -> list[int]:
    """Hold entries until the process ends; the descriptors that do."""
    held = []
    for key in keys:
        descriptor = os.open(cache / f"{key}{_LOCK}", os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        held.append(descriptor)
    return held


def evict(cache: Path, *, now: float, limit: int = 0, everything: bool = False) -> list[str]:
    """Remove what nobody uses, the longest unused first, until the rest is within the limit; also what killed fetches left.
    The keys that went.
    """
    for path in [*cache.glob(f"{_TRASH}*"), *(p for p in cache.glob(f"*{_PARTIAL}") if _is_orphan(cache, p))]:
        shutil.rmtree(path, ignore_errors=True)
    volume = os.statvfs(cache)
    most = limit or int(volume.f_blocks * volume.f_frsize * _SHARE)
    sizes = {path.name: _number(cache / f"{path.name}{_SIZE}") for path in cache.iterdir() if _is_entry(path)}
    gone: list[str] = []
    for key in sorted(sizes, key=lambda each: _used(cache, each)):
        if sum(sizes.values()) <= most and not everything:
            break
        if now - _used(cache, key) < _FRESH_SECONDS:
            break
        if _remove(cache, key):
            gone.append(key)
            sizes.pop(key)
    return gone


def _fetch(cache: Path, key: str, fetch: Callable[[Path], None], now: float) -> None:
    partial = cache / f"{key}{_PARTIAL}"
    for again in (True, False):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            fetch(partial)
            break
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            if (
                error.errno not in (errno.ENOSPC, errno.EDQUOT)
                or not again
                or not evict(cache, now=now, everything=True)
            ):
                raise
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    size = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    (cache / f"{key}{_SIZE}").write_text(str(size))
    partial.rename(cache / key)


def _remove(cache: Path, key: str) -> bool:
    """Whether nobody held it, so that it is gone."""
    with suppress(BlockingIOError), _locked(cache, key, fcntl.LOCK_EX | fcntl.LOCK_NB):
        trash = cache / f"{_TRASH}{key}-{os.getpid()}"
        (cache / key).rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
        (cache / f"{key}{_SIZE}").unlink(missing_ok=True)
        (cache / f"{key}{_USED}").unlink(missing_ok=True)
        return True
    return False


def _is_orphan(cache: Path, partial: Path) -> bool:
    try:
        with _locked(cache, partial.name.removesuffix(_PARTIAL), fcntl.LOCK_EX | fcntl.LOCK_NB):
            return True
    except BlockingIOError:
        return False


@contextmanager
def _locked(cache: Path, key: str, how: int) -> Iterator[None]:
    with (cache / f"{key}{_LOCK}").open("a") as file:
        fcntl.flock(file, how)
        yield


def _is_entry(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and not path.name.endswith(_PARTIAL)


def _touch(cache: Path, key: str, now: float) -> None:
    path = cache / f"{key}{_USED}"
    path.touch()
    os.utime(path, (now, now))


def _used(cache: Path, key: str) -> float:
    try:
        return (cache / f"{key}{_USED}").stat().st_mtime
    except OSError:
        return 0.0


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
