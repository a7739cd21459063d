"""The API server's core: from a request value to a response value, over any transport.

`App.handle` is what `client.inprocess.InProcessTransport` calls and what the HTTP edge calls with `wire=True`. It knows
who asks from `request.user`, never raises, and answers every failure with a `Status`.
"""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from dataclasses import replace

from argosy import kinds
from argosy.client.requests import Request, Response
from argosy.engine.apiserver import about, aggregation, bootstrap, crds, impersonation, metrics, render, reviews
from argosy.engine.apiserver.addresses import ServiceAddresses
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.authz import Attributes, Authorizer, attributes_of
from argosy.engine.apiserver.backends import NodeAccess
from argosy.engine.apiserver.background import Background
from argosy.engine.apiserver.calls import ANONYMOUS, Call
from argosy.engine.apiserver.converting import answered
from argosy.engine.apiserver.discovery import Discovery
from argosy.engine.apiserver.extensions import Remote, Remotes, forward
from argosy.engine.apiserver.failures import conflict, no_such_method, no_such_path
from argosy.engine.apiserver.openapi import OpenApi
from argosy.engine.apiserver.quotas import Recount
from argosy.engine.apiserver.routes import Target, resource_target, verb_of
from argosy.engine.apiserver.schemas import Schemas
from argosy.engine.apiserver.served import Registry, Served
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.apiserver.subresources import dispatch
from argosy.engine.apiserver.tokens import Tokens
from argosy.engine.apiserver.verbs.create import create
from argosy.engine.apiserver.verbs.delete import delete, delete_collection
from argosy.engine.apiserver.verbs.get import get
from argosy.engine.apiserver.verbs.list import list_, only_name
from argosy.engine.apiserver.verbs.patch import patch
from argosy.engine.apiserver.verbs.update import update
from argosy.engine.apiserver.verbs.watch import watch
from argosy.engine.store import Mismatch, Store, StoreFailed
from argosy.errors import ApiError, BadRequest, InternalError, TooLarge
from argosy.meta.kind import Kind

log = logging.getLogger(__name__)

_LARGEST_BODY = 3 * 1024 * 1024
_WRITE_ATTEMPTS = 5


_PLAIN = {"content-type": "text/plain; charset=utf-8"}


class NoPage(Exception):
    """A path that nobody answers with a Status."""


class App:
    """One API server over one store."""

    def __init__(self, store: Store, settings: ApiSettings, nodes: NodeAccess | None = None) -> None:
        registry = Registry()
        recount = Recount(store, registry)
        self.api = Api(
            store=store,
            settings=settings,
            registry=registry,
            schemas=Schemas(),
            authorizer=Authorizer(store),
            addresses=ServiceAddresses(settings.service_cidr, settings.node_ports),
            tokens=Tokens(store, settings.signing_key_pem),
            nodes=nodes,
            reaper=Background("reaper", self._reap),
            aggregator=Background("aggregator", self._aggregate),
            recount=recount,
            counter=Background("quota counter", recount.run),
        )
        self._remotes = Remotes(self.api, forward)
        self._overseer = Background("api services", lambda: self._remotes.watch_over(self._overseer.wake))
        self.api.noticed = self._noticed
        self._discovery = Discovery(registry, settings.server_address, self._remotes.discovered)
        self._openapi = OpenApi(registry)
        self._counters = about.Counters()
        self.ready = True
        """What /readyz says; the composition root clears it while stopping."""
        registry.measure(nodes is not None)
        self.api.addresses.keep(record.obj for record in store.list(kinds.SERVICE.resource))
        crds.load(self.api)

    @property
    def nodes(self) -> NodeAccess | None:
        """The way to running pods; may be set once the node is up."""
        return self.api.nodes

    @nodes.setter
    def nodes(self, nodes: NodeAccess | None) -> None:
        self.api.nodes = nodes
        self.api.registry.measure(nodes is not None)
        if nodes is not None and self.api.nodes_arrived is not None:
            self.api.nodes_arrived.set()

    def expect_nodes(self) -> None:
        """A node agent is about to start: who asks for what runs there waits for it."""
        self.api.nodes_arrived = asyncio.Event()
        self.api.registry.measure(True)

    async def start(self) -> None:
        """Make the objects that every cluster has: namespaces, roles, the Service `kubernetes`. Idempotent."""
        await bootstrap.run(self.api)
        self.api.reaper.wake()
        self.api.aggregator.wake()
        self.api.counter.wake()
        self._overseer.wake()

    async def close(self) -> None:
        """End background work. The store is closed by who opened it."""
        await self.api.reaper.close()
        await self.api.aggregator.close()
        await self.api.counter.close()
        await self._overseer.close()
        self._remotes.close()

    def _noticed(self, kind: Kind) -> None:
        if self._remotes.changed(kind):
            self._overseer.wake()

    async def _reap(self) -> bool:
        return await crds.reap(self.api)

    async def _aggregate(self) -> bool:
        return await aggregation.run(self.api)

    async def handle(self, request: Request, *, wire: bool = False) -> Response:
        """Answer a request; as bytes where `wire` is set. Never raises."""
        now = self.api.settings.clock.now()
        served: Served | None = None
        warnings: list[str] = []
        verb = request.method.lower()
        try:
            if wire and any(name.startswith(impersonation.MARK) for name in request.headers):
                user = impersonation.acting(request.user or ANONYMOUS, request.headers, self.api.authorizer)
                request = replace(request, user=user)
            target = resource_target(request.path)
            form = render.Form()
            remote = self._remotes.find(request.path)
            if remote is not None:
                answer = await self._extension(remote, request, target)
            elif target is None:
                answer = await self._path(request)
            else:
                served = self._served(target)
                accept, include = request.headers.get("accept", ""), request.query.get("includeObject", "")
                if not served.custom and accept:
                    render.check_accepted(accept, render.offered(request.method, target))
                form = render.form_of(accept, include)
                verb = verb_of(request.method, target, request.query)
                if served.deprecation and verb in served.kind.verbs:
                    warnings.append(served.deprecation)
                call = Call(self.api, request, target, served, verb, now, warnings)
                answer = await self._resource(call)
                if answer.session is not None:
                    return self._counted(verb, "pods", Response(101, session=answer.session))
                if not target.subresource or target.subresource == "status":
                    answer = await answered(self.api, served, answer)
                if target.subresource in ("scale", "token", "binding", "eviction", "log", "proxy"):
                    served = None
            if not wire:
                form = render.Form() if served is None else form
                response = render.Renderer(served, now, self._openapi.describe).in_process(answer, form)
            else:
                response = render.Renderer(served, now, self._openapi.describe).on_the_wire(answer, form)
        except NoPage:
            response = Response(404, dict(_PLAIN), body=b"404 page not found\n")
        except ApiError as error:
            response = _failed(error, wire=wire)
        except asyncio.CancelledError:
            raise
        except StoreFailed as error:
            response = _failed(InternalError(str(error)), wire=wire)
        except RecursionError:
            response = _failed(BadRequest("the request nests values too deeply; send a flatter object"), wire=wire)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            response = _failed(InternalError(f"Internal error occurred: {error}"), wire=wire)
        if warnings:
            said = [_warning(text) for text in warnings if not any(unicodedata.category(s) == "Cc" for s in text)]
            response.headers = {**response.headers, "warning": "\n".join(said)} if said else response.headers
        return self._counted(verb, served.kind.resource if served else "", response)

    def _counted(self, verb: str, resource: str, response: Response) -> Response:
        self._counters.count(verb, resource, response.status)
        return response

    def _served(self, target: Target) -> Served:
        served = self.api.registry.find(target.group, target.version, target.plural)
        if served is None:
            raise no_such_path()
        return served

    async def _path(self, request: Request) -> Answer:
        """What is not a resource: discovery, OpenAPI, health, version."""
        path = request.path
        self.api.authorizer.check(request.user or ANONYMOUS, Attributes(_path_verb(request.method), path=path))
        if path in about.HEALTH or path.partition("/")[0] in about.HEALTH:
            return Answer.text("ok") if self.ready or path == "/livez" else Answer.text("shutting down", 500)
        clean = path.rstrip("/") or "/"
        if clean in ("/version", "/metrics") and request.method != "GET":
            raise no_such_method()
        if clean == "/version":
            return Answer(obj=about.version(self.api.settings))
        if clean == "/metrics":
            return self._counters.text(self.api.store)
        accept = request.headers.get("accept", "")
        found = self._discovery.answer(clean, accept) or self._openapi.answer(clean, request)
        if found is None:
            raise no_such_path()
        body, content_type = found
        return Answer(body=body, headers={"content-type": content_type})

    async def _extension(self, remote: Remote, request: Request, target: Target | None) -> Answer:
        """What somebody else's API server answers, once it is known that the user may ask it."""
        user = request.user or ANONYMOUS
        if target is None:
            self.api.authorizer.check(user, Attributes(_path_verb(request.method), path=request.path))
        else:
            self.api.authorizer.check(user, attributes_of(verb_of(request.method, target, request.query), target))
        return await forward(self.api, remote, request, user)

    async def _resource(self, call: Call) -> Answer:
        """A request for a resource, once it is known that the user may."""
        target = call.target
        self._check_scope(call)
        self.api.authorizer.check(call.user, attributes_of(call.verb, target, only_name(call)))
        if len(call.request.body) > _LARGEST_BODY:
            raise TooLarge(f"Request entity too large: limit is {_LARGEST_BODY}")
        call.check_dry_run()
        return await self._to_its_end(call)

    async def _to_its_end(self, call: Call) -> Answer:
        """Carry a request out, again when somebody else wrote while a webhook was waited for."""
        for _ in range(_WRITE_ATTEMPTS):
            warned = len(call.warnings)
            try:
                return await self._once(call)
            except Mismatch:
                del call.warnings[warned:]
                call = replace(call, charges=[])
        raise conflict(call.kind, call.target.name)

    async def _once(self, call: Call) -> Answer:
        if call.target.subresource:
            return await dispatch(call)
        if call.kind in reviews.REVIEWS and call.verb == "create":
            return reviews.review(call)
        if call.kind in metrics.MEASURED:
            return await metrics.answer(call)
        if call.verb not in call.kind.verbs:
            raise no_such_method()
        return await self._verb(call)

    @staticmethod
    def _check_scope(call: Call) -> None:
        target = call.target
        if target.namespace and not call.kind.namespaced:
            if call.served.custom:
                raise NoPage
            raise no_such_path()
        if call.kind.namespaced and not target.namespace and (target.name or call.verb == "deletecollection"):
            if target.name:
                raise no_such_path()
            raise no_such_method()

    async def _verb(self, call: Call) -> Answer:
        verb = call.verb
        if verb == "get":
            return get(call)
        if verb == "list":
            return list_(call)
        if verb == "watch":
            return watch(call)
        if verb == "create":
            return await self._created(call)
        if verb == "update":
            return await update(call)
        if verb == "patch":
            return await patch(call)
        return await (delete(call) if verb == "delete" else delete_collection(call))

    async def _created(self, call: Call) -> Answer:
        if call.kind.namespaced and not call.target.namespace:
            raise no_such_method()
        if call.target.name:
            raise no_such_method()
        return await create(call)


def _path_verb(method: str) -> str:
    return {"GET": "get", "HEAD": "head", "POST": "post", "PUT": "put", "PATCH": "patch", "DELETE": "delete"}.get(
        method, method.lower()
    )


def _warning(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'


def _failed(error: ApiError, *, wire: bool) -> Response:
    body = error.status()
    headers: dict[str, str] = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    if not wire:
        return Response(error.code, headers, obj=body)
    headers["content-type"] = render.JSON_TYPE
    return Response(error.code, headers, body=render.line(body))
