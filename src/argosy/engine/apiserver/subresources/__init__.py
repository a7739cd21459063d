"""What stands under an object: status, scale, logs, bindings, evictions, tokens, proxies; one file each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import no_such_method, no_such_path
from argosy.engine.apiserver.subresources import binding, eviction, log, proxy, scale, stream, token
from argosy.engine.apiserver.verbs.get import get, missing
from argosy.engine.apiserver.verbs.patch import patch
from argosy.engine.apiserver.verbs.update import update

Handler = Callable[[Call], Awaitable[Answer]]

_ON_OBJECTS = frozenset({"status", "ephemeralcontainers", "resize", "approval", "finalize"})
"""Subresources that show the whole object and change a part of it."""
_STREAMS = frozenset({"exec", "attach", "portforward"})


async def dispatch(call: Call) -> Answer:
    """Answer a request for a subresource."""
    name = call.target.subresource
    if name not in call.kind.subresources:
        if call.served.custom and name in ("status", "scale"):
            raise missing(call)
        raise no_such_path()
    if name in _STREAMS:
        return await stream.connect(call)
    if name in _ON_OBJECTS:
        return await _object(call, name)
    if name == "proxy":
        return await proxy.forward(call)
    handlers: dict[tuple[str, str], Handler] = {
        ("scale", "update"): scale.update,
        ("scale", "patch"): scale.patch,
        ("binding", "create"): binding.bind,
        ("eviction", "create"): eviction.create,
        ("log", "get"): log.get,
    }
    if (name, call.verb) == ("scale", "get"):
        return await scale.get(call)
    if (name, call.verb) == ("token", "create"):
        return token.create(call)
    handler = handlers.get((name, call.verb))
    if handler is None:
        raise no_such_method()
    return await handler(call)


async def _object(call: Call, name: str) -> Answer:
    if call.verb == "get":
        return get(call)
    if call.verb == "update":
        return await update(call, name)
    if call.verb == "patch":
        return await patch(call, name)
    raise no_such_method()
