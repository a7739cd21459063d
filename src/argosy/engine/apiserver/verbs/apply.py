"""PATCH by server-side apply: the manager says what it wants, and nothing of others is touched."""

from __future__ import annotations

from dataclasses import replace

from argosy.client.requests import APPLY_PATCH
from argosy.engine.apiserver import ownership, writing
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_yaml
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.converting import shown_form
from argosy.engine.apiserver.failures import not_found
from argosy.engine.apiserver.verbs.create import store_new
from argosy.errors import BadRequest
from argosy.meta.json import Obj, thaw

APPLY_TYPES = (APPLY_PATCH, "application/apply-patch+json")


async def apply(call: Call, subresource: str = "") -> Answer:
    """Merge the configuration in the body into the request's object, or create it. Raises Conflict, Invalid, …"""
    call = replace(call, verb="apply")
    problems: list[str] = []
    config = read_config(call, problems)
    writing.check_body(call, config)
    named = bool(config["metadata"].get("name"))
    check_name(call, config)
    record = call.api.store.newest(call.served.storage.resource, call.key)
    if record is None:
        if subresource:
            raise not_found(call.kind, call.target.name)
        if not named:
            url = call.target.name
            raise BadRequest(f"the name of the object ({url} based on URL) was undeterminable: name must be provided")
        made = ownership.applied(call, None, config, "")
        obj = writing.understood(call, made, problems, patched=True, applied=config)
        return await store_new(call, obj)
    live = await shown_form(call.api, call.served, record.obj)
    merged = ownership.applied(call, live, config, subresource)
    obj = writing.understood(call, thaw(merged), problems, patched=True, applied=config)
    writing.check_precondition(call, obj, record)
    await writing.complete_update(call, obj, live, subresource)
    return await writing.replace(call, record, obj)


def read_config(call: Call, problems: list[str]) -> Obj:
    """The configuration in the body. Raises BadRequest."""
    if call.request.obj is not None:
        given: Obj = thaw(call.request.obj)
        return given
    try:
        config = read_yaml(call.request.body, problems)
    except BadRequest as error:
        raise BadRequest(f"error decoding YAML: {error.message}") from None
    if not isinstance(config, dict):
        raise BadRequest("error decoding YAML: the body is not an object; apply a whole manifest")
    return config


def check_name(call: Call, config: Obj) -> None:
    """Hold the configuration's name against the URL's; it may be left out. Raises BadRequest."""
    name = config["metadata"].get("name")
    if name and name != call.target.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({call.target.name})")
    config["metadata"]["name"] = call.target.name
