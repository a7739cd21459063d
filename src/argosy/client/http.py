"""The client over HTTP: any Kubernetes API server, the embedded one included.

One connection pool per client. Watches are read line by line without buffering a whole body; a token file is read again
when the kubelet renewed it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator

import aiohttp

from argosy.client.client import request_body
from argosy.client.commands import PROTOCOLS, UPGRADE, asks_for_session
from argosy.client.kubeconfig import Access
from argosy.client.requests import Event, Request, Response
from argosy.meta.json import decode

_LINE_BYTES_MAX = 16 * 1024 * 1024
_MESSAGE_BYTES_MAX = 16 * 1024 * 1024
_CONNECT_SECONDS = 10.0


class HttpTransport:
    """Carries requests to one API server. `timeout_seconds` bounds everything but streams."""

    def __init__(self, access: Access, *, timeout_seconds: float = 60.0, connections: int = 100) -> None:
        self.access = access
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=_CONNECT_SECONDS)
        self._streaming = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Response:
        """Send one request. Raises ConnectionError when no answer could be had."""
        headers = dict(request.headers)
        bearer = self.access.bearer()
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        if asks_for_session(request):
            return await self._upgrade(request, headers)
        streaming = _is_stream(request)
        try:
            answer = await self._open().request(
                request.method,
                self.access.server + request.path,
                params=_parameters(request),
                data=request_body(request) or None,
                headers=headers,
                timeout=self._streaming if streaming else self._timeout,
                server_hostname=self.access.server_name or None,
            )
            if not streaming or answer.status >= 400:
                async with answer:
                    return Response(answer.status, _headers(answer), await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ConnectionError(f"{self.access.server} does not answer: {_reason(error)}") from error
        if request.query.get("watch") in ("true", "1"):
            return Response(answer.status, _headers(answer), events=_events(answer))
        return Response(answer.status, _headers(answer), chunks=_chunks(answer))

    async def _upgrade(self, request: Request, headers: dict[str, str]) -> Response:
        from argosy.client.websocket import SocketSession  # noqa: PLC0415 - few processes run commands

        own = {name: value for name, value in headers.items() if name not in UPGRADE}
        try:
            socket = await self._open().ws_connect(
                self.access.server + request.path,
                params=_parameters(request),
                headers=own,
                protocols=PROTOCOLS,
                max_msg_size=_MESSAGE_BYTES_MAX,
                server_hostname=self.access.server_name or None,
            )
        except aiohttp.WSServerHandshakeError as error:
            return Response(
                error.status, obj={"message": f"the command was refused: {error.message}", "code": error.status}
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ConnectionError(f"{self.access.server} does not answer: {_reason(error)}") from error
        return Response(101, session=SocketSession(socket))

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=self.access.ssl_context() or True)
            self._session = aiohttp.ClientSession(
                connector=connector, auto_decompress=True, read_bufsize=256 * 1024, max_line_size=_LINE_BYTES_MAX
            )
        return self._session


def _is_stream(request: Request) -> bool:
    return request.stream or any(request.query.get(name) in ("true", "1") for name in ("watch", "follow"))


def _parameters(request: Request) -> list[tuple[str, str]]:
    single = [(name, value) for name, value in request.query.items() if name not in request.multi_query]
    return single + [(name, value) for name, values in request.multi_query.items() for value in values]


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


async def _events(answer: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
    """One JSON document a line. The lines may be larger than any fixed limit, so they are cut here by hand."""
    pending = bytearray()
    try:
        async for chunk in answer.content.iter_any():
            pending += chunk
            if b"\n" not in chunk:
                continue
            *lines, rest = bytes(pending).split(b"\n")
            pending = bytearray(rest)
            for line in lines:
                if line:
                    event = decode(line)
                    yield Event(event["type"], event["object"])
    except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError) as error:
        raise ConnectionError(f"the watch broke off: {_reason(error)}") from error
    finally:
        answer.close()


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionError(f"the stream broke off: {_reason(error)}") from error
    finally:
        answer.close()


def _reason(error: BaseException) -> str:
    """What the kernel says of a connection, where it says something: aiohttp's own words are for programmers."""
    if type(error) is aiohttp.ClientConnectorError and error.os_error.errno:
        return os.strerror(error.os_error.errno)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return str(error.os_error.strerror)
    return str(error) or type(error).__name__
