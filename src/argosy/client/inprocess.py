"""A client within the server's process: the request value is handed to the API server's core, no socket, no JSON.

The engine's controllers, scheduler and node agent, and most tests, reach the API this way. Objects come back as the
store's own shared dicts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from argosy.client.requests import Request, Response, User
from argosy.errors import ServiceUnavailable

Handle = Callable[[Request], Awaitable[Response]]


class InProcessTransport:
    """Calls `handle` as a fixed user. `close` makes further calls fail as a server that went away would."""

    def __init__(self, handle: Handle, user: User) -> None:
        self._handle = handle
        self._user = user
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Hand the request over."""
        if self._closed:
            error = ServiceUnavailable("the API server is shutting down")
            return Response(error.code, obj=error.status())
        return await self._handle(
            Request(
                request.method,
                request.path,
                request.query,
                request.headers,
                request.body,
                request.obj,
                self._user,
                request.multi_query,
                request.stream,
            )
        )

    async def close(self) -> None:
        """Refuse what comes later."""
        self._closed = True
