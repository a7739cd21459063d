"""PUT: replace an object, or create one of the kinds that allow it."""

from __future__ import annotations

from argosy.engine.apiserver import strategy, writing
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.converting import shown_form
from argosy.engine.apiserver.failures import no_such_method
from argosy.engine.apiserver.verbs.create import store_new
from argosy.errors import BadRequest
from argosy.meta.json import Obj, thaw


async def update(call: Call, subresource: str = "") -> Answer:
    """Replace the request's object by the body. Raises NotFound, Conflict, Invalid, …"""
    if not call.target.name:
        raise no_such_method()
    if subresource == "status" and call.request.obj is not None:
        return await _status(call)
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


async def _status(call: Call) -> Answer:
    """A status from within the process: through this door the rest stays as it is, so it need not be read at all."""
    given = call.request.obj or {}
    sent = {field: given[field] for field in ("apiVersion", "kind", "metadata", "status") if field in given}
    old = await shown_form(call.api, call.served, writing.current(call).obj)
    obj: Obj = thaw(sent)
    writing.check_body(call, obj)
    check_name(call, obj)
    new = writing.understood(call, obj, [])
    changed: Obj = {field: new[field] for field in ("metadata", "status") if field in new}
    rest = {field: value for field, value in old.items() if field not in changed}
    return await writing.put(call, {**rest, **changed}, "status")


def check_name(call: Call, obj: Obj) -> None:
    """Hold the body's name against the URL's. Raises BadRequest."""
    name = obj["metadata"].get("name")
    if not name:
        raise BadRequest(
            f"the name of the object ({call.target.name} based on URL) was undeterminable: name must be provided"
        )
    if name != call.target.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({call.target.name})")
