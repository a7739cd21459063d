"""Ingress: HTTP from the host into the cluster.

Bodies are passed on as they come, in both directions, chunk by chunk, so that tokens stream; WebSockets are spliced. What
cannot be routed is answered with a sentence that says why and what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from argosy.client.client import Client
from argosy.control.events import EventRecorder
from argosy.control.pool import Informers
from argosy.engine.network.balance import Balancer
from argosy.engine.network.ingress import Router, Target, class_of, is_ours
from argosy.engine.network.ingress_annotations import PREFIX, ignored
from argosy.engine.network.ingress_classes import CONTROLLER, served
from argosy.engine.network.ingress_tls import Certificates, accept
from argosy.engine.network.reach import Reach
from argosy.engine.network.service_proxies import BY_SERVICE
from argosy.engine.network.services import Backend, backends, is_external, port_name_of, why_nobody_answers
from argosy.engine.network.settings import NetworkSettings
from argosy.engine.network.websocket import splice_websocket
from argosy.engine.node.runtime.spec import Network
from argosy.errors import ApiError, NotFound
from argosy.intent import Reason
from argosy.kinds import ENDPOINT_SLICE, INGRESS, INGRESS_CLASS, SERVICE
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 3.0
_HOP_BY_HOP = frozenset(
    {
        "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""Headers that the HTTP client would add by itself."""
_BALANCERS_MAX = 4096
_BODY_SIZE = f"annotation {PREFIX}proxy-body-size of its Ingress"
_HEADER_BYTES_MAX = 64 * 1024
"""Cookies and tokens of notebooks are long."""


class _Unroutable(Exception):
    """No upstream for a request: the status and the sentence to answer with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a request goes."""

    target: Target
    path_qs: str
    """The path to ask for, with the query."""
    candidates: list[Backend]
    chosen: Callable[[Backend], None]
    """To be told who has answered."""


class IngressProxy:
    """Serves all Ingresses of our classes on one host port."""

    def __init__(
        self,
        network: Network,
        informers: Informers,
        *,
        client: Client,
        recorder: EventRecorder,
        settings: NetworkSettings,
    ) -> None:
        self._reach = Reach(network, settings.pod_cidr)
        self._ingresses = informers.of(INGRESS)
        self._services, self._slices = informers.of(SERVICE), informers.of(ENDPOINT_SLICE)
        self._ingress_classes = informers.of(INGRESS_CLASS)
        self._certificates = Certificates(informers, self._ingresses, self._served)
        self._client, self._recorder, self._settings = client, recorder, settings
        self._router: Router | None = None
        self._balancers: dict[Target, Balancer] = {}
        self._session: aiohttp.ClientSession | None = None
        self._port = 0

    async def run(self, listener: socket.socket) -> NoReturn:
        """Serve until cancelled."""
        self._port = listener.getsockname()[1]
        stops = [self._ingresses.listen(self._changed), self._ingress_classes.listen(self._changed)]
        server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=75,
            auto_decompress=False,
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        connector = aiohttp.TCPConnector(
            socket_factory=lambda info: self._reach.socket(str(info[4][0]), int(info[1])), limit=0, keepalive_timeout=30
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        try:
            async with aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=_HEADER_BYTES_MAX,
                max_field_size=_HEADER_BYTES_MAX,
            ) as session:
                self._session = session
                await runner.setup()
                assert runner.server is not None, "just set up"
                async with asyncio.TaskGroup() as group:
                    group.create_task(accept(listener, runner.server, self._certificates), name="Ingress connections")
                    group.create_task(self._keep_status(), name="Ingress status")
        finally:
            for stop in stops:
                stop()
            self._session = None
            listener.close()
            await runner.cleanup()
        raise AssertionError("runs until cancelled")

    def _changed(self, changes: Sequence[object]) -> None:
        self._router = None
        self._certificates.changed()

    def _served(self) -> frozenset[str]:
        return served(self._settings.ingress_classes, self._ingress_classes.items())

    # -- requests

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            way = self._route(request)
            _check_size(request, way.target.manner.body_max)
            if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
                return await self._websocket(request, way)
            return await self._forward(request, way)
        except _Unroutable as error:
            return web.Response(status=error.status, text=f"{error}\n")
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("a request to %s %s failed", request.host, request.path)
            return web.Response(status=502, text="the Ingress failed on this request; see the engine's log\n")

    def _route(self, request: web.BaseRequest) -> _Way:
        if self._router is None:
            self._router = Router(self._ingresses.items(), self._served())
        found = self._router.way(request.host, request.rel_url.raw_path)
        if found is None:
            known = "".join(f"  {route}\n" for route in self._router.routes)
            raise _Unroutable(
                404, f"no Ingress has a rule for {request.host}{request.path}; known routes:\n{known or '  none'}"
            )
        target, path = found
        service = self._services.get(target.service)
        if service is None:
            raise _Unroutable(
                503, f"Ingress {target.ingress} names Service {target.service}, which does not exist; create it"
            )
        if is_external(service):
            raise _Unroutable(
                503, f"Service {target.service} is an ExternalName; Ingress needs one with pods behind it"
            )
        port_name = port_name_of(service, target.port)
        if port_name is None:
            raise _Unroutable(503, f"Service {target.service} has no port {target.port}; mend Ingress {target.ingress}")
        slices = self._slices.indexed(BY_SERVICE, str(target.service))
        answering = backends(service, slices, port_name)
        if not answering:
            raise _Unroutable(503, why_nobody_answers(service, slices))
        if len(self._balancers) > _BALANCERS_MAX:
            self._balancers.clear()
        balancer = self._balancers.setdefault(target, Balancer())
        affinity = 10_800 if dig(service, "spec", "sessionAffinity") == "ClientIP" else 0
        balancer.update(answering, affinity)
        now = asyncio.get_running_loop().time()
        client = request.remote or ""
        candidates = balancer.candidates(client, now)
        return _Way(
            target, _asked(path, request.rel_url), candidates, lambda backend: balancer.chosen(client, backend, now)
        )

    async def _forward(self, request: web.BaseRequest, way: _Way) -> web.StreamResponse:
        upstream = await self._ask(request, way)
        try:
            response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            response.headers.extend(_passed_on(upstream.headers))
            if request.version < aiohttp.HttpVersion11 and hdrs.CONTENT_LENGTH not in upstream.headers:
                response.force_close()
            await response.prepare(request)
            if request.method != "HEAD":
                async for chunk in upstream.content.iter_any():
                    await response.write(chunk)
            await response.write_eof()
        except aiohttp.ClientError as error:
            # The status is out already: only a broken connection can say that the body is not whole.
            _log.info("%s broke off: %s", way.target.service, error)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError(str(error)) from error
        finally:
            upstream.close()
        return response

    async def _ask(self, request: web.BaseRequest, way: _Way) -> aiohttp.ClientResponse:
        """The first backend that takes the request answers it."""
        assert self._session is not None, "serving"
        headers = self._forwarded(request)
        body = _Body(request, way.target.manner.body_max)
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        trouble = ""
        for backend in way.candidates:
            url = URL(f"http://{backend.address}:{backend.port}{way.path_qs}", encoded=True)
            try:
                upstream = await self._session.request(
                    request.method, url, headers=headers, data=body.data, allow_redirects=False, skip_auto_headers=_OURS
                )
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                trouble = f"{backend.address}:{backend.port} does not accept connections ({error.__class__.__name__})"
                continue
            except (aiohttp.ClientError, OSError, TimeoutError, _Unroutable) as error:
                if body.too_large:
                    raise body.too_large from None
                # It may have acted on the request: nobody else must be asked to do so again.
                raise _Unroutable(
                    502, f"a pod of Service {way.target.service} gave no answer ({error or type(error).__name__})"
                ) from None
            way.chosen(backend)
            return upstream
        raise _Unroutable(503, f"no pod of Service {way.target.service} accepts connections: {trouble}")

    async def _websocket(self, request: web.BaseRequest, way: _Way) -> web.StreamResponse:
        assert self._session is not None, "serving"
        headers = self._forwarded(request)
        trouble = ""
        for backend in way.candidates:
            url = URL(f"http://{backend.address}:{backend.port}{way.path_qs}", encoded=True)
            try:
                return await splice_websocket(self._session, url, headers, request)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                trouble = str(error)
            except aiohttp.WSServerHandshakeError as error:
                raise _Unroutable(error.status, f"the pod refuses the WebSocket: {error.message}") from None
        raise _Unroutable(503, f"no pod accepts the WebSocket: {trouble}")

    def _forwarded(self, request: web.BaseRequest) -> CIMultiDict[str]:
        headers = _passed_on(request.headers)
        remote = request.remote or ""
        before = request.headers.get("X-Forwarded-For")
        headers["X-Forwarded-For"] = f"{before}, {remote}" if before else remote
        headers.setdefault("X-Real-IP", remote)
        headers.setdefault("X-Forwarded-Proto", request.scheme)
        headers.setdefault("X-Forwarded-Host", request.host)
        headers.setdefault("X-Forwarded-Port", str(self._port))
        return headers

    # -- status

    async def _keep_status(self) -> NoReturn:
        """Say in every Ingress of ours where it is served."""
        await self._ingresses.synced()
        await self._ingress_classes.synced()
        changes = self._ingresses.subscribe()
        troubles: dict[Key, Reason | None] = {}
        pending = [key_of(ingress) for ingress in self._ingresses.items()]
        try:
            while True:
                for key in dict.fromkeys(pending):
                    ingress = self._ingresses.get(key)
                    trouble = await self._trouble(ingress) if ingress is not None else None
                    if ingress is not None and trouble is not None and troubles.get(key) != trouble:
                        self._recorder.emit(INGRESS, ingress, trouble)
                    troubles[key] = trouble
                    if ingress is None or not is_ours(ingress, self._served()):
                        continue
                    served = [{"ip": self._settings.host_address, "ports": [{"port": self._port, "protocol": "TCP"}]}]
                    if dig(ingress, "status", "loadBalancer", "ingress") != served:
                        with contextlib.suppress(ApiError, ConnectionError):
                            status = {"status": {"loadBalancer": {"ingress": served}}}
                            await self._client.patch(INGRESS, key, status, subresource="status")
                pending = [key_of(change.obj) for change in await anext(changes)]
        finally:
            changes.close()

    async def _trouble(self, ingress: Obj) -> Reason | None:
        """Why an Ingress is not served, or not as it says."""
        if is_ours(ingress, self._served()):
            said = await self._certificates.trouble(ingress)
            if said:
                return Reason("NoCertificate", said, warning=True)
            unread = ", ".join(ignored(ingress))
            message = f"these annotations have no effect here: {unread}"
            return Reason("AnnotationIgnored", message, warning=True) if unread else None
        name = class_of(ingress)
        try:
            await self._client.get(INGRESS_CLASS, name)
        except NotFound:
            ours = " or ".join(f'"{each}"' for each in sorted(self._served()))
            said = (
                f'nobody serves Ingresses of class "{name}" here; leave spec.ingressClassName out, or write {ours}, or make '
                f"an IngressClass {name} with spec.controller {CONTROLLER}"
            )
            return Reason("ClassNotServed", said, warning=True)
        except (ApiError, ConnectionError):
            return None
        return None  # somebody else's


def _asked(path: str, url: URL) -> str:
    """The path that a pod is asked for, with the client's query."""
    query = url.raw_query_string
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{query}"


def _check_size(request: web.BaseRequest, most: int | None) -> None:
    """Refuse a body that says that it is too large. Raises _Unroutable."""
    if most is not None and (request.content_length or 0) > most:
        raise _Unroutable(413, f"the body has {request.content_length} bytes and may have {most} ({_BODY_SIZE})")


class _Body:
    """A client's body as it comes, cut off when it turns out to be too large."""

    def __init__(self, request: web.BaseRequest, most: int | None) -> None:
        self.too_large: _Unroutable | None = None
        self.data: aiohttp.StreamReader | AsyncGenerator[bytes, None] | None = None
        if request.body_exists:
            self.data = request.content if most is None else self._bounded(request.content, most)

    async def _bounded(self, content: aiohttp.StreamReader, most: int) -> AsyncGenerator[bytes, None]:
        passed = 0
        async for chunk in content.iter_any():
            passed += len(chunk)
            if passed > most:
                self.too_large = _Unroutable(413, f"the body has more than {most} bytes ({_BODY_SIZE})")
                raise self.too_large
            yield chunk


def _passed_on(headers: aiohttp.typedefs.LooseHeaders) -> CIMultiDict[str]:
    """Headers that are about the message rather than about one connection."""
    all_headers = CIMultiDict(headers)
    named = {name.strip().lower() for value in all_headers.getall(hdrs.CONNECTION, []) for name in value.split(",")}
    return CIMultiDict(
        (name, value)
        for name, value in all_headers.items()
        if name.lower() not in _HOP_BY_HOP and name.lower() not in named
    )
