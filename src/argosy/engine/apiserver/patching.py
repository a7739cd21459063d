"""The languages of PATCH over `argosy.meta`: which body means which change, and what is answered to one that cannot be."""

from __future__ import annotations

from typing import Any

from argosy.client.requests import JSON_PATCH, MERGE_PATCH
from argosy.engine.apiserver.bodies import read_json
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import InvalidPatch, RefusedPatch, Unreasoned
from argosy.engine.apiserver.writing import Change
from argosy.errors import BadRequest, UnsupportedMediaType
from argosy.meta import pack, patches, strategic
from argosy.meta.causes import go_value
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.schema import Schema


def reader(call: Call, language: str, problems: list[str], kind: Kind | None = None) -> Change:
    """What the body does to an object of the call's kind, or of `kind`. Raises BadRequest."""
    body = call.request.obj if call.request.obj is not None else read_json(call.request.body, problems)
    if language == JSON_PATCH:
        return _json(body)
    if not isinstance(body, dict):
        raise BadRequest(f"json: cannot unmarshal {_name(body)} into Go value of type map[string]interface {{}}")
    if language == MERGE_PATCH:
        return lambda obj: _whole(patches.merge(obj, body))
    schema = pack.schema_for(kind or call.kind)
    if schema is None:
        raise UnsupportedMediaType(f"{call.kind.kind} takes no strategic merge patch; send a merge patch")
    return _strategic(body, schema)


def _json(body: Any) -> Change:
    try:
        operations = patches.check_json(body)
    except patches.BadPatch as error:
        raise BadRequest(str(error)) from None

    def change(obj: Obj) -> Obj:
        try:
            return _whole(patches.apply_json(obj, operations))
        except patches.PatchFailed as error:
            raise RefusedPatch from error

    return change


def _whole(value: Any) -> Obj:
    """What a patch made must still be an object with metadata."""
    if not isinstance(value, dict):
        raise RefusedPatch
    if not isinstance(value.get("metadata"), dict):
        value["metadata"] = {}
    return value


def _strategic(body: Obj, schema: Schema) -> Change:
    def change(obj: Obj) -> Obj:
        try:
            made = strategic.merge(obj, body, schema)
        except strategic.StrategicError as error:
            raise Unreasoned(str(error)) from None
        fault = strategic.restore_error(made, schema)
        if fault:
            raise InvalidPatch(go_value(body), fault)
        return _whole(made)

    return change


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {list: "array", str: "string", int: "number", float: "number"}
    return names.get(type(value), "null")
