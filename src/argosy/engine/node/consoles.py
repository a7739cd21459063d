"""The standard streams of commands and containers, for the clients of exec and attach, and the way to a pod's ports.

The agent makes them for the API server (`backends.Process`). A command's streams are descriptors of the engine; a
container's output is what its log says from now on, since only its shim has the other ends, and its input a FIFO.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Collection, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from argosy.engine.node.logs import Reader
from argosy.engine.node.runtime.spec import Level
from argosy.errors import InternalError, NotFound
from argosy.meta.json import Obj, dig
from argosy.meta.objects import uid_of

_CHUNK = 1 << 16
_LINGER_SECONDS = 0.2
"""How long output may still come after a command's end: from a terminal, or from children that it left behind."""
_DIAL_SECONDS = 10.0


class Command(Protocol):
    """A command that the runtime has started (`executing.ExecStream`)."""

    stdin: int
    stdout: int
    stderr: int

    async def wait(self) -> int:
        """The exit code."""
        ...

    def resize(self, rows: int, columns: int) -> None:
        """The terminal's size."""
        ...

    def close_stdin(self) -> None:
        """End its input."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Interactive(Protocol):
    """What a runtime offers to people, beyond what pods need (`local.LocalRuntime`)."""

    level: Level

    async def exec_stream(self, run_id: str, argv: Sequence[str], *, tty: bool = False, stdin: bool = False) -> Command:
        """Start a command in a container."""
        ...

    def open_stdin(self, run_id: str) -> int:
        """A non-blocking descriptor that feeds a container."""
        ...

    def end_stdin(self, run_id: str) -> None:
        """End a container's input."""
        ...

    def resize(self, run_id: str, rows: int, columns: int) -> None:
        """The size of a container's terminal."""
        ...

    async def pod_socket(self, uid: str, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket in a pod's own network."""
        ...


class RunningCommand:
    """A command in a container, for one client."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._ended = asyncio.ensure_future(command.wait())

    async def output(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield what it writes; a child that holds the streams open after the command's end is not waited for."""
        fds = {self._command.stdout: "stdout", self._command.stderr: "stderr"}
        fds.pop(-1, None)
        while fds:
            silent = True
            ended = self._ended.done()  # asked before reading: what was written before the end is read after it
            for fd, name in list(fds.items()):
                chunk = _read(fd)
                if chunk:
                    silent = False
                    yield name, chunk
                elif chunk is not None:
                    del fds[fd]
            if silent and fds and not await _some_readable(fds, self._ended, after_end=ended) and ended:
                return

    async def write(self, data: bytes) -> None:
        """Feed it."""
        if self._command.stdin >= 0 and not await _write(self._command.stdin, data):
            self._command.close_stdin()

    def close_stdin(self) -> None:
        """End its input."""
        self._command.close_stdin()

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal's size."""
        self._command.resize(rows, columns)

    async def wait(self) -> int:
        """Its exit code. Raises ArgosyError when it could not be executed."""
        return await asyncio.shield(self._ended)

    def close(self) -> None:
        """Hang up, which kills it."""
        # Whoever waits lets go of the descriptors first: a closed one's number may be another's at once.
        self._ended.add_done_callback(self._hang_up)
        self._ended.cancel()

    def _hang_up(self, ended: asyncio.Future[int]) -> None:
        if not ended.cancelled():
            ended.exception()
        self._command.close()


@dataclass(frozen=True, slots=True)
class Attaching:
    """Which run is attached to, and how."""

    run_id: str
    ended: asyncio.Future[int]
    stdin: bool
    last_input: bool = False
    """The container's input ends with this client's (`stdinOnce`)."""
    from_start: bool = False
    """What it has written so far comes first."""


class AttachedContainer:
    """A running container's own streams, for one client."""

    def __init__(self, runtime: Interactive, log: Reader, how: Attaching) -> None:
        self._runtime = runtime
        self._log = log
        self._how = how
        self._stdin = runtime.open_stdin(how.run_id) if how.stdin else -1

    async def output(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield what it writes."""
        async with aclosing(self._log.follow(from_start=self._how.from_start)) as parts:
            async for part in parts:
                yield part

    async def write(self, data: bytes) -> None:
        """Feed it."""
        if self._stdin >= 0 and not await _write(self._stdin, data):
            self.close_stdin()

    def close_stdin(self) -> None:
        """End what this client feeds."""
        if self._stdin < 0:
            return
        os.close(self._stdin)
        self._stdin = -1
        if self._how.last_input:
            with contextlib.suppress(NotFound):
                self._runtime.end_stdin(self._how.run_id)

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal's size."""
        with contextlib.suppress(NotFound):
            self._runtime.resize(self._how.run_id, rows, columns)

    async def wait(self) -> int:
        """Attaching has succeeded however the container ends; its own status tells how that was."""
        await asyncio.shield(self._how.ended)
        return 0

    def close(self) -> None:
        """Leave it to itself."""
        self._how.ended.cancel()
        self.close_stdin()


def interactive(runtime: object) -> Interactive:
    """The runtime, if people can enter its containers. Raises InternalError."""
    if not hasattr(runtime, "exec_stream"):
        raise InternalError("the runtime of this node runs no commands for clients")
    return runtime  # type: ignore[return-value]  # every method is there, or none


async def start(runtime: Interactive, run_id: str, argv: Sequence[str], *, tty: bool, stdin: bool) -> RunningCommand:
    """Start a command. Raises ArgosyError."""
    return RunningCommand(await runtime.exec_stream(run_id, argv, tty=tty, stdin=stdin))


async def dial(runtime: Interactive, pod: Obj, port: int) -> socket.socket:
    """Connect to a port as if from inside the pod: its loopback first, then its address. Raises OSError, ArgosyError.

    Below L2 the loopback is the host's own and belongs to everybody: there the pod's address is the only one.
    """
    address = str(dig(pod, "status", "podIP", default=""))
    own_loopback = runtime.level is Level.L2 or bool(dig(pod, "spec", "hostNetwork"))
    problems: list[OSError] = []
    for host in filter(None, ["127.0.0.1", address] if own_loopback else [address]):
        connection = await runtime.pod_socket(uid_of(pod))
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                await asyncio.get_running_loop().sock_connect(connection, (host, port))
        except TimeoutError:
            connection.close()
            problems.append(TimeoutError(f"dial tcp4 {host}:{port}: i/o timeout"))
        except OSError as error:
            connection.close()
            said = os.strerror(error.errno).lower() if error.errno else error
            problems.append(OSError(error.errno, f"dial tcp4 {host}:{port}: connect: {said}"))
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise problems[0] if problems else ConnectionError("the pod has no address yet")


def background(work: Coroutine[Any, Any, int]) -> asyncio.Future[int]:
    """A future that nobody has to await."""
    future = asyncio.ensure_future(work)
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def _read(fd: int) -> bytes | None:
    """What is there: None for nothing yet, empty for the end (which a terminal tells by an error)."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


async def _some_readable(fds: Collection[int], ended: asyncio.Future[int], *, after_end: bool) -> bool:
    """Wait for something to read, or the end; after the end only a moment. False when that passed in silence."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def arrived() -> None:
        if not ready.done():
            ready.set_result(None)

    for fd in fds:
        loop.add_reader(fd, arrived)
    try:
        if after_end:
            await asyncio.wait({ready}, timeout=_LINGER_SECONDS)
        else:
            both: set[asyncio.Future[Any]] = {ready, ended}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return ready.done()
    finally:
        for fd in fds:
            loop.remove_reader(fd)


async def _write(fd: int, data: bytes) -> bool:
    """Write everything, waiting for room; False when nobody reads any more."""
    loop = asyncio.get_running_loop()
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            room = asyncio.Event()
            loop.add_writer(fd, room.set)
            try:
                await room.wait()
            finally:
                loop.remove_writer(fd)
        except OSError:
            return False
    return True
