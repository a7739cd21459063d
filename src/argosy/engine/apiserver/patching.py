"""The languages of PATCH over `argosy.meta`: which body means which change."""

from __future__ import annotations

from argosy.client.requests import MERGE_PATCH
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_json
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.writing import Change
from argosy.errors import UnsupportedMediaType
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind


def _body(call: Call, problems: list[str]) -> Obj:
    if call.request.obj is not None:
        return call.request.obj
    body: Obj = read_json(call.request.body, problems)
    return body


def reader(call: Call, language: str, problems: list[str], kind: Kind | None = None) -> Change:
    """What the body does to an object of the call's kind, or of `kind`. Raises BadRequest."""
    if language != MERGE_PATCH:
        raise UnsupportedMediaType("only merge patches are read yet")
    body = _body(call, problems)
    return lambda obj: _merge(obj, body)


def _merge(target: Obj, patch: Obj) -> Obj:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            below = target.get(key)
            target[key] = _merge(below if isinstance(below, dict) else {}, value)
        else:
            target[key] = thaw(value)
    return target


async def apply(call: Call, subresource: str = "") -> Answer:
    """Server-side apply."""
    raise UnsupportedMediaType("server-side apply is not there yet")
