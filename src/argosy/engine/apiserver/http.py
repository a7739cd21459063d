"""The HTTP edge: turns HTTP into `Request` values, hands them to the app, and streams what comes back.

Everything else about the API is the app's. Here are the limits of a connection: bodies up to three megabytes that come in
time, so many requests at once, a stream flushed at every event, half-open connections dropped, streams ended when the
server stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from argosy.client.requests import Request, Response
from argosy.engine.apiserver import impersonation
from argosy.engine.apiserver.app import App
from argosy.engine.apiserver.authn import Authenticator
from argosy.engine.apiserver.render import line
from argosy.engine.apiserver.routes import is_true
from argosy.errors import (
    ApiError,
    BadRequest,
    InternalError,
    ServiceUnavailable,
    Timeout,
    TooLarge,
    TooManyRequests,
)

log = logging.getLogger(__name__)
_QUIET = logging.getLogger(f"{__name__}.connections")
_QUIET.disabled = True  # who sends no HTTP is told so; a traceback each in the engine's log helps nobody
_LARGEST_BODY = 3 * 1024 * 1024
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
_STOP_SECONDS = 2.0
_LINE_BYTES = 1 << 16
"""The longest request line and header: selectors of many names and tokens of many claims are long."""
_RETRY_SECONDS = 1
_TOO_MANY = "the server has received too many requests and has asked us to try again later"
_PIECE = 1 << 18
"""Bytes of a large body that are written at once: TLS takes several times as long over ten megabytes in one piece, keeps
them three times over, and everybody else waits.
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long clients are waited for, in seconds."""

    body: float = 60.0
    """Until a body has come."""
    idle: float = 90.0
    """Until a connection ends on which no whole request came: who is idle, and who sends headers a byte at a time."""
    take: float = 60.0
    """Until the next piece of a large answer is taken, which is kept meanwhile."""


class _Late(Timeout):
    """408: the client took too long."""

    code = 408


class Edge:
    """Serves one app. `serve` runs it."""

    def __init__(self, app: App, authenticator: Authenticator, patience: Patience) -> None:
        self._app = app
        self.patience = patience
        self._authenticator = authenticator
        self._stopping = asyncio.Event()
        self._streams: dict[Any, asyncio.Task[Any]] = {}
        """What lasts as long as its connection, by the connection's protocol."""
        self._at_work = self._arriving = 0
        self.most_at_work = 600
        """Requests that are answered at the same time, streams aside; more are told to come back. As many again may be
        sending their bodies: who is slow to do so holds up nobody else.
        """

    def stop(self) -> None:
        """End every stream: watches, followed logs."""
        self._stopping.set()
        for task in list(self._streams.values()):
            task.cancel()

    def departed(self, protocol: Any) -> None:
        """A connection is lost: end the stream over it. A request that is under way is carried out to its end."""
        task = self._streams.get(protocol)
        if task is not None:
            task.cancel()

    async def handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request."""
        counted = not _lasts(raw)
        try:
            if self._stopping.is_set():
                raise ServiceUnavailable("the API server is shutting down")
            if counted:
                self._room(self._at_work)
            request = await self._read(raw)
            self._at_work += counted
            try:
                response = await self._app.handle(request, wire=True)
            finally:
                self._at_work -= counted
        except ApiError as error:
            return _refused(error)
        except web.RequestPayloadError as error:
            return _refused(BadRequest(f"the body of the request cannot be read: {error}"))
        except ConnectionError:
            raise  # there is nobody to tell
        except Exception as error:
            log.exception("%s %s failed", raw.method, raw.path)
            return _refused(InternalError(f"Internal error occurred: {error}"))
        if response.session is not None:
            return await self._join(raw, response.session)
        if response.chunks is not None:
            return await self._stream(raw, response, response.chunks)
        if len(response.body) > _PIECE and raw.method == "GET":
            return await _in_pieces(raw, response, self.patience.take)
        return web.Response(status=response.status, headers=_headers(response.headers), body=response.body)

    def _room(self, taken: int) -> None:
        """Raises TooManyRequests where as many as may be are there already."""
        if taken >= self.most_at_work:
            raise TooManyRequests(_TOO_MANY, retry_after_seconds=_RETRY_SECONDS)

    async def _read(self, raw: web.BaseRequest) -> Request:
        if (raw.content_length or 0) > _LARGEST_BODY:
            raise TooLarge(f"Request entity too large: limit is {_LARGEST_BODY}")
        headers = {name.lower(): value for name, value in reversed(list(raw.headers.items()))}  # the first one counts
        for name in headers:
            if name.startswith(impersonation.MARK):
                headers[name] = "\n".join(raw.headers.getall(name))
        query = dict(reversed(list(raw.query.items()))) if raw.query_string else {}
        many: Mapping[str, tuple[str, ...]] = {}
        if len(query) != len(raw.query):
            many = {name: tuple(raw.query.getall(name)) for name in query}
        user = self._authenticator.user(headers.get("authorization", ""), _certificate(raw))
        body = await self._body(raw) if raw.can_read_body else b""
        return Request(raw.method, raw.path, query, headers, body, user=user, multi_query=many)

    async def _body(self, raw: web.BaseRequest) -> bytes:
        try:
            if raw.content.is_eof():  # most bodies came with their headers
                return await raw.read()
            if raw.transport is None:
                raise ConnectionResetError("the client went away")  # nobody else would tell who begins to read now
            self._room(self._arriving)
            self._arriving += 1
            try:
                async with asyncio.timeout(self.patience.body):
                    return await raw.read()
            finally:
                self._arriving -= 1
        except TimeoutError:
            raise _Late(f"the body of the request did not arrive within {self.patience.body:.0f} s") from None
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge(f"Request entity too large: limit is {_LARGEST_BODY}") from None

    async def _join(self, raw: web.BaseRequest, session: Any) -> web.StreamResponse:
        """Join the connection to a session until either has ended."""
        # Few processes ever serve one, and codecs take their time to load.
        from argosy.engine.apiserver.streams import departure, upgrade, websocket  # noqa: PLC0415

        over = websocket.serve if raw.headers.get("Upgrade", "").lower() == "websocket" else upgrade.serve
        try:
            with self._lasting(raw), departure.ends_with(raw.transport):
                return await over(raw, session)
        except ApiError as error:
            return _refused(error)
        except web.HTTPException as error:
            return web.Response(status=error.status, text=error.text)  # a handshake that is none
        except (ConnectionError, departure.Departed):
            return upgrade.Nothing()
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            return upgrade.Nothing()

    async def _stream(
        self, raw: web.BaseRequest, response: Response, chunks: AsyncGenerator[bytes, None]
    ) -> web.StreamResponse:
        stream = web.StreamResponse(status=response.status, headers=_headers(response.headers))
        stream.enable_chunked_encoding()
        try:
            with self._lasting(raw):
                await _begin(stream, raw, chunks)
                async with aclosing(chunks):
                    async for chunk in chunks:
                        await stream.write(chunk)
                with contextlib.suppress(ConnectionError):
                    await stream.write_eof()
        except ConnectionError:
            # The client went away; there is nobody to tell.
            return stream
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            with contextlib.suppress(ConnectionError, RuntimeError):
                await stream.write_eof()
        return stream

    @contextlib.contextmanager
    def _lasting(self, raw: web.BaseRequest) -> Generator[None, None, None]:
        """What runs inside, in this task, ends with the connection and with the server."""
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"
        self._streams[raw.protocol] = task
        try:
            yield
        finally:
            del self._streams[raw.protocol]


async def _begin(stream: web.StreamResponse, raw: web.BaseRequest, chunks: AsyncGenerator[bytes, None]) -> None:
    """Send the head of a stream. Raises ConnectionError when there is nobody to send it to."""
    try:
        if raw.transport is None:
            raise ConnectionResetError("the client went away")
        await stream.prepare(raw)
    except BaseException:
        _ENDING.add(ending := asyncio.ensure_future(_end(chunks)))  # by itself: this task may be cancelled any moment
        ending.add_done_callback(_ENDING.discard)
        raise


_ENDING: set[asyncio.Task[None]] = set()


async def _end(chunks: AsyncGenerator[bytes, None]) -> None:
    """A generator frees what it holds only once it has begun: begin it, and cancel it."""
    beginning = asyncio.ensure_future(anext(chunks, b""))
    await asyncio.sleep(0)
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    await chunks.aclose()


async def _in_pieces(raw: web.BaseRequest, response: Response, seconds: float) -> web.StreamResponse:
    stream = web.StreamResponse(status=response.status, headers=_headers(response.headers))
    stream.content_length = len(response.body)
    try:
        await stream.prepare(raw)
        body = memoryview(response.body)
        for start in range(0, len(body), _PIECE):
            async with asyncio.timeout(seconds):
                await stream.write(body[start : start + _PIECE])
        await stream.write_eof()
    except TimeoutError:
        if raw.transport is not None:
            raw.transport.abort()  # what it has not taken would be kept for it
    except ConnectionError:
        pass  # the client went away; there is nobody to tell
    return stream


def _lasts(raw: web.BaseRequest) -> bool:
    """Whether a request asks for a stream. Those are as many as there are who look, and none holds a body."""
    return raw.method == "GET" and any(is_true(raw.query.get(name)) for name in ("watch", "follow"))


def _refused(error: ApiError) -> web.Response:
    headers = {} if error.retry_after_seconds is None else {"Retry-After": str(error.retry_after_seconds)}
    body = line(error.status())
    return web.Response(status=error.code, body=body, headers=headers, content_type="application/json")


def _headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Header lines; several warnings come as lines of one value."""
    return [(name.title(), line) for name, value in headers.items() for line in value.split("\n")]


def _certificate(raw: web.BaseRequest) -> Mapping[str, Any] | None:
    transport = raw.transport
    found: Mapping[str, Any] | None = transport.get_extra_info("peercert") if transport is not None else None
    return found


def _keep_alive(sock: socket.socket) -> None:
    """Notice peers that are gone without a word, on every platform that can: connections have what their listener has."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _request_of(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY)


class _Server(web.Server):
    """Tells the edge of connections that are lost."""

    def __init__(self, edge: Edge) -> None:
        super().__init__(
            edge.handle, request_factory=_request_of, logger=_QUIET,
            keepalive_timeout=edge.patience.idle, max_line_size=_LINE_BYTES, max_field_size=_LINE_BYTES,
        )  # fmt: skip
        self._edge = edge

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """End what lasts as long as the connection."""
        super().connection_lost(handler, exc)
        self._edge.departed(handler)


@asynccontextmanager
async def serve(
    app: App,
    sock: socket.socket,
    ssl_context: ssl.SSLContext | None,
    authenticator: Authenticator,
    patience: Patience = Patience(),
) -> AsyncGenerator[Edge]:
    """Serve the app on a listening socket for as long as the context lasts; plain HTTP without an `ssl_context`."""
    edge = Edge(app, authenticator, patience)
    _keep_alive(sock)
    runner = web.ServerRunner(_Server(edge), handle_signals=False, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    site = web.SockSite(runner, sock, ssl_context=ssl_context, backlog=1024)
    await site.start()
    try:
        yield edge
    finally:
        edge.stop()
        await runner.cleanup()
