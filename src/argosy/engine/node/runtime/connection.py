"""The engine's end of the line to the holder: finds or starts it, and asks it things.

Used by `local` and `network`. One request, one connection: the holder hands the connection to the child that does the
work, so replies of slow requests never queue behind each other.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import argosy
from argosy.engine.node.runtime.holder import server, wire
from argosy.engine.node.runtime.spec import Level
from argosy.errors import ArgosyError, UserError

START_SECONDS = 10.0
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from argosy.engine.node.runtime.holder import server; server.main()"


class HolderGone(ArgosyError):
    """The holder cannot be reached; start it again."""


class HolderRefused(ArgosyError):
    """The holder answered that it could not; the message says why."""


class Connection:
    """Reaches the holder whose socket lies in `directory`."""

    def __init__(self, directory: Path, level: Level) -> None:
        self.directory = directory
        self.level = level

    def dial(self) -> socket.socket:
        """A connected blocking socket. Raises HolderGone."""
        try:
            fd, path = wire.short_path(str(self.directory), server.SOCKET_NAME)
        except OSError as error:
            raise HolderGone(f"{self.directory}: {error.strerror}") from None
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(path)
        except OSError as error:
            line.close()
            raise HolderGone(f"the holder does not answer: {error.strerror}") from None
        finally:
            os.close(fd)
        return line

    def ask_now(self, request: dict[str, Any], timeout: float = START_SECONDS) -> dict[str, Any]:
        """Ask and wait, blocking. Raises HolderGone, HolderRefused."""
        with self.dial() as line:
            line.settimeout(timeout)
            try:
                wire.send(line, request)
                answer, _ = wire.receive(line)
            except (OSError, EOFError) as error:
                raise HolderGone(f"the holder did not answer {request['op']}: {error}") from None
        return _checked(answer)

    async def ask(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        """Ask and await the answer; cancelling hangs up. Raises HolderGone, HolderRefused."""
        loop = asyncio.get_running_loop()
        line = self.dial()
        try:
            # Requests fit the socket's buffer except for a very large environment, and the holder reads at once.
            line.settimeout(START_SECONDS)
            wire.send(line, request, descriptors)
            line.setblocking(False)
            frame = bytearray()
            while True:
                chunk = await loop.sock_recv(line, 1 << 16)
                if not chunk:
                    raise HolderGone(f"the holder hung up on {request['op']}")
                frame += chunk
                if len(frame) >= 4 and len(frame) >= 4 + int.from_bytes(frame[:4]):
                    return _checked(wire.unpack(bytes(frame[4:])))
        except (OSError, EOFError) as error:
            raise HolderGone(f"the holder did not answer {request['op']}: {error}") from None
        finally:
            line.close()

    def start(self, former: str = "") -> None:
        """Start a holder, blocking until it listens. `former` is `/proc/<pid>` of a shim whose namespaces to come back to.

        Raises UserError with the holder's own words when it cannot do what the level needs.
        """
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        source = Path(argosy.__file__).parent.parent
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(source), str(self.directory), self.level, former]
        with (self.directory / "holder.log").open("ab") as log:
            process = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd="/", env={}, check=False,
                start_new_session=True, timeout=START_SECONDS,
            )  # fmt: skip
        said = process.stdout.decode(errors="replace").strip()
        if not said.startswith("ready"):
            raise UserError(
                f"isolation level {self.level} did not come up: {said.removeprefix('error ') or 'no answer'}",
                f"see {self.directory / 'holder.log'} or choose a lower level with --isolation",
            )


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise HolderRefused(str(answer["error"]))
    return answer
