"""The gateway as an HTTP server: who is asked what, and what is said when nobody can be asked.

`Gateway.handle` is the whole of it; `discovery` feeds it tables, `__main__` runs both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web

from argosy.meta.json import encode
from argosy.meta.objects import Key
from argosy.programs.gateway import balance, openai
from argosy.programs.gateway.balance import Replica
from argosy.programs.gateway.forward import Call, Forwarder, Lost, request_headers
from argosy.programs.gateway.keys import Keys
from argosy.programs.gateway.metrics import Counts, Metrics
from argosy.programs.gateway.openai import Refusal
from argosy.programs.gateway.pool import Pool
from argosy.programs.gateway.routes import Route, Table
from argosy.programs.gateway.settings import GatewaySettings

_log = logging.getLogger(__name__)

_FORWARDED = frozenset(
    {
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/rerank", "/v1/score",
        "/v1/audio/transcriptions", "/tokenize", "/detokenize",
    }
)  # fmt: skip
_ALSO_UNDER = "/openai"
_LOST_MAX = 3
"""How many replicas a request may be sent to that then die: it may be the request that kills them."""
_CLIENT_GONE = 499


class Gateway:
    """Routes, replicas and counters. `update` brings a new table; `handle` answers a request."""

    def __init__(self, settings: GatewaySettings, forwarder: Forwarder) -> None:
        self._settings = settings
        self._forwarder = forwarder
        self._keys = Keys(settings)
        self._table = Table()
        self._pools: dict[Key, Pool] = {}
        self.metrics = Metrics()
        self.ready = False
        self.draining = False

    def update(self, table: Table) -> None:
        """Take over a new table."""
        self._table = table
        for key, backend in table.backends.items():
            if key not in self._pools:
                self._pools[key] = Pool(key, self._settings)
            self._pools[key].update(backend)
        for key in self._pools.keys() - table.backends.keys():
            self._pools.pop(key).close()
        self.metrics.keep({(route.service, route.model) for route in table.routes.values()})
        self.ready = True

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path = request.path.removeprefix(_ALSO_UNDER) if request.path.startswith(_ALSO_UNDER) else request.path
        try:
            if path in _FORWARDED:
                self._keys.check(request.headers.get("Authorization", ""))
                if request.method != "POST":
                    raise Refusal(405, f"{path} takes POST.", "invalid_request_error")
                return await self._forward(request, path)
            return self._own(request, path)
        except Refusal as refusal:
            return _refused(refusal)

    def _own(self, request: web.BaseRequest, path: str) -> web.Response:
        """What the gateway answers itself."""
        if path == "/metrics":
            text = self.metrics.text({key: pool.size for key, pool in self._pools.items()})
            return web.Response(text=text, content_type="text/plain", charset="utf-8")
        if path in ("/health", "/healthz", "/livez"):
            return web.Response(text="ok")
        if path in ("/ready", "/readyz"):
            fit = self.ready and not self.draining
            return web.Response(status=200 if fit else 503, text="ok" if fit else "not ready")
        if path == "/v1/models" or path.startswith("/v1/models/"):
            self._keys.check(request.headers.get("Authorization", ""))
            return self._models(path.removeprefix("/v1/models").removeprefix("/"))
        raise Refusal(
            404, f"There is nothing at {path}; try /v1/models or /v1/chat/completions.", "invalid_request_error"
        )

    def _models(self, name: str) -> web.Response:
        if name:
            route = self._table.routes.get(name)
            if route is None:
                raise openai.not_found(name, self._names())
            return _json(_entry(route))
        return _json({"object": "list", "data": [_entry(route) for route in self._table.listed]})

    def _names(self) -> list[str]:
        return [route.model for route in self._table.listed]

    async def _forward(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            limit = self._settings.body_bytes_max
            raise Refusal(413, f"The body is larger than {limit} bytes.", "invalid_request_error") from None
        head = openai.read_head(body)
        route = self._table.routes.get(head.model)
        if route is None:
            self.metrics.unrouted += 1
            raise openai.not_found(head.model, self._names())
        if route.upstream != head.model:
            body = openai.with_model(body, route.upstream)
        pool = self._pools[route.service]
        counts = self.metrics.of(route.service, route.model)
        began = asyncio.get_running_loop().time()
        code = _CLIENT_GONE
        try:
            call = Call(pool.prefix + path, body, request_headers(request), _once(counts, began))
            response = await self._ask(request, call, pool, counts)
            code = response.status
            return response
        except Refusal as refusal:
            code = refusal.status
            raise
        finally:
            counts.ended(code, asyncio.get_running_loop().time() - began)

    async def _ask(self, request: web.BaseRequest, call: Call, pool: Pool, counts: Counts) -> web.StreamResponse:
        """Ask replicas until one answers."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.queue_seconds
        tried: list[Replica] = []
        lost = 0
        while True:
            replica = await pool.take(counts, deadline, tried)
            counts.in_flight += 1
            try:
                response = await self._forwarder.send(request, call, replica)
                balance.answered(replica)
                return response
            except Lost as error:
                balance.failed(replica, loop.time())
                tried.append(replica)
                lost += error.sent
                _log.info("%s:%d did not answer: %s", replica.address, replica.port, error)
                if lost >= _LOST_MAX:
                    return error.answer or _refused(_given_up(lost))
                counts.retries += 1
            finally:
                counts.in_flight -= 1
                pool.give_back(replica)


def _given_up(lost: int) -> Refusal:
    return Refusal(
        502,
        f"{lost} replicas ended while they worked on this request; it may be the request itself.",
        "server_error",
        "replica_lost",
    )


def _once(counts: Counts, began: float) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    return lambda: counts.first_byte.observe(loop.time() - began)


def _entry(route: Route) -> dict[str, object]:
    return openai.model_entry(route.model, route.created, route.service.namespace, route.parent)


def _json(value: object) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json")


def _refused(refusal: Refusal) -> web.Response:
    headers = {}
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        status=refusal.status, body=refusal.body, content_type="application/json", headers=headers or None
    )
