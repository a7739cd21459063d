"""Carrying one request to one replica, and its answer back as it comes.

Until the first byte of the answer's body is here nothing has been sent to the client, so a replica that dies before that
costs the client nothing: `Lost` is raised and the caller asks another. A short answer is waited for as a whole and can be
asked for again until its end. After the first byte of a stream the client is told in the stream.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from argosy.programs.gateway.balance import Replica
from argosy.programs.gateway.openai import Refusal
from argosy.programs.gateway.settings import GatewaySettings

_OF_THE_CONNECTION = frozenset(
    {
        "connection", "content-length", "date", "expect", "host", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "server", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_OURS = frozenset({"authorization", "accept-encoding", "cookie"})
_SHORT_BYTES = 4 * 1024 * 1024
_LARGE_BODY_BYTES = 1024 * 1024
_KEEPALIVE_SECONDS = 4.0
"""Shorter than any server's, so that a connection is never used at the moment its server gives it up."""
_T = TypeVar("_T")


class Lost(Exception):
    """The replica did not answer. `sent`: it may have begun to work on the request."""

    def __init__(self, message: str, *, sent: bool, answer: web.Response | None = None) -> None:
        super().__init__(message)
        self.sent = sent
        self.answer = answer
        """What the replica said, when it said that it cannot (503)."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent on. `first_byte` is called once, when the answer begins."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    first_byte: Callable[[], None]


class Forwarder:
    """Holds the connections to replicas; an async context."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def __aenter__(self) -> Forwarder:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS, use_dns_cache=False)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            skip_auto_headers=("User-Agent",),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: web.BaseRequest, call: Call, replica: Replica) -> web.StreamResponse:
        """Ask a replica and answer the client. Raises Lost while the client has seen nothing yet."""
        task = asyncio.current_task()
        assert task is not None, "requests are handled in tasks"
        aborted = False

        def abort() -> None:
            nonlocal aborted
            aborted = True
            task.cancel()

        replica.aborts.add(abort)
        progress = _Progress()
        try:
            return await self._relay(request, call, replica, progress)
        except asyncio.CancelledError:
            if not aborted:
                raise
            task.uncancel()
            if progress.response is None:
                raise Lost("the replica is gone", sent=True) from None
            return await _break_off(request, progress.response)
        finally:
            replica.aborts.discard(abort)

    async def _relay(
        self, request: web.BaseRequest, call: Call, replica: Replica, progress: _Progress
    ) -> web.StreamResponse:
        assert self._session is not None, "the forwarder is entered first"
        body = call.body if len(call.body) < _LARGE_BODY_BYTES else io.BytesIO(call.body)
        try:
            upstream = await self._session.post(
                self._url(replica, call.path), data=body, headers=call.headers, allow_redirects=False
            )
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as error:
            raise Lost(str(error), sent=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(str(error) or type(error).__name__, sent=True) from error
        async with upstream:
            length = upstream.content_length
            if length is not None and length <= _SHORT_BYTES:
                data = await _reading(upstream.read())
                answer = web.Response(status=upstream.status, headers=_answer_headers(upstream), body=data)
                if upstream.status == web.HTTPServiceUnavailable.status_code:
                    raise Lost("the replica answers 503", sent=True, answer=answer)
                call.first_byte()
                return answer
            chunk = await _reading(upstream.content.readany())
            call.first_byte()
            response = web.StreamResponse(status=upstream.status, headers=_answer_headers(upstream))
            await response.prepare(request)
            progress.response = response
            while chunk:
                await response.write(chunk)
                try:
                    chunk = await _reading(upstream.content.readany())
                except Lost:
                    return await _break_off(request, response)
            await response.write_eof()
            return response

    def _url(self, replica: Replica, path: str) -> URL:
        text = replica.url + path
        url = self._urls.get(text)
        if url is None:
            if len(self._urls) > 10_000:
                self._urls.clear()
            url = self._urls[text] = URL(text)
        return url


@dataclass(slots=True)
class _Progress:
    response: web.StreamResponse | None = None


def request_headers(request: web.BaseRequest) -> CIMultiDict[str]:
    """The client's headers that concern the model's server."""
    skipped = _OF_THE_CONNECTION | _OURS
    return CIMultiDict((name, value) for name, value in request.headers.items() if name.lower() not in skipped)


def _answer_headers(upstream: aiohttp.ClientResponse) -> CIMultiDict[str]:
    return CIMultiDict((n, v) for n, v in upstream.headers.items() if n.lower() not in _OF_THE_CONNECTION)


async def _reading(step: Awaitable[_T]) -> _T:
    """A step of reading an answer; only the replica's failures become `Lost`, never the client's."""
    try:
        return await step
    except (aiohttp.ClientError, OSError) as error:
        raise Lost(str(error) or type(error).__name__, sent=True) from error


async def _break_off(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """The replica died in mid-answer. A client of events is told; any other sees an answer that ends too early."""
    if response.content_type == "text/event-stream":
        refusal = Refusal(502, "The replica ended in mid-answer; ask again.", "server_error", "replica_lost")
        await response.write(b"\n\n" + refusal.event)
        await response.write_eof()
    elif request.transport is not None:
        request.transport.close()
    return response
