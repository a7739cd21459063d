"""A container's output as the CRI log: one line `<RFC3339Nano> stdout|stderr F|P <text>` per line of text.

Used by the shim. Whole chunks are prefixed with one `bytes.replace`, so a chatty container costs the shim next to nothing.
"""

from __future__ import annotations

import os
import time

LINE_MAX = 16 * 1024
"""Longer lines are cut into pieces tagged P, as container runtimes do."""


def timestamp(nanoseconds: int) -> bytes:
    """RFC3339Nano in UTC."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%09dZ" % fraction


def format_chunk(stream: bytes, stamp: bytes, rest: bytes, chunk: bytes) -> tuple[bytes, bytes]:
    """Log lines for what was read, and what remains of a line that has not ended yet."""
    data = rest + chunk
    end = data.rfind(b"\n") + 1
    out = b""
    if end:
        prefix = stamp + b" " + stream + b" F "
        if end <= LINE_MAX:
            out = prefix + data[: end - 1].replace(b"\n", b"\n" + prefix) + b"\n"
        else:
            out = b"".join(_one_line(stream, stamp, line) for line in data[: end - 1].split(b"\n"))
    rest = data[end:]
    partial = stamp + b" " + stream + b" P "
    while len(rest) > LINE_MAX:
        out += partial + rest[:LINE_MAX] + b"\n"
        rest = rest[LINE_MAX:]
    return out, rest


def _one_line(stream: bytes, stamp: bytes, line: bytes) -> bytes:
    head = stamp + b" " + stream
    if len(line) <= LINE_MAX:
        return head + b" F " + line + b"\n"
    pieces = [line[i : i + LINE_MAX] for i in range(0, len(line), LINE_MAX)]
    return b"".join(head + (b" F " if i == len(pieces) - 1 else b" P ") + p + b"\n" for i, p in enumerate(pieces))


class Log:
    """The log file of one run, rotated to `<path>.1` when it has grown past `limit` bytes."""

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.limit = max(limit, 4096)
        self._rest: dict[bytes, bytes] = {b"stdout": b"", b"stderr": b""}
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size

    def fileno(self) -> int:
        """The descriptor in use."""
        return self._fd

    def feed(self, stream: bytes, chunk: bytes, *, at_once: bool = False) -> None:
        """Take what was read from a stream; `at_once` does not wait for the end of a line (a terminal's prompt)."""
        stamp = timestamp(time.time_ns())
        out, rest = format_chunk(stream, stamp, self._rest[stream], chunk)
        if at_once and rest:
            out, rest = out + stamp + b" " + stream + b" P " + rest + b"\n", b""
        self._rest[stream] = rest
        if out:
            self._write(out)

    def finish(self) -> None:
        """Write out lines that never got their newline, and close."""
        for stream, rest in self._rest.items():
            if rest:
                self._write(timestamp(time.time_ns()) + b" " + stream + b" F " + rest + b"\n")
        os.close(self._fd)

    def _write(self, data: bytes) -> None:
        try:
            if self._size and self._size + len(data) > self.limit:
                os.replace(self.path, f"{self.path}.1")
                full = self._fd
                self._open()
                os.close(full)
            self._size += os.write(self._fd, data)
        except OSError:
            # A full disk must not stop the container: its output is lost, its work goes on.
            pass
