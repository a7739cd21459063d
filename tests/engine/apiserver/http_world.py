"""The world of `api_world` as bytes on a socket."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from api_world import ADMIN, ALICE, with_world

from argosy.clock import SystemClock
from argosy.engine.apiserver import pki
from argosy.engine.apiserver.authn import Authenticator
from argosy.engine.apiserver.http import Patience, serve


def listening():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    sock.setblocking(False)
    return sock


@asynccontextmanager
async def served(world, directory=None, patience=Patience()):  # noqa: B008
    """The world over HTTP, or over HTTPS with certificates in a directory: the URL and the edge."""
    sock = listening()
    authenticator = Authenticator(world.app.api.tokens, {"admin": ADMIN, "alice": ALICE}, world.clock)
    context = pki.Authority(directory, datetime.now(UTC)).server(["127.0.0.1"]) if directory else None
    url = f"{'https' if directory else 'http'}://127.0.0.1:{sock.getsockname()[1]}"
    async with serve(world.app, sock, context, authenticator, patience) as edge:
        yield url, edge


def over_http(check, **more):
    async def run(world):
        headers = {"authorization": "Bearer admin"}
        async with served(world, **more) as (url, edge), aiohttp.ClientSession(url, headers=headers) as session:
            await check(world, session, edge)

    with_world(run, clock=SystemClock())


async def until(condition, seconds=10.0):
    """Wait for what tells nobody. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def descriptors():
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Line:
    """A connection on which anything may be said."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def say(self, raw):
        """Send bytes; a server that has hung up is no error."""
        with suppress(ConnectionError):
            self.writer.write(raw)
            await self.writer.drain()

    async def answer(self, seconds=5.0):
        """The next answer: (status, body), or (0, b"") when the server hung up without one. Raises TimeoutError."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            async with asyncio.timeout(seconds):
                head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                body = b""
                length = head.partition("content-length:")[2].partition("\r\n")[0].strip()
                if length and not head.startswith("http/1.1 101"):
                    with suppress(asyncio.IncompleteReadError):  # the answer to a HEAD
                        body = await self.reader.readexactly(int(length))
                return int(head.split()[1]), body
        return 0, b""

    async def hung_up(self, seconds=5.0):
        """Wait until the server has. Raises TimeoutError."""
        with suppress(ConnectionError):
            async with asyncio.timeout(seconds):
                while await self.reader.read(1 << 16):
                    pass


@asynccontextmanager
async def line(url):
    """A connection to `served`."""
    host, _, port = url.rpartition("/")[2].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()
