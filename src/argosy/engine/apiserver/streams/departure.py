"""Noticing that a client has gone, even while nothing is read from it.

Reading stops while a command does not take its input, and a connection that is not read does not tell its end. The kernel
does, on an epoll of its own: the edge wraps every session in `ends_with`. One case is left: a client that was killed with
input on its way, whose end waits behind that. Any byte sent to it makes its kernel refuse the connection, so every session
has a `heartbeat`.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

_UNANSWERED_MS = 60_000
_BEAT_SECONDS = 2.0


class Departed(Exception):
    """The client has gone; there is nobody to tell."""


@contextmanager
def ends_with(transport: asyncio.BaseTransport | None) -> Generator[None, None, None]:
    """Cancel what runs inside, in this task, once the transport's peer has closed or the connection is broken. Raises
    Departed then.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.fileno() < 0:
        raise Departed
    # Bytes that nobody acknowledges: keep-alive alone does not look while some are on their way.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MS)
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None, "a handler runs in a task"
    watch = select.epoll()
    gone = False

    def departed() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(watch.fileno())
        task.cancel()

    try:
        watch.register(sock.fileno(), select.EPOLLRDHUP)
        loop.add_reader(watch.fileno(), departed)
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise Departed from None
    finally:
        loop.remove_reader(watch.fileno())
        watch.close()


@asynccontextmanager
async def heartbeat(beat: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    """Send something small, by `beat`, every other second for as long as the context lasts."""

    async def beating() -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            await beat()

    task = asyncio.create_task(beating())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
