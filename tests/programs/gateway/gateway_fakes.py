"""Model servers that misbehave on demand, and a client, for tests of the gateway. All on loopback, one event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from argosy.meta.objects import Key
from argosy.programs.gateway.app import Gateway
from argosy.programs.gateway.routes import Backend, Route, Table
from argosy.programs.gateway.server import serving
from argosy.programs.gateway.settings import GatewaySettings

KEY = Key("default", "llm")
Behaviour = Callable[["FakeServer", web.BaseRequest, dict], "object"]


@dataclass
class FakeServer:
    """One replica. `behave` answers; `die` closes every connection and the port."""

    behave: Behaviour
    port: int = 0
    requests: list[dict] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    active: int = 0
    most_active: int = 0
    cancelled: int = 0
    transports: set = field(default_factory=set)
    runner: web.ServerRunner | None = None
    dead: bool = False

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        server = web.Server(
            self._handle,
            handler_cancellation=True,
            request_factory=lambda *made: web.BaseRequest(*made, loop, client_max_size=1 << 24),
        )
        self.runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        assert self.runner is not None
        await self.runner.cleanup()

    def die(self) -> None:
        """As SIGKILL does: the port and every connection are gone at once."""
        self.dead = True
        assert self.runner is not None
        for site in tuple(self.runner.sites):
            server = site._server
            if server is not None:
                server.close()
        for transport in tuple(self.transports):
            transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            self.transports.add(request.transport)
            if self.dead:
                request.transport.abort()
        body = json.loads(await request.read())
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            return await self.behave(self, request, body)  # type: ignore[misc]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.active -= 1


async def answer(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
    if body.get("stream"):
        return await stream(server, request, body)
    return web.json_response({"model": body["model"], "port": server.port}, headers={"x-request-id": "r1"})


async def stream(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(3):
        await response.write(f"data: {number}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until something holds."""
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


def table(*ports: int, limit: int = 0, draining: tuple[int, ...] = (), prefix: str = "") -> Table:
    base, adapter = Route("llm", KEY, "llm"), Route("poet", KEY, "poet", "llm")
    alias = Route("alias", KEY, "llm")
    places = frozenset(("127.0.0.1", port) for port in ports)
    leaving = frozenset(("127.0.0.1", port) for port in draining)
    return Table(
        {"llm": base, "poet": adapter, "alias": alias}, (base, adapter), {KEY: Backend(places, leaving, limit, prefix)}
    )


@dataclass
class Bench:
    """A gateway before some fake servers, and a client session."""

    gateway: Gateway
    url: str
    servers: list[FakeServer]
    session: aiohttp.ClientSession

    async def ask(self, path: str = "/v1/chat/completions", **body: object) -> tuple[int, dict]:
        async with self.session.post(self.url + path, json={"model": "llm", **body}) as response:
            return response.status, await response.json()

    def queued(self) -> int:
        return self.gateway.metrics.of(KEY, "llm").queued

    def in_flight(self) -> int:
        return self.gateway.metrics.of(KEY, "llm").in_flight

    async def metric(self, name: str) -> float:
        async with self.session.get(f"{self.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and "#" not in line)


@asynccontextmanager
async def bench(*behaviours: Behaviour, limit: int = 0, **settings: object) -> AsyncGenerator[Bench]:
    given = GatewaySettings(**{"port": 0, "drain_seconds": 2.0, **settings})  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        servers = []
        for behave in behaviours:
            server = FakeServer(behave)
            await server.start()
            stack.push_async_callback(server.stop)
            servers.append(server)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        gateway, port = await stack.enter_async_context(serving(given))
        gateway.update(table(*(server.port for server in servers), limit=limit))
        yield Bench(gateway, f"http://127.0.0.1:{port}", servers, session)
