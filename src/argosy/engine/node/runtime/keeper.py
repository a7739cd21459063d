"""Keeps a holder going: finds it, starts it, starts it again when it dies.

Used by `local`, one for the pods of the cluster's network and one for those of the host's. A new holder comes back to the
namespaces that the running containers' shims keep open, so a holder's death costs nobody anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Mapping

from argosy.engine.node.runtime.connection import Connection, HolderGone, HolderRefused, Line
from argosy.engine.node.runtime.holder import wire
from argosy.engine.node.runtime.holder.server import KEPT
from argosy.errors import ArgosyError
from argosy.meta.json import Obj


class Keeper:
    """Cares for the holder at the other end of a connection.

    `alive` says which pods run, by a pid of one of their shims; `renewed` is called (in a thread) after each start of a
    holder.
    """

    def __init__(
        self, connection: Connection, alive: Callable[[], Mapping[str, int]], renewed: Callable[[], None]
    ) -> None:
        self.connection = connection
        self._alive = alive
        self._renewed = renewed
        self._starting = asyncio.Lock()
        self._pidfd = -1
        self._namespaces: list[int] = []
        self._restarting: asyncio.Task[None] | None = None

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
        """A holder that answers, with the sandboxes of the pods that run. Raises UserError, ArgosyError."""
        async with self._starting:
            alive = self._alive()
            with contextlib.suppress(HolderGone):
                answer = await self._greet()
                if answer["protocol"] == wire.PROTOCOL and answer["level"] == self.connection.level:
                    return
                if answer["level"] != self.connection.level and alive:
                    raise ArgosyError(
                        f"pods of isolation level {answer['level']} are running; stop the engine with its pods first"
                    )
                if answer["level"] != self.connection.level:
                    self._let_go()
                await self.connection.ask({"op": "end"})  # an idle one, or one of an earlier version
            await asyncio.to_thread(self._start, alive)
            for uid, pid in alive.items():
                await self.connection.ask({"op": "rejoin", "uid": uid, "pid": pid})
            await self._greet()
            await asyncio.to_thread(self._renewed)

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

    def _start(self, alive: Mapping[str, int]) -> None:
        if not alive:  # otherwise earlier skeletons are the lowest layer of roots in use
            for path in self.connection.directory.glob("skeleton-*"):
                shutil.rmtree(path, ignore_errors=True)
        if self._namespaces:
            return self.connection.start([f"/proc/self/fd/{fd}" for fd in self._namespaces], self._namespaces)
        shim = next(iter(alive.values()), None)
        former = [f"/proc/{shim}/fd/{number}" for _, number in KEPT] if shim and self.connection.level != "L0" else []
        return self.connection.start(former)

    def _died(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        self._restarting = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        with contextlib.suppress(ArgosyError):  # whoever asks next hears of it
            await self.ensure()

    def _let_go(self) -> None:
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        while self._namespaces:
            os.close(self._namespaces.pop())

    async def close(self, *, kill: bool) -> None:
        """Stop caring; with `kill` end the holder and delete its directory."""
        self._let_go()
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        self._let_go()
        if kill:
            with contextlib.suppress(HolderGone, HolderRefused):
                await self.connection.ask({"op": "end"})
            await asyncio.to_thread(shutil.rmtree, self.connection.directory, ignore_errors=True)
