"""Sessions over raw SPDY/3.1: exec, attach and port-forward of kubectl up to 1.29 or 1.30.

The edge calls `serve` for a POST that asks for an upgrade. The connection is taken from the HTTP server: from the answer
101 on its bytes are SPDY's, and when the session has ended it is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from aiohttp import web

from argosy.engine.apiserver.streams import ports, relay, sessions
from argosy.engine.apiserver.streams.departure import heartbeat
from argosy.engine.apiserver.streams.link import Link, Stream
from argosy.errors import Forbidden, ServiceUnavailable
from argosy.meta.json import Obj, encode

_VERSION = "X-Stream-Protocol-Version"
_FOR_COMMANDS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
_FOR_PORTS = ("portforward.k8s.io",)
_STREAMS_SECONDS = 30.0
"""How long a client may take to open the streams that it asked for."""
_CLOSE_SECONDS = 5.0
_CHUNK = 1 << 16


async def serve(raw: web.BaseRequest, session: sessions.Session) -> web.StreamResponse:
    """Join the session to the client. Raises Forbidden when no version is known, ConnectionError."""
    known = _FOR_PORTS if isinstance(session, sessions.Forwarding) else _FOR_COMMANDS
    offered = [name.strip() for line in raw.headers.getall(_VERSION, ()) for name in line.split(",")]
    version = next((name for name in offered if name in known), "")
    if offered and not version:
        raise Forbidden(f"unable to upgrade: unable to negotiate protocol: client supports {offered}, server {known}")
    pipe = _Taken(raw)
    try:
        await pipe.write(_switching(version))
        link = Link(pipe)
        async with heartbeat(link.ping):
            if isinstance(session, sessions.Forwarding):
                await ports.over_link(session, link)
            else:
                await _join(session, link, version)
    finally:
        pipe.close()
    return Nothing()


def _switching(version: str) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1"]
    if version:
        lines.append(f"{_VERSION}: {version}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _join(session: sessions.Joining, link: Link, version: str) -> None:
    client = StreamClient(session, version)
    linking = asyncio.create_task(link.run(client.opened))
    serving = asyncio.create_task(_serve(session, client))
    try:
        await asyncio.wait({linking, serving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
            await asyncio.wait({linking}, timeout=_CLOSE_SECONDS)  # the client closes once it has read everything
    finally:
        for task in (serving, linking):
            task.cancel()
        await asyncio.gather(serving, linking, return_exceptions=True)


async def _serve(session: sessions.Joining, client: StreamClient) -> None:
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_STREAMS_SECONDS):
            await client.complete.wait()
        await relay.run(session, client)


class StreamClient:
    """The client of exec and attach (`relay.Client`), each stream of theirs an SPDY stream."""

    def __init__(self, session: sessions.Joining, version: str) -> None:
        wanted = session.streams
        self._tells_status = version.startswith("v4")
        self._missing = {"error"} | {name for name in ("stdin", "stdout", "stderr") if getattr(wanted, name)}
        if wanted.tty and version[:2] in ("v3", "v4"):
            self._missing.add("resize")
        self._streams: dict[str, Stream] = {}
        self.complete = asyncio.Event()

    def opened(self, stream: Stream) -> None:
        """The client has opened one."""
        name = stream.headers.get("streamtype", "")
        if name in self._missing:
            self._missing.discard(name)
            self._streams[name] = stream
        if not self._missing:
            self.complete.set()

    async def input(self) -> AsyncGenerator[tuple[str, bytes | None], None]:
        """Yield what the client types and how large its window is; who runs the link notices that it has gone."""
        arrived: asyncio.Queue[tuple[str, bytes | None]] = asyncio.Queue(1)

        async def follow(name: str, stream: Stream) -> None:
            while data := await stream.read():
                await arrived.put((name, data))
            await arrived.put((name, None))

        inputs = [(name, self._streams[name]) for name in ("stdin", "resize") if name in self._streams]
        following = [asyncio.create_task(follow(name, stream)) for name, stream in inputs]
        try:
            while True:
                yield await arrived.get()
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def send(self, stream: str, data: bytes) -> None:
        """Show something."""
        await self._streams[stream].write(data)

    async def finish(self, status: Obj) -> None:
        """The end of every stream, the error stream's with the status."""
        data = encode(status) if self._tells_status else sessions.in_words(status).encode()
        error = self._streams.pop("error")
        for stream in self._streams.values():
            await stream.end()
        if data:
            await error.write(data)
        await error.end()


class _Taken:
    """The connection of a request, taken from the HTTP server (`link.Pipe`)."""

    def __init__(self, raw: web.BaseRequest) -> None:
        transport = raw.transport
        if not isinstance(transport, asyncio.Transport):
            raise ServiceUnavailable("the connection is closed")
        self._transport = transport
        self._reader = asyncio.StreamReader(_CHUNK)
        protocol = _Handing(self._reader, raw.protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, asyncio.get_running_loop())

    async def read(self) -> bytes:
        """What comes next; empty at the end."""
        return await self._reader.read(_CHUNK)

    async def write(self, data: bytes) -> None:
        """Send. Raises ConnectionError."""
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """The session is over, and so is the connection."""
        self._transport.close()


class _Handing(asyncio.StreamReaderProtocol):
    """A stream's protocol that tells the server, which still keeps the connection in its books, when it is lost."""

    def __init__(self, reader: asyncio.StreamReader, server: Any) -> None:
        super().__init__(reader)
        self._server = server

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell both."""
        super().connection_lost(exc)
        self._server.connection_lost(exc)


class Nothing(web.StreamResponse):
    """What is left to answer after the connection was taken."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing more can be sent."""

    async def write_eof(self, data: Any = b"") -> None:
        """Nothing more can be sent."""
