"""The engine's end of the line to the holder: finds or starts it, and asks it things.

Used by `local` and `network`. One request, one connection: the holder hands the connection to the child that does the
work, so replies of slow requests never queue behind each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import argosy
from argosy.engine.node.runtime.holder import server, wire
from argosy.engine.node.runtime.spec import Level
from argosy.errors import ArgosyError, UserError
from argosy.meta.json import Obj

START_SECONDS = 10.0
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from argosy.engine.node.runtime.holder import server; server.main()"


class HolderGone(ArgosyError):
    """The holder cannot be reached; start it again."""


class HolderRefused(ArgosyError):
    """The holder answered that it could not; the message says why."""


class Line:
    """A request under way."""

    def __init__(self, line: socket.socket, operation: str) -> None:
        self._line = line
        self._operation = operation

    async def answer(self) -> tuple[Obj, list[int]]:
        """The next answer, and the descriptors that came with it. Raises HolderGone, HolderRefused."""
        await readable(self._line.fileno())
        try:
            answer, descriptors = wire.receive(self._line)  # answers are small and come whole
        except (OSError, EOFError) as error:
            raise HolderGone(f"the holder did not answer {self._operation}: {error}") from None
        return _checked(answer), descriptors

    def close(self) -> None:
        """Hang up; whatever the request started for this line ends with it."""
        self._line.close()


async def readable(fd: int) -> None:
    """Wait until there is something to read, or the other side has gone."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def arrived() -> None:
        loop.remove_reader(fd)
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, arrived)
    try:
        await ready
    except asyncio.CancelledError:
        loop.remove_reader(fd)
        raise


class Connection:
    """Reaches the holder whose socket lies in `directory`."""

    def __init__(self, directory: Path, level: Level) -> None:
        self.directory = directory
        self.level = level

    def dial(self) -> socket.socket:
        """A connected blocking socket whose other end knows who this is. Raises HolderGone."""
        try:
            fd, path = wire.short_path(str(self.directory), server.SOCKET_NAME)
        except OSError as error:
            raise HolderGone(f"{self.directory}: {error.strerror}") from None
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(path)
            line.sendall((self.directory / server.KEY_NAME).read_bytes())
        except OSError as error:
            line.close()
            raise HolderGone(f"the holder does not answer: {error.strerror}") from None
        finally:
            os.close(fd)
        return line

    def ask_now(self, request: Obj, timeout: float = START_SECONDS) -> Obj:
        """Ask and wait, blocking. Raises HolderGone, HolderRefused."""
        with self.dial() as line:
            line.settimeout(timeout)
            try:
                wire.send(line, request)
                answer, descriptors = wire.receive(line)
            except (OSError, EOFError) as error:
                raise HolderGone(f"the holder did not answer {request['op']}: {error}") from None
        for fd in descriptors:
            os.close(fd)
        return _checked(answer)

    def open(self, request: Obj, descriptors: Sequence[int] = ()) -> Line:
        """Send a request whose answers are awaited on what comes back. Raises HolderGone."""
        try:
            try:
                return self._sent(request, descriptors)
            except BrokenPipeError:
                # It hangs up on who does not speak for seconds, which on an overloaded machine may be us: it took nothing.
                return self._sent(request, descriptors)
        except OSError as error:
            raise HolderGone(f"the holder did not take {request['op']}: {error}") from None

    def _sent(self, request: Obj, descriptors: Sequence[int]) -> Line:
        line = self.dial()
        # A request fits the socket's buffer except for a very large environment, and the holder reads at once.
        line.settimeout(START_SECONDS)
        try:
            wire.send(line, request, descriptors)
        except OSError:
            line.close()
            raise
        return Line(line, str(request["op"]))

    async def ask(self, request: Obj) -> Obj:
        """Ask and await the one answer; cancelling hangs up. Raises HolderGone, HolderRefused."""
        with contextlib.closing(self.open(request)) as line:
            answer, descriptors = await line.answer()
        for fd in descriptors:
            os.close(fd)
        return answer

    def start(self, former: Sequence[str] = (), pass_on: Sequence[int] = ()) -> None:
        """Start a holder, blocking until it listens.

        `former` are paths of an earlier holder's namespaces to come back to, `pass_on` the descriptors that they name, if
        they do. Raises UserError with the holder's own words when it cannot do what the level needs.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        source = Path(argosy.__file__).parent.parent
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(source), str(self.directory), self.level]
        command.append(",".join(former))
        with (self.directory / "holder.log").open("ab") as log:
            try:
                process = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd="/", env={}, check=False,
                    start_new_session=True, pass_fds=pass_on, timeout=START_SECONDS,
                )  # fmt: skip
                said = process.stdout.decode(errors="replace").strip()
            except subprocess.TimeoutExpired:
                said = f"no answer within {START_SECONDS:.0f} s"
        if os.strerror(errno.ENOSPC) in said:
            raise UserError(f"the disk that holds {self.directory} is full", "free some space and try again")
        if not said.startswith("ready"):
            raise UserError(
                f"isolation level {self.level} did not come up: {said.removeprefix('error ') or 'no answer'}",
                f"see {self.directory / 'holder.log'} or choose a lower level with --isolation",
            )


def _checked(answer: Obj) -> Obj:
    if "error" in answer:
        raise HolderRefused(str(answer["error"]))
    return answer
