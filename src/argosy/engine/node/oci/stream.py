"""A layer's bytes on their way from a blob to the unpacker: decompressed, counted and digested.

gzip comes with Python; zstd with Python 3.14, or with the program `zstd`. Where neither is, such a layer is refused before
anything of it is fetched (`can_read_zstd`).
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import importlib.util
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from argosy.engine.node.images.resolve import ImageError

CHUNK = 1 << 18
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MODULE = "compression.zstd"


def can_read_zstd() -> bool:
    """Whether there is something that decompresses zstd."""
    return _has_module() or shutil.which("zstd") is not None


def _has_module() -> bool:
    try:
        return importlib.util.find_spec(_MODULE) is not None
    except ModuleNotFoundError:
        return False


class Digested(io.RawIOBase):
    """Passes a stream on, and knows the digest of what has passed. `watch` is told the number of bytes now and then."""

    def __init__(self, inner: BinaryIO, algorithm: str, watch: Callable[[int], None]) -> None:
        self._inner = inner
        self._hash = hashlib.new(algorithm)
        self._algorithm = algorithm
        self._watch = watch
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        data = self._inner.read(CHUNK if size < 0 else size)
        self._hash.update(data)
        self.count += len(data)
        self._watch(self.count)
        return data

    def drain(self) -> None:
        """Read the rest: archives end before their padding does."""
        while self.read(CHUNK):
            pass

    @property
    def digest(self) -> str:
        """Of everything read so far."""
        return f"{self._algorithm}:{self._hash.hexdigest()}"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A blob's content, decompressed by what its first bytes say it is. Raises ImageError, OSError."""
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(_GZIP):
            with gzip.GzipFile(fileobj=file) as inflated:
                yield cast("BinaryIO", inflated)
        elif magic == _ZSTD:
            with _zstd(file) as inflated:
                yield inflated
        else:
            yield file


@contextmanager
def _zstd(file: BinaryIO) -> Iterator[BinaryIO]:
    if _has_module():
        with importlib.import_module(_MODULE).ZstdFile(file) as inflated:
            yield inflated
        return
    program = shutil.which("zstd")
    if program is None:
        raise ImageError("a layer is compressed with zstd; install the program zstd on this machine")
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # what has been looked at is in this process's buffer
    with subprocess.Popen([program, "-dc"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield cast("BinaryIO", process.stdout)
            if process.wait():
                raise ImageError(
                    f"zstd says of a layer: {process.stderr.read().decode(errors='replace').strip()[-200:]}"
                )
        finally:
            process.kill()
