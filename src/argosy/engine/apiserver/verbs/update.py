"""PUT: replace an object, or create one of the kinds that allow it."""

from __future__ import annotations

from argosy.engine.apiserver import strategy, writing
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import no_such_method
from argosy.engine.apiserver.verbs.create import store_new
from argosy.errors import BadRequest
from argosy.meta.json import Obj


async def update(call: Call, subresource: str = "") -> Answer:
    """Replace the request's object by the body. Raises NotFound, Conflict, Invalid, …"""
    if not call.target.name:
        raise no_such_method()
    problems: list[str] = []
    obj = read_object(call.request, problems, call.kind.kind)
    writing.check_body(call, obj)
    check_name(call, obj)
    new = writing.understood(call, obj, problems)
    exists = call.api.store.newest(call.served.storage.resource, call.key) is not None
    if not exists and not subresource and call.served.storage in strategy.UPSERT:
        new["metadata"].pop("resourceVersion", None)
        return await store_new(call, new)
    return await writing.put(call, new, subresource)


def check_name(call: Call, obj: Obj) -> None:
    """Hold the body's name against the URL's. Raises BadRequest."""
    name = obj["metadata"].get("name")
    if not name:
        raise BadRequest(
            f"the name of the object ({call.target.name} based on URL) was undeterminable: name must be provided"
        )
    if name != call.target.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({call.target.name})")
