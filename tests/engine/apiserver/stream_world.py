"""An API server over HTTP whose node runs commands that echo, for tests of exec, attach and port-forward."""

import asyncio
import socket

import aiohttp
from api_world import ADMIN, ALICE, pod, with_world

from argosy import kinds
from argosy.clock import SystemClock
from argosy.engine.apiserver.authn import Authenticator
from argosy.engine.apiserver.http import serve
from argosy.errors import InternalError

POD = "/api/v1/namespaces/default/pods/a"
EXEC = f"{POD}/exec?command=cat&command=-n&stdin=true&stdout=true&stderr=true"
V5 = "v5.channel.k8s.io"


class Echo:
    """A process that says what it is told, and ends with its input."""

    def __init__(self, command, streams):
        self.command, self.streams = command, streams
        self.said = asyncio.Queue()
        self.closed = asyncio.Event()
        self.size = None

    async def output(self):
        yield "stderr", b"hello"
        while (data := await self.said.get()) is not None:
            yield "stdout", data

    async def write(self, data):
        if data == b"block":
            await asyncio.Event().wait()
        self.said.put_nowait(data)

    def close_stdin(self):
        self.said.put_nowait(None)

    def resize(self, rows, columns):
        self.size = (rows, columns)
        self.said.put_nowait(b"%dx%d" % self.size)

    async def wait(self):
        if self.command == ("missing",):
            raise InternalError("there is no such command")
        return 5

    def close(self):
        self.closed.set()


class Nodes:
    """The node that the server reaches."""

    def __init__(self):
        self.started = []
        self.begun = asyncio.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))

    def exec(self, pod, container, command, streams):
        async def opened():
            self.started.append(Echo(command, streams))
            self.begun.set()
            return self.started[-1]

        return opened

    def attach(self, pod, container, streams):
        raise InternalError(f'unable to upgrade connection: container not found ("{container}")')

    async def dial(self, pod, port):
        if port != 80:
            raise ConnectionRefusedError(111, "connect: connection refused")
        made = socket.create_connection(self.listener.getsockname())
        made.setblocking(False)
        return made


def streamed(check):
    async def run(world):
        nodes = Nodes()
        world.app.nodes = nodes
        await world.client.create(kinds.POD, pod(nodeName="n"))
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        authenticator = Authenticator(world.app.api.tokens, {"admin": ADMIN, "alice": ALICE}, world.clock)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        headers = {"authorization": "Bearer admin"}
        with nodes.listener:
            async with (
                serve(world.app, sock, None, authenticator),
                aiohttp.ClientSession(url, headers=headers) as session,
            ):
                await check(world, session, nodes)

    with_world(run, clock=SystemClock())


UPGRADE = {
    "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
    "sec-websocket-key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}  # fmt: skip
