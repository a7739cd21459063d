"""The schemas of an OpenAPI v3 document, as `kubectl explain` and typed clients read them.

The API server writes the paths of `/openapi/v3/…` and takes what stands under `components.schemas` from here: the
definitions that the kinds of one group version reach, with their prose, and the schemas of custom kinds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from argosy.meta import pack, prose
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.raw_schema import text, whole

_PLACE = "#/components/schemas/"
_SPECIAL: dict[str, Obj] = {
    "int-or-string": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
}
_COPIED = (
    "type", "format", "enum", "required", "x-kubernetes-group-version-kind", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
)  # fmt: skip


def schema_name(kind: Kind) -> str:
    """The name under which a kind stands in `components.schemas`."""
    name = pack.definition_name(kind.api_version, kind.kind) if kind.schema is None else ""
    return name or ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def reference(kind: Kind) -> Obj:
    """A reference to a kind's schema, for the bodies of its paths."""
    return {"$ref": _PLACE + schema_name(kind)}


def components(kinds: Iterable[Kind]) -> Obj:
    """`components.schemas` for these kinds: themselves, their lists, and everything they refer to."""
    schemas: Obj = {}
    wanted: list[str] = []
    for kind in kinds:
        if kind.schema is not None:
            schemas[schema_name(kind)] = _custom(kind)
            schemas[f"{schema_name(kind)}List"] = _list(kind)
            wanted += [pack.OBJECT_META, pack.LIST_META]
            continue
        for name in (kind.kind, kind.list_kind):
            found = pack.definition_name(kind.api_version, name)
            if found:
                wanted.append(found)
    while wanted:
        name = wanted.pop()
        if name not in schemas:
            raw = pack.raw_definition(name)
            schemas[name] = _definition(name, raw)
            wanted += _references(raw)
    return {name: schemas[name] for name in sorted(schemas)}


def digest(kinds: Iterable[Kind]) -> str:
    """What changes when the document of these kinds does; far cheaper than the document."""
    sha = hashlib.sha256(pack.kubernetes_version().encode())
    for kind in kinds:
        sha.update(f"{kind.api_version}/{kind.kind}/{kind.plural}".encode())
        if kind.schema is not None:
            sha.update(prose.digest())
            sha.update(text(kind.schema))
    return sha.hexdigest().upper()


def _references(raw: Any) -> Iterator[str]:
    if isinstance(raw, dict):
        if isinstance(raw.get("$ref"), str):
            yield raw["$ref"]
        for key in ("properties", "items", "additionalProperties"):
            inner = raw.get(key)
            for each in inner.values() if key == "properties" and isinstance(inner, dict) else (inner,):
                yield from _references(each)


def _definition(name: str, raw: Obj) -> Obj:
    about = pack.descriptions(name)
    result = _node(raw)
    if "" in about:
        result = {"description": about[""], **result}
    if "properties" in raw:
        result["type"] = "object"
        result["properties"] = {
            key: {"description": about[key], **_node(inner)} if key in about else _node(inner)
            for key, inner in raw["properties"].items()
        }
    return result


def _node(raw: Obj) -> Obj:
    special = _SPECIAL.get(raw.get("format", ""))
    if special is not None:
        return dict(special)
    result: Obj = {key: raw[key] for key in _COPIED if key in raw}
    if "$ref" in raw:
        result["allOf"] = [{"$ref": _PLACE + raw["$ref"]}]
        if raw.get("zero") == "fill":
            result["default"] = {}
    for key in ("items", "additionalProperties"):
        if isinstance(raw.get(key), dict):
            result[key] = _node(raw[key])
    return result


def _gvk(kind: Kind, name: str) -> list[Obj]:
    return [{"group": kind.group, "version": kind.version, "kind": name}]


def _head(meta: str) -> Obj:
    """apiVersion, kind and metadata as every object has them."""
    about = pack.descriptions("io.k8s.api.core.v1.Pod")
    return {
        "apiVersion": {"description": about.get("apiVersion", ""), "type": "string"},
        "kind": {"description": about.get("kind", ""), "type": "string"},
        "metadata": {"description": about.get("metadata", ""), "allOf": [{"$ref": _PLACE + meta}]},
    }


def _custom(kind: Kind) -> Obj:
    raw: Obj = whole(kind.schema) or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    raw = prose.described(kind.group, kind.kind, raw)
    properties = {**(raw.get("properties") or {}), **_head(pack.OBJECT_META)}
    return {**raw, "type": "object", "properties": properties, "x-kubernetes-group-version-kind": _gvk(kind, kind.kind)}


def _list(kind: Kind) -> Obj:
    return {
        "description": f"{kind.list_kind} is a list of {kind.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {**_head(pack.LIST_META), "items": {"type": "array", "items": reference(kind)}},
        "x-kubernetes-group-version-kind": _gvk(kind, kind.list_kind),
    }
