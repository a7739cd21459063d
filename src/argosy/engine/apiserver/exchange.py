"""One HTTP/1.1 exchange with a program, streamed both ways, over a socket of the network that it is in.

Proxies to pods and Services, extension API servers and admission webhooks are asked this way: each exchange has a
connection of its own, so nothing of it is left when it ends.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from argosy.engine.apiserver.answers import Answer
from argosy.errors import ServiceUnavailable

CONNECT_SECONDS = 10.0
_CHUNK = 1 << 16
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host", "authorization", "content-length", "accept-encoding",
})  # fmt: skip
"""What belongs to one connection, or to who asked, and is not passed on."""

Sockets = Callable[[int, int], socket.socket]
"""Makes a socket of a family and type in the network in which a peer is."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a program listens."""

    host: str
    port: int
    sockets: Sockets = socket.socket
    tls: ssl.SSLContext | None = None
    name: str = ""
    """The host name that is asked for, and that the peer's certificate must bear; its address where empty."""

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        return f"{self.name or self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. Header names are lower case; those of one connection alone are left out."""

    method: str
    target: str
    """Path and query, encoded."""
    headers: Mapping[str, str | tuple[str, ...]]
    body: bytes = b""

    def encoded(self, authority: str) -> bytes:
        """As bytes of HTTP/1.1."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {authority}", "Connection: close"]
        for name, values in self.headers.items():
            if name not in _HOP_BY_HOP:
                lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values)]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


async def exchange(peer: Peer, message: Message) -> Answer:
    """Send a message; the answer's body is a stream. Raises ServiceUnavailable when nobody answers."""
    where = f"{peer.host}:{peer.port}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await _connect(peer)
    except TimeoutError:
        raise ServiceUnavailable(f"error trying to reach service: dial tcp {where}: i/o timeout") from None
    except OSError as error:
        raise ServiceUnavailable(f"error trying to reach service: dial tcp {where}: {error}") from None
    try:
        writer.write(message.encoded(peer.authority))
        await writer.drain()
        status, headers, length = await _head(reader)
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        writer.close()
        raise ServiceUnavailable(f"error trying to reach service: {where} answered no HTTP: {error}") from None
    except BaseException:
        writer.close()
        raise
    chunked = headers.pop("transfer-encoding", "").lower() == "chunked"
    return Answer(status, chunks=_body(reader, writer, length, chunked), headers=headers)


async def whole(answer: Answer, most: int) -> bytes:
    """The body of an answer, which is used up. Raises ServiceUnavailable for one of more than `most` bytes or cut short."""
    assert answer.chunks is not None
    body = bytearray()
    try:
        async for part in answer.chunks:
            body += part
            if len(body) > most:
                raise ServiceUnavailable(f"the answer is larger than {most} bytes")
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise ServiceUnavailable(f"the answer was cut short: {error}") from None
    finally:
        await answer.chunks.aclose()
    return bytes(body)


async def _connect(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection = peer.sockets(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (peer.host, peer.port))
        if peer.tls is None:
            return await asyncio.open_connection(sock=connection)
        return await asyncio.open_connection(sock=connection, ssl=peer.tls, server_hostname=peer.name or peer.host)
    except BaseException:
        connection.close()
        raise


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], int | None]:
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *rest = raw.decode("latin-1").split("\r\n")
    status = int(first.split(" ", 2)[1])
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    length = headers.pop("content-length", None)
    kept = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP or name == "transfer-encoding"}
    return status, kept, int(length) if length is not None else None


async def _body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int | None, chunked: bool
) -> AsyncGenerator[bytes, None]:
    try:
        if chunked:
            while size := int((await reader.readline()).split(b";")[0] or b"0", 16):
                yield await reader.readexactly(size)
                await reader.readline()
            return
        left = length
        while left is None or left > 0:
            chunk = await reader.read(_CHUNK if left is None else min(_CHUNK, left))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk
    finally:
        writer.close()
