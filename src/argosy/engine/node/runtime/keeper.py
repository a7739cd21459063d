"""Keeps a holder going: finds it, starts it, starts it again when it dies.

Used by `local`, one for the pods of the cluster's network and one for those of the host's. A new holder comes back to the
namespaces that the running containers' shims keep open, so a holder's death costs nobody anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from argosy.engine.node.runtime.connection import Connection, HolderGone, HolderRefused, Line
from argosy.engine.node.runtime.holder import wire
from argosy.engine.node.runtime.holder.server import KEPT
from argosy.errors import ArgosyError
from argosy.meta.json import Obj

_END_SECONDS = 5
"""How long a holder may take to end; it has nothing left to do."""


_RESTART_FIRST_SECONDS, _RESTART_LAST_SECONDS = 0.05, 10.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a holder needs to know to have a pod's sandbox; `pid` is of one of its shims, 0 when nothing of it runs."""

    order: Obj
    """How it is made."""
    pid: int = 0

    def request(self, uid: str) -> Obj:
        """Take the sandbox over from the shim, or make it (nothing happens if the holder has it)."""
        return {"op": "rejoin", "uid": uid, "pid": self.pid} if self.pid else self.order


class Keeper:
    """Cares for the holder at the other end of a connection.

    `sandboxes` are the pods that a new holder must have, each with a pid of one of its shims if it runs; `renewed` is
    called (in a thread) after each start of a holder.
    """

    def __init__(
        self, connection: Connection, sandboxes: Callable[[], Mapping[str, Sandbox]], renewed: Callable[[], None]
    ) -> None:
        self.connection = connection
        self._sandboxes = sandboxes
        self._renewed = renewed
        self._starting = asyncio.Lock()
        self._pidfd = -1
        self._namespaces: list[int] = []
        self._restarting: asyncio.Task[None] | None = None
        self.generation = 0
        """Counts the holders: whatever was under way when it changed may stand in namespaces of the former one."""

    async def ask(self, request: Obj) -> Obj:
        """Ask the holder, starting it first if it is not there. Raises HolderGone, HolderRefused, UserError."""
        try:
            return await self.connection.ask(request)
        except HolderGone:
            await self.ensure()
            return await self.connection.ask(request)

    async def open(self, request: Obj) -> Line:
        """The same for a request with descriptors to come back. Raises HolderGone."""
        try:
            return self.connection.open(request)
        except HolderGone:
            await self.ensure()
            return self.connection.open(request)

    async def ensure(self) -> None:
        """A holder that answers and has the pods' sandboxes. Raises UserError, ArgosyError."""
        async with self._starting:
            alive = [sandbox.pid for sandbox in self._sandboxes().values() if sandbox.pid]
            with contextlib.suppress(HolderGone):
                answer = await self._greet()
                if answer["protocol"] == wire.PROTOCOL and answer["level"] == self.connection.level:
                    await self._reconcile(answer)
                    return
                if answer["level"] != self.connection.level and alive:
                    raise ArgosyError(
                        f"pods of isolation level {answer['level']} are running; stop the engine with its pods first"
                    )
                if answer["level"] != self.connection.level:
                    self._let_go()
                await self.connection.ask({"op": "end"})  # an idle one, or one of an earlier version
            self.generation += 1
            shims = [sandbox.pid for sandbox in self._sandboxes().values() if sandbox.pid]
            await asyncio.to_thread(self._start, shims)
            await self._reconcile(await self._greet())
            await asyncio.to_thread(self._renewed)

    async def _reconcile(self, answer: Obj) -> None:
        """Make the holder have the sandboxes that there should be and no others, by what it said of itself."""
        wanted, there = self._sandboxes(), set(answer["pods"])
        for uid in wanted.keys() - there:
            await self._restore(uid, wanted[uid])
        for uid in (wanted.keys() | there) - self._sandboxes().keys():  # some were removed meanwhile, in vain
            await self.connection.ask({"op": "unpod", "uid": uid})

    async def _restore(self, uid: str, sandbox: Sandbox) -> None:
        """Give the holder a pod's sandbox again. One that fails is made when the next container of it is started."""
        for attempt in (sandbox, replace(sandbox, pid=0)):  # the shim may have ended just now
            with contextlib.suppress(HolderRefused):
                await self.connection.ask(attempt.request(uid))
                return

    async def _greet(self) -> Obj:
        """Say hello: whose pid to watch, and the namespaces to hold open lest they go with the holder."""
        with contextlib.closing(self.connection.open({"op": "hello"})) as line:
            answer, namespaces = await line.answer()
        self._let_go()
        self._namespaces = namespaces
        with contextlib.suppress(OSError):  # it died just now: the next request will tell
            self._pidfd = os.pidfd_open(answer["pid"])
            asyncio.get_running_loop().add_reader(self._pidfd, self._died)
        return answer

    def _start(self, alive: Sequence[int]) -> None:
        if not alive:  # otherwise earlier skeletons are the lowest layer of roots in use
            for path in self.connection.directory.glob("skeleton-*"):
                shutil.rmtree(path, ignore_errors=True)
        if self._namespaces:
            return self.connection.start([f"/proc/self/fd/{fd}" for fd in self._namespaces], self._namespaces)
        from_shim = alive and self.connection.level != "L0"
        former = [f"/proc/{alive[0]}/fd/{number}" for _, number in KEPT] if from_shim else []
        return self.connection.start(former)

    def _died(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        self._restarting = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        """Start a holder again, whatever becomes of the first that are tried; whoever asks meanwhile hears why not."""
        pause = _RESTART_FIRST_SECONDS
        while True:
            try:
                return await self.ensure()
            except ArgosyError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RESTART_LAST_SECONDS)

    def _let_go(self) -> None:
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        while self._namespaces:
            os.close(self._namespaces.pop())

    async def close(self, *, kill: bool) -> None:
        """Stop caring; with `kill` end the holder, see it gone, and delete its directory."""
        held = os.dup(self._pidfd) if kill and self._pidfd >= 0 else -1
        self._let_go()
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        self._let_go()
        if kill:
            with contextlib.suppress(HolderGone, HolderRefused):
                await self.connection.ask({"op": "end"})
            await asyncio.to_thread(_see_gone, held)
            await asyncio.to_thread(shutil.rmtree, self.connection.directory, ignore_errors=True)


def _see_gone(pidfd: int) -> None:
    """Wait a moment for a process that was told to end, blocking; nothing happens without one (-1)."""
    if pidfd >= 0:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(_END_SECONDS * 1000)
        os.close(pidfd)
