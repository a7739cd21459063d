"""`python -m argosy.programs.rsh.sshd [options]`: runs in a worker and does what `ssh` in the launcher asks, as `sshd` would.

A command gets the container's own environment. It ends when its caller goes away, however that came about; what it left
running on purpose (a daemon) stays. SIGTERM ends everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE
from typing import cast

from argosy.programs import pod
from argosy.programs.rsh import keyfile, wire, words
from argosy.programs.rsh.ssh import keep_alive
from argosy.programs.rsh.wire import Sort

_INTRODUCTION_SECONDS = 10.0
_GRACE_SECONDS = 2.0
_LAST_WORDS_SECONDS = 1.0
_CHUNK_BYTES = 65536
_UNSENT_BYTES_MAX = 1024 * 1024


class Command(asyncio.SubprocessProtocol):
    """One command: what it says goes to the caller at once."""

    def __init__(self, caller: asyncio.StreamWriter) -> None:
        self.exited = asyncio.Event()
        self._silent = asyncio.Event()
        self._open_ends = 2
        self._caller = caller
        self._transport: asyncio.SubprocessTransport | None = None
        self._draining: asyncio.Task[None] | None = None
        self._reporting: asyncio.Task[None] | None = None

    async def start(self, command: str) -> None:
        """Run it by the shell, in a session of its own."""
        loop = asyncio.get_running_loop()
        await loop.subprocess_exec(
            lambda: self, "/bin/sh", "-c", command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        self._reporting = asyncio.create_task(self._report(), name="report")
        self._reporting.add_done_callback(lambda _: self._caller.close())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It said something. A caller that does not read holds it up, as a full pipe would."""
        self._caller.write(wire.frame(Sort.OUTPUT if fd == 1 else Sort.ERRORS, data))
        if self._draining is None and self._caller.transport.get_write_buffer_size() > _UNSENT_BYTES_MAX:
            self._draining = asyncio.create_task(self._drain(), name="drain")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It will say no more at this end."""
        self._open_ends -= fd != 0
        if not self._open_ends:
            self._silent.set()

    def process_exited(self) -> None:
        """It has ended; a daemon that it left behind may keep the pipes open."""
        self.exited.set()

    def feed(self, sort: Sort, content: bytes) -> None:
        """Give it input, or the end of it."""
        assert self._transport is not None, "started"
        pipe = cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))
        if pipe is None or pipe.is_closing():
            return
        if sort is Sort.INPUT:
            pipe.write(content)
        elif sort is Sort.END:
            pipe.close()

    async def end(self) -> None:
        """End it if it still runs."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.exited.wait(), _GRACE_SECONDS)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.exited.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Signal its whole group: it leads a session."""
        if self._transport is not None and not self.exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._transport.get_pid(), number)

    async def _report(self) -> None:
        """Say how it ended, after its last words."""
        assert self._transport is not None, "started"
        await self.exited.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._silent.wait(), _LAST_WORDS_SECONDS)
        code = self._transport.get_returncode() or 0
        with contextlib.suppress(OSError):
            self._caller.write(wire.frame(Sort.EXIT, bytes((code if code >= 0 else 128 - code,))))
            await self._caller.drain()
        self._transport.close()

    async def _drain(self) -> None:
        assert self._transport is not None, "started"
        pipes = [self._transport.get_pipe_transport(fd) for fd in (1, 2)]
        reading = [cast("asyncio.ReadTransport", pipe) for pipe in pipes if pipe is not None]
        for pipe in reading:
            pipe.pause_reading()
        with contextlib.suppress(OSError):
            await self._caller.drain()
        for pipe in reading:
            pipe.resume_reading()
        self._draining = None


class Server:
    """Listens, and looks after the commands that run here for others."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._running: set[Command] = set()

    async def serve(self, address: str, port: int) -> None:
        """Listen until SIGTERM. Raises OSError when the address cannot be had."""
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        server = await asyncio.start_server(self._answer, address, port)
        await told.wait()
        server.close()
        await asyncio.gather(*(command.end() for command in self._running))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever connects and says nothing is a probe, or a stranger.
        with contextlib.suppress(OSError, wire.Garbled, asyncio.IncompleteReadError, TimeoutError):
            keep_alive(writer.get_extra_info("socket"))
            async with asyncio.timeout(_INTRODUCTION_SECONDS):
                known = await self._is_known(reader, writer)
            if known:
                await self._attend(reader, writer)
        writer.close()

    async def _is_known(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        ours = os.urandom(wire.CHALLENGE_BYTES)
        writer.write(ours)
        theirs = await reader.readexactly(wire.CHALLENGE_BYTES)
        given = await reader.readexactly(wire.PROOF_BYTES)
        if not wire.proves(given, self._key, "ssh", ours + theirs):
            sys.stderr.write("sshd: refused a caller that does not have this job's key\n")
            return False
        writer.write(wire.proof(self._key, "sshd", ours + theirs))
        return True

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one caller until it has its answer or goes away."""
        frames, command = wire.Frames(), None
        try:
            while data := await reader.read(_CHUNK_BYTES):
                for sort, content in frames.feed(data):
                    if command is not None:
                        command.feed(sort, content)
                    elif sort is Sort.COMMAND:
                        command = Command(writer)
                        self._running.add(command)
                        await command.start(content.decode())
        finally:
            if command is not None:
                await command.end()
                self._running.discard(command)


def main(arguments: list[str]) -> None:
    """Serve until told to stop."""
    try:
        service = words.sshd(arguments)
        server = Server(keyfile.secret(service.key))
        asyncio.run(server.serve(pod.address(), service.port))
    except words.Misused as error:
        pod.give_up(f"sshd: {error}", 2)
    except OSError as error:
        pod.give_up(f"sshd: {error.strerror or error}")


if __name__ == "__main__":
    main(sys.argv[1:])
