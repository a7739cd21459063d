"""Values seen through their schema as server-side apply sees them: which fields, what differs, what merges.

Lists of type `map` and `set` go by item, structs and granular maps by field, everything else is one leaf. `apply` and
`track_update` are made of these five walks. Values are never changed; results share what is unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from argosy.meta import fieldset, pack
from argosy.meta.causes import go_value
from argosy.meta.fieldset import SELF
from argosy.meta.json import Obj
from argosy.meta.schema import ANY, BOOLEAN, INTEGER, LIST, MAP, NUMBER, STRING, STRUCT, Schema

_ABSENT: Final = object()
_LEAF, _MAP, _LIST = 0, 1, 2
_DEDUCED = Schema({"x-kubernetes-preserve-unknown-fields": True})
_FREE = Schema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
_KEY_DEFAULTS = {"protocol": "TCP"}


class Untyped(ValueError):
    """The value does not have the form that its schema gives it."""


def root_schema(schema: Schema | None) -> Schema:
    """The schema of whole objects: a custom kind's with the metadata of built-in ones."""
    if schema is None:
        return _root(_FREE)
    return _root(schema) if schema.structural else schema


_roots: dict[int, tuple[Schema, Schema]] = {}


def _root(schema: Schema) -> Schema:
    found = _roots.get(id(schema))
    if found is None:
        if len(_roots) > 1000:
            _roots.clear()
        root = Schema(schema.raw)
        text = Schema({"type": "string"})
        root.fields = {
            **schema.fields,
            "apiVersion": text,
            "kind": text,
            "metadata": pack.definition(pack.OBJECT_META),
        }
        found = _roots[id(schema)] = (schema, root)
    return found[1]


def _form(schema: Schema, value: Any) -> int:
    code = schema.code
    if code == LIST:
        return _LEAF if schema.list_type in ("", "atomic") else _LIST
    if code == STRUCT:
        if schema.map_type == "atomic" or not (schema.structural or schema.fields):
            return _LEAF
        return _MAP
    if code == MAP:
        return _LEAF if schema.map_type == "atomic" else _MAP
    if code == ANY and schema.structural and isinstance(value, dict):
        return _MAP
    return _LEAF


def _below(schema: Schema, key: str) -> Schema:
    child = schema.fields.get(key) if schema.code == STRUCT else None
    return child or schema.values or _DEDUCED


def element_of(item: Any, schema: Schema) -> str:
    """The path element of an item of a `map` or `set` list. Raises Untyped when it lacks a key."""
    if schema.list_type == "set":
        return f"v:{json.dumps(item, separators=(',', ':'), sort_keys=True, ensure_ascii=False)}"
    if not isinstance(item, dict):
        raise Untyped(f"associative list with keys may not have non-map elements, got {item!r}")
    keys = {}
    fields = schema.items.fields
    for key in schema.map_keys:
        if item.get(key) is not None:
            keys[key] = item[key]
            continue
        declared = fields.get(key)
        default = declared.default if declared is not None else None
        default = _KEY_DEFAULTS.get(key) if default is None and not schema.structural else default
        if default is None:
            raise Untyped(
                f'associative list with keys has an element that omits key field "{key}" (and doesn\'t have default value)'
            )
        keys[key] = default
    return f"k:{json.dumps(keys, separators=(',', ':'), sort_keys=True, ensure_ascii=False)}"


def fields_of(value: Any, schema: Schema) -> Obj:
    """The set of the fields that a value sets."""
    form = _form(schema, value)
    if form == _LEAF:
        return {SELF: {}}
    tree: Obj = {}
    if form == _LIST:
        for item in value if isinstance(value, list) else ():
            inner = fields_of(item, schema.items)
            tree[element_of(item, schema)] = {SELF: {}, **inner}
        return tree
    if not isinstance(value, dict):
        return tree
    declared = schema.fields if schema.code == STRUCT else {}
    for key, item in value.items():
        inner = fields_of(item, _below(schema, key))
        if item is None or item == {} or key not in declared:
            inner = {SELF: {}, **inner}
        if inner:
            tree[f"f:{key}"] = inner
    return tree


@dataclass(slots=True)
class Comparison:
    """What differs between two values, as sets."""

    added: Obj = field(default_factory=dict)
    modified: Obj = field(default_factory=dict)
    removed: Obj = field(default_factory=dict)

    @property
    def changed(self) -> Obj:
        """Added or modified."""
        return fieldset.union(self.added, self.modified)


def compare(old: Any, new: Any, schema: Schema) -> Comparison:
    """What was added, modified and removed on the way from old to new."""
    result = Comparison()
    _compare(old, new, schema, [], result)
    return result


def _compare(old: Any, new: Any, schema: Schema, path: list[str], out: Comparison) -> None:
    if old is not _ABSENT and new is not _ABSENT and old == new and type(old) is type(new):
        return
    sample = new if new is not _ABSENT else old
    form = _form(schema, sample)
    leaf = form == _LEAF or (_blank(old) and _blank(new))
    if not leaf:
        other = _form(schema, old) if new is not _ABSENT and old is not _ABSENT else form
        if other != form:
            _compare(old, _ABSENT, schema, path, out)
            _compare(_ABSENT, new, schema, path, out)
            return
        for element, before, after, child in _pairs(old, new, schema, form):
            path.append(element)
            _compare(before, after, child, path, out)
            path.pop()
    if old is _ABSENT:
        fieldset.insert(out.added, path)
    elif new is _ABSENT:
        fieldset.insert(out.removed, path)
    elif leaf:
        fieldset.insert(out.modified, path)


def _blank(value: Any) -> bool:
    return value is _ABSENT or value is None or (isinstance(value, dict | list) and not value)


def _pairs(old: Any, new: Any, schema: Schema, form: int) -> Iterator[tuple[str, Any, Any, Schema]]:
    if form == _LIST:
        before, after = _items(old, schema), _items(new, schema)
        for element in {**before, **after}:
            yield element, before.get(element, _ABSENT), after.get(element, _ABSENT), schema.items
        return
    left, right = _mapping(old), _mapping(new)
    for key in {**left, **right}:
        yield f"f:{key}", left.get(key, _ABSENT), right.get(key, _ABSENT), _below(schema, key)


def _mapping(value: Any) -> Obj:
    return value if isinstance(value, dict) else {}


def _items(value: Any, schema: Schema) -> Obj:
    """Items by path element; of duplicates, the list of them."""
    found: Obj = {}
    for item in value if isinstance(value, list) else ():
        found.setdefault(element_of(item, schema), item)
    return found


def merge(live: Any, config: Any, schema: Schema) -> Any:
    """The live value with everything that the config says."""
    form = _form(schema, config)
    if form == _LEAF or live is None or config is None or (_blank(live) and _blank(config)):
        return config
    if form == _MAP:
        if not isinstance(live, dict) or not isinstance(config, dict):
            return config
        result = dict(live)
        for key, item in config.items():
            result[key] = merge(live[key], item, _below(schema, key)) if key in live else item
        return result
    if not isinstance(live, list) or not isinstance(config, list):
        return config
    return _merge_items(live, config, schema)


def _merge_items(live: list[Any], config: list[Any], schema: Schema) -> list[Any]:
    """Items in the config's order, with what only the live list has kept in its place between them."""
    ours, theirs = _items(config, schema), _items(live, schema)
    left, right = [element_of(item, schema) for item in live], list(ours)
    shared = [element for element in right if element in theirs]
    result: list[Any] = []
    merged: set[str] = set()
    at, to = 0, 0

    def take(element: str) -> None:
        merged.add(element)
        item = ours[element]
        result.append(merge(theirs[element], item, schema.items) if element in theirs else item)
        if shared and shared[0] == element:
            shared.pop(0)

    while at < len(left) or to < len(right):
        if at < len(left) and to < len(right):
            if left[at] == right[to]:
                take(left[at])
                at += 1
                to += 1
                continue
            if left[at] in ours and shared and shared[0] != left[at]:
                at += 1
                continue
        if at < len(left):
            if left[at] not in ours:
                result.append(live[at])
                at += 1
                continue
            if left[at] in merged:
                at += 1
        if to < len(right):
            take(right[to])
            to += 1
    return result


def remove(value: Any, gone: Obj, schema: Schema) -> Any:
    """The value without the fields of a set; a list or map that loses all becomes None."""
    form = _form(schema, value)
    if form == _LEAF or not value:
        return value
    if form == _LIST and isinstance(value, list):
        items = []
        for item in value:
            element = element_of(item, schema)
            if not fieldset.has(gone, element):
                items.append(remove(item, gone[element], schema.items) if element in gone else item)
        return items or None
    if not isinstance(value, dict):
        return value
    result: Obj = {}
    for key, item in value.items():
        element = f"f:{key}"
        if not fieldset.has(gone, element):
            result[key] = remove(item, gone[element], _below(schema, key)) if element in gone else item
    return result or None


def with_named(tree: Obj, schema: Schema | None) -> Obj:
    """The set with every declared field that has members below it, which sets of leaves leave out."""
    result: Obj = {}
    for element, inner in tree.items():
        if element == SELF:
            result[SELF] = {}
            continue
        child: Schema | None = None
        declared = False
        if schema is not None:
            if element[:2] == "f:":
                declared = schema.code == STRUCT and element[2:] in schema.fields
                child = _below(schema, element[2:])
            elif schema.code == LIST:
                child = schema.items
        below = with_named(inner, child)
        result[element] = {SELF: {}, **below} if declared else below
    return result


_EXPECTED = {STRING: "string", INTEGER: "numeric (int or float)", NUMBER: "numeric (int or float)", BOOLEAN: "boolean"}
_SCALARS: dict[int, tuple[type, ...]] = {STRING: (str,), INTEGER: (int, float), NUMBER: (int, float), BOOLEAN: (bool,)}


def check(value: Any, schema: Schema, path: str = "") -> list[str]:
    """What keeps a config from being applied: fields that are not declared, wrong types, duplicate items."""
    if value is None:
        return []
    code = schema.code
    if code in _SCALARS:
        if type(value) not in _SCALARS[code]:
            return [f"{path}: expected {_EXPECTED[code]}, got {_got(value, code)}"]
        return []
    if code == LIST:
        return _check_list(value, schema, path)
    if code in (STRUCT, MAP):
        if not isinstance(value, dict):
            return [f"{path}: expected map, got {_got(value, code)}"]
        found: list[str] = []
        for key, item in value.items():
            child = schema.fields.get(key) if code == STRUCT else None
            if child is None and schema.values is None and not schema.preserve and schema.fields:
                found.append(f"{path}.{key}: field not declared in schema")
            else:
                found += check(item, child or schema.values or _DEDUCED, f"{path}.{key}")
        return found
    return []


def _check_list(value: Any, schema: Schema, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: expected list, got {_got(value, LIST)}"]
    keyed = schema.list_type in ("set", "map")
    found: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        if keyed:
            try:
                element = element_of(item, schema)
            except Untyped as error:
                found.append(f"{path}: element {index}: {error}")
                continue
            where = f"{path}{fieldset.element_text(element)}"
            if element in seen:
                found.append(f"{path}: duplicate entries for key {fieldset.element_text(element)}")
            seen.add(element)
        found += check(item, schema.items, where)
    return found


def _got(value: Any, code: int) -> str:
    if code in (INTEGER, NUMBER, BOOLEAN) and isinstance(value, str):
        return "string"
    return f"&{{{go_value(value)}}}"
