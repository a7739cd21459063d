"""A transport that asks for the metadata of objects and leaves the rest where it is.

The garbage collector follows every kind this way, and informers of definitions, which are large.
"""

from __future__ import annotations

from dataclasses import replace

from argosy.client.requests import JSON, Request, Response
from argosy.client.transport import Transport

_AS = "application/json;as={};g=meta.k8s.io;v=v1,application/json"
_ONE, _LIST = _AS.format("PartialObjectMetadata"), _AS.format("PartialObjectMetadataList")


class MetadataOnly:
    """Wraps another transport, which it does not close."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, request: Request) -> Response:
        """Send a request; what reads objects reads their metadata."""
        if request.method == "GET" and request.headers.get("accept", JSON) == JSON:
            form = _LIST if _lists(request) else _ONE
            request = replace(request, headers={**request.headers, "accept": form})
        return await self._inner.send(request)

    async def close(self) -> None:
        """The connection is another's."""


def _lists(request: Request) -> bool:
    """Whether the answer is a list. An API server that is asked for the wrong form of the two refuses, and ends a watch."""
    if "watch" in request.query:
        return False
    parts = request.path.strip("/").split("/")
    below = parts[2 if parts[0] == "api" else 3 :]
    if len(below) > 2 and below[0] == "namespaces":
        below = below[2:]
    return len(below) == 1
