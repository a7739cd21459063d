"""A transport that asks for the metadata of objects and leaves the rest where it is.

The garbage collector follows every kind this way, and informers of definitions, which are large.
"""

from __future__ import annotations

from dataclasses import replace

from argosy.client.requests import JSON, Request, Response
from argosy.client.transport import Transport

_METADATA = (
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
)


class MetadataOnly:
    """Wraps another transport, which it does not close."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, request: Request) -> Response:
        """Send a request; what reads objects reads their metadata."""
        if request.method == "GET" and request.headers.get("accept", JSON) == JSON:
            request = replace(request, headers={**request.headers, "accept": _METADATA})
        return await self._inner.send(request)

    async def close(self) -> None:
        """The connection is another's."""
