"""Port-forward: a client's streams joined to connections into a pod.

Two ways of saying which port: pairs of SPDY streams, made as connections come (kubectl), or pairs of channels, one
connection for each port of the request (the Python clients).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from argosy.engine.apiserver.streams.channels import Message
from argosy.engine.apiserver.streams.link import Link, Stream
from argosy.engine.apiserver.streams.sessions import Forwarding
from argosy.errors import ArgosyError

_CHUNK = 1 << 16
_CHANNEL_WAITING_MAX = 1 << 20


class End(Protocol):
    """The client's side of one connection."""

    async def read(self) -> bytes:
        """What comes next; empty once the client has ended it. Raises ConnectionError."""
        ...

    async def write(self, data: bytes) -> None:
        """Send. Raises ConnectionError."""
        ...


class Channels(Protocol):
    """Channel messages (`websocket.ChannelMessages`)."""

    async def send(self, channel: int, data: bytes) -> None:
        """One message."""
        ...

    def messages(self) -> AsyncGenerator[Message, None]:
        """What comes until the client has gone."""
        ...


async def over_link(forwarding: Forwarding, link: Link) -> None:
    """Serve pairs of streams until the client has gone."""
    halves: dict[str, Stream] = {}
    async with contextlib.AsyncExitStack() as stack:
        carrying: set[asyncio.Task[None]] = set()
        stack.push_async_callback(_end_all, carrying)

        def opened(stream: Stream) -> None:
            name = _request_of(stream)
            other = halves.pop(name, None)
            if other is None:
                halves[name] = stream
                return
            error, data = sorted((stream, other), key=lambda each: each.headers.get("streamtype") != "error")
            carrying.add(task := asyncio.create_task(_pair(forwarding, data, error)))
            task.add_done_callback(carrying.discard)

        await link.run(opened)


def _request_of(stream: Stream) -> str:
    """What a pair has in common. Clients that number no requests open the data stream right after the error stream."""
    number = stream.number if stream.headers.get("streamtype") == "error" else stream.number - 2
    return stream.headers.get("requestid") or f"#{number}"


async def _pair(forwarding: Forwarding, data: Stream, error: Stream) -> None:
    with contextlib.suppress(ConnectionError):
        problem = await _connect(forwarding, data.headers.get("port", ""), data)
        if problem:
            await error.write(problem.encode())
        await data.end()
        await error.end()


async def over_channels(forwarding: Forwarding, channels: Channels) -> None:
    """Serve one connection a port: channel 2n carries the n-th, channel 2n+1 what went wrong with it."""
    ends = [ChannelEnd(channels, 2 * index) for index in range(len(forwarding.ports))]
    for index, port in enumerate(forwarding.ports):
        for channel in (2 * index, 2 * index + 1):
            await channels.send(channel, struct.pack("<H", port))
    carrying = {
        asyncio.create_task(_channel(forwarding, port, end, channels))
        for port, end in zip(forwarding.ports, ends, strict=True)
    }
    reading = asyncio.create_task(_distribute(channels, ends))
    together = asyncio.gather(*carrying, return_exceptions=True)
    either: set[asyncio.Future[Any]] = {together, reading}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end_all({*carrying, reading})
        await together


async def _channel(forwarding: Forwarding, port: int, end: ChannelEnd, channels: Channels) -> None:
    with contextlib.suppress(ConnectionError):
        problem = await _connect(forwarding, str(port), end)
        if problem:
            await channels.send(end.channel + 1, problem.encode())


async def _distribute(channels: Channels, ends: list[ChannelEnd]) -> None:
    async for message in channels.messages():
        if message.channel % 2 == 0 and message.channel // 2 < len(ends):
            await ends[message.channel // 2].arrived(message)


class ChannelEnd:
    """A channel as the client's side of a connection."""

    def __init__(self, channels: Channels, channel: int) -> None:
        self.channel = channel
        self._channels = channels
        self._parts: deque[bytes] = deque()
        self._waiting = 0
        self._ended = False
        self._changed = asyncio.Condition()

    async def arrived(self, message: Message) -> None:
        """Take a message in, once there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting < _CHANNEL_WAITING_MAX)
            if message.data:
                self._parts.append(message.data)
                self._waiting += len(message.data)
            self._ended |= message.data is None
            self._changed.notify_all()

    async def read(self) -> bytes:
        """What comes next."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._parts) or self._ended)
            if not self._parts:
                return b""
            part = self._parts.popleft()
            self._waiting -= len(part)
            self._changed.notify_all()
            return part

    async def write(self, data: bytes) -> None:
        """Send."""
        await self._channels.send(self.channel, data)


async def _connect(forwarding: Forwarding, port: str, end: End) -> str:
    """Join the client's side to a port until the pod closes or the client gives up; what went wrong, if it did."""
    if not (port.isascii() and port.isdigit()) or not 0 < int(port) < 1 << 16:
        return f"error forwarding port {port} to pod {forwarding.pod}: not a port"
    try:
        connection = await forwarding.dial(int(port))
    except (OSError, ArgosyError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        return f"error forwarding port {port} to pod {forwarding.pod}: failed to connect to port {port}: {said}"
    with connection:
        await carry(connection, end)
    return ""


async def carry(connection: socket.socket, end: End) -> None:
    """Copy both ways until the connection's other side has closed, or either was broken."""
    down = asyncio.create_task(_down(connection, end))
    up = asyncio.create_task(_up(connection, end))
    try:
        await asyncio.wait({down, up}, return_when=asyncio.FIRST_COMPLETED)
        if not down.done() and up.exception() is None:
            await asyncio.wait({down})  # the client has said everything and waits for the rest of the answer
    finally:
        await _end_all({down, up})


async def _down(connection: socket.socket, end: End) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(connection, _CHUNK):
        await end.write(data)


async def _up(connection: socket.socket, end: End) -> None:
    loop = asyncio.get_running_loop()
    while data := await end.read():
        await loop.sock_sendall(connection, data)
    connection.shutdown(socket.SHUT_WR)


async def _end_all(tasks: set[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
