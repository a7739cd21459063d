"""What carries a request: HTTP to any server (`http.HttpTransport`), a call within the process
(`inprocess.InProcessTransport`), or in tests a faulty wrapper around either.
"""

from __future__ import annotations

from typing import Protocol

from argosy.client.requests import Request, Response


class Transport(Protocol):
    """Carries a request and brings its response. API failures come as responses with their status, never as
    exceptions; only a connection that could not be made or broke raises, as `ConnectionError`.
    """

    async def send(self, request: Request) -> Response:
        """Send one request. For a watch (`query["watch"]`) the response has `events`; with `follow` or a proxied
        stream it has `chunks`; otherwise `body` or `obj`. Abandoning a stream's iterator (`aclose`) ends it.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
