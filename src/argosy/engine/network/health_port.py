"""The health check of a node for one Service: whether anybody answers there, told over HTTP to load balancers.

A Service with `externalTrafficPolicy: Local` has a `healthCheckNodePort`; kube-proxy answers it in this very form.
"""

from __future__ import annotations

import asyncio
import json
import socket

from argosy.engine.network.proxy import OpenSocket, bind
from argosy.engine.network.services import Frontend, Listen

_SECONDS = 5.0
_HEAD_BYTES = 16_384


class HealthPort:
    """Holds the port as long as it lives."""

    def __init__(self, listen: Listen, open_listener: OpenSocket) -> None:
        self._listen = listen
        self._open_listener = open_listener
        self._frontend: Frontend | None = None
        self._server: asyncio.Server | None = None

    async def update(self, frontend: Frontend) -> None:
        """From now on this is told. Raises OSError when the port cannot be had."""
        self._frontend = frontend
        if self._server is None:
            held = bind(self._listen, self._open_listener, socket.SOCK_STREAM)
            try:
                self._server = await asyncio.start_server(self._answer, sock=held, limit=_HEAD_BYTES)
            except OSError:
                held.close()
                raise

    def close(self) -> None:
        """Give the port up."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
                if self._frontend is not None:
                    writer.write(response(self._frontend))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever does not ask is told nothing
        finally:
            writer.close()


def response(frontend: Frontend) -> bytes:
    """What is told: 200 where somebody answers, 503 where nobody does. Pure."""
    service, count = frontend.health_of, len({backend.address for backend in frontend.backends})
    assert service is not None, "only health checks come here"
    told = {
        "service": {"namespace": service.namespace, "name": service.name},
        "localEndpoints": count,
        "serviceProxyHealthy": True,
    }
    body = json.dumps(told).encode()
    head = (
        f"HTTP/1.1 {'200 OK' if count else '503 Service Unavailable'}\r\nContent-Type: application/json\r\n"
        f"X-Content-Type-Options: nosniff\r\nX-Load-Balancing-Endpoint-Weight: {count}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
