"""Running the gateway on a socket until it is told to end, and then to the last request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from argosy.programs.gateway.app import Gateway
from argosy.programs.gateway.forward import Forwarder
from argosy.programs.gateway.settings import GatewaySettings


@asynccontextmanager
async def serving(settings: GatewaySettings) -> AsyncGenerator[tuple[Gateway, int]]:
    """A gateway that listens, and its port. At the end requests under way are waited for, `drain_seconds` at most.

    Raises OSError when the port is taken.
    """
    loop = asyncio.get_running_loop()

    def make(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=settings.body_bytes_max)

    async with Forwarder(settings) as forwarder:
        gateway = Gateway(settings, forwarder)
        # handler_cancellation: a client that goes away frees its replica.
        server = web.Server(gateway.handle, request_factory=make, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=settings.drain_seconds)
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
            await site.start()
            yield gateway, int(runner.addresses[0][1])
        finally:
            gateway.draining = True
            await runner.cleanup()
