"""Custom objects along the structural schema of their CRD: unknown fields, pruning, defaults.

`prepare` is what happens to every custom object that comes in, in the order in which kube-apiserver does it; the
validation that follows is in `validation`. Objects are changed in place here: the caller hands over its own copy.
"""

from __future__ import annotations

from typing import Any

from argosy.meta import pack
from argosy.meta.decode import decode
from argosy.meta.json import Obj, thaw
from argosy.meta.schema import INT_OR_STRING, INTEGER, LIST, Schema

_NESTED = (dict, list)
_WHOLE = (INTEGER, INT_OR_STRING)
"""Where a client may write 1.0 and means 1, as Kubeflow's does with quantities."""
_ROOT = ("apiVersion", "kind", "metadata")


def prepare(obj: Obj, schema: Schema, *, keep_unknown: bool = False) -> list[str]:
    """Prune, drop nulls and set defaults, in place; returns the paths of the unknown fields, sorted.

    `keep_unknown` is for CRDs of old with `preserveUnknownFields`.
    """
    unknown = list(_metadata(obj, ""))
    if not keep_unknown:
        unknown += prune(obj, schema, root=True)
    apply_defaults(obj, schema)
    return sorted(unknown)


def _metadata(obj: Obj, path: str) -> tuple[str, ...]:
    meta = obj.get("metadata")
    if not isinstance(meta, dict):
        return ()
    decoded = decode(meta, pack.definition(pack.OBJECT_META))
    if decoded.unknown:
        for key in {each.partition(".")[0].partition("[")[0] for each in decoded.unknown}:
            if key not in pack.definition(pack.OBJECT_META).fields:
                del meta[key]
    return tuple(f"{path}metadata.{each}" for each in decoded.unknown)


def metadata_error(obj: Obj) -> str:
    """What makes an object's metadata undecodable (a label that is a number, say), in the decoder's words; else empty."""
    meta = obj.get("metadata")
    return decode(meta, pack.definition(pack.OBJECT_META)).error if isinstance(meta, dict) else ""


def prune(value: Any, schema: Schema, *, root: bool = False, path: str = "") -> list[str]:
    """Remove what the schema does not know, in place; returns the paths removed."""
    removed: list[str] = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            if schema.code == LIST:
                removed += prune(item, schema.items, path=f"{path}[{index}]")
        return removed
    if not isinstance(value, dict) or (schema.code == LIST):
        return removed
    embedded = root or bool(schema.own.get("x-kubernetes-embedded-resource"))
    prefix = f"{path}." if path else ""
    for key in list(value):
        if embedded and key in _ROOT:
            if key == "metadata" and not root:
                removed += _metadata(value, prefix)
            continue
        child = schema.fields.get(key)
        if child is None:
            child = schema.values
        if child is not None:
            removed += prune(value[key], child, path=f"{prefix}{key}") if child.raw else []
        elif not schema.preserve:
            del value[key]
            removed.append(f"{prefix}{key}")
    return removed


def apply_defaults(value: Any, schema: Schema) -> None:
    """Set defaults, drop nulls where null is not allowed, and make 1.0 of an integer field 1; in place."""
    if isinstance(value, list):
        if schema.code == LIST and _interesting(schema.items):
            items = schema.items
            for index, item in enumerate(value):
                if isinstance(item, _NESTED):
                    apply_defaults(item, items)
                elif type(item) is float and items.code in _WHOLE and item.is_integer():
                    value[index] = int(item)
        return
    if not isinstance(value, dict):
        return
    fields = schema.fields
    for key, child in fields.items():
        if key not in value:
            if child.default is not None:
                value[key] = thaw(child.default)
        elif value[key] is None and not child.nullable:
            if child.default is not None:
                value[key] = thaw(child.default)
            else:
                del value[key]
    others = schema.values
    for key in list(value):
        child_schema = fields.get(key) or others
        if child_schema is None:
            continue
        item = value[key]
        if isinstance(item, _NESTED):
            apply_defaults(item, child_schema)
        elif type(item) is float and child_schema.code in _WHOLE and item.is_integer():
            value[key] = int(item)
        elif item is None and child_schema.raw and not child_schema.nullable and not child_schema.preserve:
            del value[key]


def _interesting(schema: Schema) -> bool:
    return bool(schema.raw)
