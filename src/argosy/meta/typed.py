"""Values seen through their schema as server-side apply sees them: which fields, what differs, what merges.

Lists of type `map` and `set` go by item, structs and granular maps by field, everything else is one leaf. `apply` and
`track_update` are made of these five walks. Values are never changed; results share what is unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from argosy.meta import fieldset, pack
from argosy.meta.causes import go_value
from argosy.meta.decode import blank
from argosy.meta.fieldset import LEAF, SELF
from argosy.meta.json import Obj, encode
from argosy.meta.schema import ANY, BOOLEAN, INTEGER, LIST, MAP, NUMBER, STRING, STRUCT, Schema

_ABSENT: Final = object()
_NESTED = (dict, list)
_LEAF, _MAP, _LIST, _AS_IT_COMES = 0, 1, 2, 3
"""How a schema takes values: as one leaf, field by field, item by item, or as each value is."""
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
        found = _roots[id(schema)] = (schema, _Custom(schema.raw).whole())
    return found[1]


class _Custom(Schema):
    """A schema of a CRD in which whole objects, those within others too, have the metadata of built-in ones."""

    __slots__ = ()

    def child(self, raw: Obj) -> Schema:
        """A schema nested in this one."""
        inner = _Custom(raw)
        return inner.whole() if raw.get("x-kubernetes-embedded-resource") else inner

    def whole(self) -> Schema:
        """The same schema, of objects with a kind and metadata."""
        text, meta = Schema({"type": "string"}), pack.definition(pack.OBJECT_META)
        self.fields = {**self.fields, "apiVersion": text, "kind": text, "metadata": meta}
        return self


def _form(schema: Schema, value: Any) -> int:
    form: int | None = schema.form
    if form is None:
        form = schema.form = _form_of(schema)
    if form == _AS_IT_COMES:
        return _MAP if isinstance(value, dict) else _LEAF
    return form


def _form_of(schema: Schema) -> int:
    code = schema.code
    if code == LIST:
        return _LEAF if schema.list_type in ("", "atomic") else _LIST
    if code == STRUCT:
        if schema.map_type == "atomic" or not (schema.structural or schema.fields):
            return _LEAF
        return _MAP
    if code == MAP:
        return _LEAF if schema.map_type == "atomic" else _MAP
    return _AS_IT_COMES if code == ANY and schema.structural else _LEAF


def _below(schema: Schema, key: str) -> Schema:
    return _step(schema, key)[1]


def _step(schema: Schema, key: str) -> tuple[str, Schema]:
    """The path element of a field, and its schema; remembered for fields that are declared."""
    known = schema.steps.get(key)
    if known is not None:
        return known
    child = schema.fields.get(key) if schema.code == STRUCT else None
    if child is None:
        return f"f:{key}", schema.values or _DEDUCED
    made = schema.steps[key] = (f"f:{key}", child)
    return made


def element_of(item: Any, schema: Schema) -> str:
    """The path element of an item of a `map` or `set` list. Raises Untyped when it lacks a key."""
    if schema.list_type == "set":
        return f"v:{encode(item).decode()}"
    if item is None:
        raise Untyped("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise Untyped(f"associative list with keys may not have non-map elements, got {item!r}")
    keys = {}
    for key in sorted(schema.map_keys):
        if key in item:
            keys[key] = item[key]
        elif (value := _key_default(schema, key)) is not None:
            keys[key] = value
    if not keys:
        listed = " ".join(f'"{key}"' for key in schema.map_keys)
        raise Untyped(
            f"associative list with keys has an element that omits all key fields [{listed}] (and doesn't have default"
            " values for any key fields)"
        )
    return f"k:{encode(keys).decode()}"


def _key_default(schema: Schema, key: str) -> Any:
    """What a key is that an item leaves out; None where such an item is another one than any that has it."""
    declared = schema.items.fields.get(key)
    if declared is None or declared.default is not None:
        return declared and declared.default
    if schema.structural:
        return None
    # Objects of built-in kinds come as their types write them: with what they write even where it is nothing.
    if key == "name" and schema.items.name.endswith(".LocalObjectReference"):
        return ""
    return _KEY_DEFAULTS.get(key) or (blank(declared) if declared.zero == "fill" else None)


def fields_of(value: Any, schema: Schema) -> Obj:
    """The set of the fields that a whole object sets."""
    return _fields_below(value, schema) if _form(schema, value) != _LEAF else {}


def _fields_below(value: Any, schema: Schema) -> Obj:
    """The nodes below a value that is no leaf."""
    tree: Obj = {}
    if _form(schema, value) == _LIST:
        items = schema.items
        for item in value if isinstance(value, list) else ():
            element = element_of(item, schema)
            if element in tree:
                tree[element] = LEAF  # of items that say the same, nobody knows which is meant
                continue
            inner = {} if _form(items, item) == _LEAF else _fields_below(item, items)
            tree[element] = fieldset.as_member(inner)
        return tree
    if not isinstance(value, dict):
        return tree
    declared = schema.fields if schema.code == STRUCT else {}
    for key, item in value.items():
        child = _below(schema, key)
        if _form(child, item) == _LEAF or item is None or item == {}:
            tree[f"f:{key}"] = LEAF
            continue
        inner = _fields_below(item, child)
        if key not in declared:
            tree[f"f:{key}"] = fieldset.as_member(inner)
        elif inner:
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
    """What was added, modified and removed on the way from one whole object to another."""
    result = Comparison()
    _compare(old, new, schema, result)
    return result


def _all_below(value: Any, schema: Schema) -> Obj:
    """The node of a value that is there on one side only: itself and everything below."""
    form = _form(schema, value)
    if form == _LEAF or not value:
        return LEAF
    tree: Obj = {SELF: LEAF}
    if form == _LIST:
        if not isinstance(value, list):
            return LEAF
        items = schema.items
        for item in value:
            element = element_of(item, schema)
            tree[element] = LEAF if element in tree else _all_below(item, items)
        return tree
    if not isinstance(value, dict):
        return LEAF
    known = schema.steps
    for key, item in value.items():
        element, child = known.get(key) or _step(schema, key)
        tree[element] = LEAF if child.form == _LEAF else _all_below(item, child)
    return tree


def _compare(old: Any, new: Any, schema: Schema, out: Comparison) -> None:
    """Compare what is below two values of one form that are not leaves."""
    if schema.code == LIST:
        _compare_items(_with_repeats(old, schema), _with_repeats(new, schema), schema.items, out)
        return
    left, right = _mapping(old), _mapping(new)
    known = schema.steps
    for key, after in right.items():
        before = left.get(key, _ABSENT)
        if before is after:
            continue
        element, child = known.get(key) or _step(schema, key)
        if before is _ABSENT:
            out.added[element] = _all_below(after, child)
        elif before != after or type(before) is not type(after):
            _differing(element, before, after, child, out)
    for key, before in left.items():
        if key not in right:
            element, child = _step(schema, key)
            out.removed[element] = _all_below(before, child)


def _compare_items(left: Obj, right: Obj, items: Schema, out: Comparison) -> None:
    for element, after in right.items():
        before = left.get(element, _ABSENT)
        if isinstance(before, _Repeated) and isinstance(after, _Repeated):
            if before != after:
                out.modified[element] = LEAF
        elif isinstance(after, _Repeated):
            if before is not _ABSENT:
                out.removed[element] = _all_below(before, items)
            out.added[element] = LEAF
        elif before is _ABSENT or isinstance(before, _Repeated):
            out.added[element] = _all_below(after, items)
            if before is not _ABSENT:
                out.removed[element] = LEAF
        elif before != after or type(before) is not type(after):
            _differing(element, before, after, items, out)
    for element, before in left.items():
        if element not in right:
            out.removed[element] = LEAF if isinstance(before, _Repeated) else _all_below(before, items)


def _differing(element: str, before: Any, after: Any, child: Schema, out: Comparison) -> None:
    form = _form(child, after)
    other = _form(child, before)
    if _LEAF in (form, other) or (_blank(before) and _blank(after)):
        out.modified[element] = LEAF
        return
    inner = Comparison()
    if form == other:
        _compare(before, after, child, inner)
    else:
        inner.removed, inner.added = _all_below(before, child), _all_below(after, child)
    for mine, theirs in ((out.added, inner.added), (out.modified, inner.modified), (out.removed, inner.removed)):
        if theirs:
            mine[element] = theirs


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, _NESTED) and not value)


def _mapping(value: Any) -> Obj:
    return value if isinstance(value, dict) else {}


def _items(value: Any, schema: Schema) -> Obj:
    """Items by path element; of duplicates, the first."""
    found: Obj = {}
    for item in value if isinstance(value, list) else ():
        found.setdefault(element_of(item, schema), item)
    return found


class _Repeated(list[Any]):
    """Items of a list that are one and the same by their keys."""


def _with_repeats(value: Any, schema: Schema) -> Obj:
    """Items by path element, those that occur more than once together."""
    found: Obj = {}
    for item in value if isinstance(value, list) else ():
        element = element_of(item, schema)
        if element not in found:
            found[element] = item
        elif isinstance(found[element], _Repeated):
            found[element].append(item)
        else:
            found[element] = _Repeated([found[element], item])
    return found


def merge(live: Any, config: Any, schema: Schema) -> Any:
    """The live value with everything that the config says."""
    form = _form(schema, live if config is None else config)
    if form == _LEAF or live is None or (_blank(live) and _blank(config)):
        return config
    if config is None:
        return live  # a null says nothing of what is below
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
    """The value without the fields of a set; a list or map of which every item itself is in the set becomes None."""
    form = _form(schema, value)
    if form == _LEAF or not value:
        return value
    entered = False
    if form == _LIST and isinstance(value, list):
        items = []
        for item in value:
            element = element_of(item, schema)
            if not fieldset.has(gone, element):
                entered = entered or element in gone
                items.append(_remove_below(item, gone.get(element), schema.items))
        return items if items or entered else None
    if not isinstance(value, dict):
        return value
    result: Obj = {}
    for key, item in value.items():
        element = f"f:{key}"
        if not fieldset.has(gone, element):
            entered = entered or element in gone
            result[key] = _remove_below(item, gone.get(element), _below(schema, key))
    return result if result or entered else None


def _remove_below(value: Any, gone: Obj | None, schema: Schema) -> Any:
    """`remove` for what stays itself: it may become empty, not nothing."""
    if gone is None:
        return value
    rest = remove(value, gone, schema)
    return type(value)() if rest is None and isinstance(value, dict | list) else rest


def with_named(tree: Obj, schema: Schema | None) -> Obj:
    """The set with every declared field that has members below it, which sets of leaves leave out."""
    result: Obj = {}
    for element, inner in tree.items():
        if not inner:
            result[element] = inner
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
        result[element] = fieldset.as_member(below) if declared else below
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
