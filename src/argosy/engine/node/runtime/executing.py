"""Commands executed in a running container: collected for probes and hooks, streamed for `kubectl exec`.

Used by `local`. The command's ends are ordinary descriptors of the engine: pipes, or the other side of a terminal; the
holder's child that started the command answers its exit code when it has ended, and kills it when the engine hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Sequence
from pathlib import Path

from argosy.engine.node.runtime.connection import Connection, HolderRefused, Line
from argosy.engine.node.runtime.paths import translate
from argosy.engine.node.runtime.runs import StateFile
from argosy.engine.node.runtime.spec import ExecResult
from argosy.meta.json import Obj

OUTPUT_MAX = 64 * 1024
_LINGER_SECONDS = 0.2


class ExecStream:
    """A command that is running. Close it when done: that ends the command if it has not ended."""

    def __init__(self, line: Line, stdin: int, stdout: int, stderr: int) -> None:
        self._line = line
        self.stdin = stdin
        """Non-blocking descriptor to write to; -1 when the command reads nothing."""
        self.stdout = stdout
        """Non-blocking descriptor to read from; a terminal's is the same as `stdin`."""
        self.stderr = stderr
        """Likewise; -1 with a terminal."""

    async def wait(self) -> int:
        """The exit code, 128 + signal for a killed command. Raises HolderGone, HolderRefused."""
        answer, _ = await self._line.answer()
        if "failure" in answer:
            raise HolderRefused(str(answer["failure"]))
        return int(answer["code"])

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size; nothing happens without one."""
        _resize(self.stdout, rows, columns)

    def close_stdin(self) -> None:
        """Let the command read the end of its input."""
        if self.stdin >= 0 and self.stdin != self.stdout:
            os.close(self.stdin)
        self.stdin = -1

    def close(self) -> None:
        """Hang up and close every descriptor. Idempotent."""
        self.close_stdin()
        self._line.close()
        for fd in {self.stdout, self.stderr} - {-1}:
            os.close(fd)
        self.stdout = self.stderr = -1


def order(state: StateFile, argv: Sequence[str], *, tty: bool, timeout: float | None) -> Obj:
    """The order for a command in a run's container."""
    confinement = state.confinement
    if tty:
        confinement = {**confinement, "env": {"TERM": "xterm", **confinement["env"]}}
    return {
        "op": "exec",
        "pid": state.command_pid,
        "start_time": state.command_start_time,
        "argv": [translate(word, confinement["places"]) for word in argv],
        "confinement": confinement,
        "tty": tty,
        "timeout": timeout,
    }


async def collect(connection: Connection, state: StateFile, argv: Sequence[str], timeout: float | None) -> ExecResult:
    """Run a command to its end; both streams, in the order written, up to 64 KiB. Raises HolderGone, HolderRefused."""
    read, write = os.pipe()
    output = bytearray()
    collecting = asyncio.create_task(_collect(read, output))
    try:
        with Path(os.devnull).open("rb") as nothing:
            request = order(state, argv, tty=False, timeout=timeout)
            line = connection.open(request, (nothing.fileno(), write, write))
        os.close(write)
        write = -1
        with contextlib.closing(line):
            answer, _ = await line.answer()
        with contextlib.suppress(TimeoutError):  # a child of the command may hold the pipe open
            await asyncio.wait_for(collecting, _LINGER_SECONDS)
    finally:
        collecting.cancel()
        if write >= 0:
            os.close(write)
        with contextlib.suppress(asyncio.CancelledError):
            await collecting
        os.close(read)
    if "failure" in answer:
        return ExecResult(answer["code"], answer["failure"].encode())
    return ExecResult(answer["code"], bytes(output), answer["timed_out"])


async def stream(
    connection: Connection, state: StateFile, argv: Sequence[str], *, tty: bool, stdin: bool
) -> ExecStream:
    """Start a command whose ends stay open. Raises HolderGone, HolderRefused (with the reason it cannot be executed)."""
    request = order(state, argv, tty=tty, timeout=None)
    if tty:
        line = connection.open(request)
        try:
            answer, descriptors = await line.answer()
            if not descriptors:
                raise HolderRefused(str(answer.get("failure", "the container has no terminals")))
        except BaseException:
            line.close()
            raise
        (master,) = descriptors
        os.set_blocking(master, False)
        return ExecStream(line, master if stdin else -1, master, -1)
    pipes = [os.pipe(), os.pipe(), os.pipe()]
    (in_read, in_write), (out_read, out_write), (err_read, err_write) = pipes
    try:
        line = connection.open(request, (in_read, out_write, err_write))
    except BaseException:
        for fd in (in_write, out_read, err_read):
            os.close(fd)
        raise
    finally:
        for fd in (in_read, out_write, err_write):
            os.close(fd)
    if not stdin:
        os.close(in_write)
        in_write = -1
    for fd in (in_write, out_read, err_read):
        if fd >= 0:
            os.set_blocking(fd, False)
    return ExecStream(line, in_write, out_read, err_read)


def resize_terminal(pid: int, rows: int, columns: int) -> None:
    """Tell the terminal that a process has as its standard input its size, if it has one."""
    with contextlib.suppress(OSError):
        fd = os.open(f"/proc/{pid}/fd/0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _resize(fd, rows, columns)
        finally:
            os.close(fd)


def _resize(fd: int, rows: int, columns: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("=4H", rows, columns, 0, 0))


async def _collect(fd: int, into: bytearray) -> None:
    """Read a pipe to its end, keeping the first 64 KiB."""
    loop = asyncio.get_running_loop()
    os.set_blocking(fd, False)
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        while True:
            await ready.wait()
            ready.clear()
            try:
                chunk = os.read(fd, 1 << 16)
            except BlockingIOError:
                continue
            if not chunk:
                return
            into += chunk[: max(OUTPUT_MAX - len(into), 0)]
    finally:
        loop.remove_reader(fd)
