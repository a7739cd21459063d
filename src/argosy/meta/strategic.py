"""Strategic merge patch: a merge patch that knows from the schema which lists are maps by a key, and its directives.

kubectl's client-side apply, `set image`, `rollout restart` and many clients send these. Built-in kinds only: custom ones
have no merge keys and take other patches. Nothing given is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from argosy.meta.causes import go_value
from argosy.meta.decode import unfit
from argosy.meta.json import Obj, encode, thaw
from argosy.meta.schema import (
    BOOLEAN,
    BYTES,
    INT_OR_STRING,
    INTEGER,
    LIST,
    MAP,
    NUMBER,
    QUANTITY,
    STRING,
    STRUCT,
    TIME,
    Schema,
)  # fmt: skip

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


class StrategicError(ValueError):
    """The patch cannot be carried out; kube-apiserver answers 500 with these words."""


def merge(original: Obj, patch: Obj, schema: Schema) -> Obj:
    """The object after the patch. Raises StrategicError."""
    return _map(thaw(original), thaw(patch), schema)


def _map(original: Obj, patch: Obj, schema: Schema | None) -> Obj:
    directive = patch.get(_DIRECTIVE)
    if directive is not None:
        patch.pop(_DIRECTIVE)
        if directive == "replace":
            return patch
        if directive == "delete":
            return {}
        if directive != "merge":
            raise _unknown_directive({_DIRECTIVE: directive, **patch})
    _retain_keys(original, patch)
    _ordered_lists(original, patch, schema)
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            name = key.removeprefix(_DELETE_FROM)
            kept = original.get(name)
            if isinstance(kept, list) and isinstance(value, list):
                gone = _places(value)
                original[name] = [item for item in kept if _mark(item) not in gone]
        elif value is None:
            original.pop(key, None)
        elif key not in original or type(original[key]) is not type(value):
            original[key] = _without_directives(value)
        elif isinstance(value, dict):
            original[key] = _nested_map(original[key], value, _field(schema, key))
        elif isinstance(value, list):
            original[key] = _nested_list(original[key], value, _field(schema, key))
        else:
            original[key] = value
    return original


def _nested_map(original: Obj, patch: Obj, schema: Schema | None) -> Obj:
    if schema is not None and "replace" in schema.merge_strategy:
        return patch
    return _map(original, patch, schema)


def _nested_list(original: list[Any], patch: list[Any], schema: Schema | None) -> list[Any]:
    if schema is None or "merge" not in schema.merge_strategy:
        return [_without_directives(item) for item in patch]
    return _list(original, patch, schema)


def _field(schema: Schema | None, key: str) -> Schema | None:
    if schema is None:
        return None
    if schema.code == STRUCT:
        field = schema.fields.get(key)
        if field is None and schema.name:
            struct = schema.name.rsplit(".", 1)[-1]
            raise StrategicError(f'unable to find api field in struct {struct} for the json field "{key}"')
        return field
    return schema.values if schema.code == MAP else None


def _retain_keys(original: Obj, patch: Obj) -> None:
    retained = patch.pop(_RETAIN, None)
    if retained is None:
        return
    if not isinstance(retained, list):
        raise StrategicError(f"invalid patch format of {_RETAIN}: expected list")
    stay = _places(retained)
    missing = [key for key, value in patch.items() if value is not None and key not in stay and key[:1] != "$"]
    if missing:
        raise StrategicError(
            f"{go_value(sorted(missing))} are not present in {_RETAIN} list of the patch: {go_value(retained)}"
        )
    for key in [key for key in original if key not in stay]:
        del original[key]


def _without_directives(value: Any) -> Any:
    """What a patch adds to where nothing was: its values without directives and nulls."""
    if isinstance(value, dict):
        return {
            key: _without_directives(item)
            for key, item in value.items()
            if item is not None and not (key in (_DIRECTIVE, _RETAIN) or key.startswith((_DELETE_FROM, _ORDER)))
        }
    if isinstance(value, list):
        return [
            _without_directives(item)
            for item in value
            if not (isinstance(item, dict) and item.get(_DIRECTIVE) in ("delete", "replace") and len(item) <= 2)
        ]
    return value


def _ordered_lists(original: Obj, patch: Obj, schema: Schema | None) -> None:
    """Carry out `$setElementOrder/…`, together with the list that it orders."""
    for directive in [key for key in patch if key.startswith(_ORDER)]:
        order = patch.pop(directive)
        name = directive.removeprefix(_ORDER)
        before, change = original.get(name), patch.get(name)
        if not isinstance(before, list) and not isinstance(change, list):
            continue
        field = _field(schema, name)
        key = field.merge_key if field is not None else ""
        identify = _identity(key)
        if isinstance(change, list):
            _check_order(change, order, identify, directive)
        if not isinstance(before, list):
            merged = _without_directives(change)
        elif not isinstance(change, list):
            merged = before
        else:
            merged = _nested_list(before, change, field)
        patch.pop(name, None)
        original[name] = _arrange(merged, order, before if isinstance(before, list) else [], identify)


def _check_order(change: list[Any], order: list[Any], identify: Callable[[Any], Any], directive: str) -> None:
    """The items of the patch must stand in the order that the patch asks for."""
    wanted = [identify(item) for item in order]
    at = 0
    for item in change:
        if isinstance(item, dict) and item.get(_DIRECTIVE) in ("delete", "replace"):
            continue
        identity = identify(item)
        while at < len(wanted) and wanted[at] != identity:
            at += 1
        if at == len(wanted):
            raise StrategicError(
                f"The order in patch list:\n{go_value(change)}\n doesn't match {directive.split('/', maxsplit=1)[0]} list:\n"
                f"{go_value(order)}\n"
            )


def _identity(merge_key: str) -> Callable[[Any], Any]:
    if not merge_key:
        return lambda item: item

    def identify(item: Any) -> Any:
        if not isinstance(item, dict) or merge_key not in item:
            raise StrategicError(f"map: {go_value(item)} does not contain declared merge key: {merge_key}")
        return item[merge_key]

    return identify


def _list(original: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    if not any(isinstance(item, dict) for item in [*original, *patch]):
        there = _places(original)
        merged = [*original, *(item for item in patch if _mark(item) not in there)]
        return _arrange(_unique(merged), patch, original, lambda item: item)
    if not schema.merge_key:
        raise StrategicError(f"cannot merge lists without merge key for {schema!r}")
    identify = _identity(schema.merge_key)
    kept, changes, replaced = _specials(original, patch, identify)
    if replaced:
        return [_without_directives(item) for item in changes]
    merged = list(kept)
    places = {_mark(identify(item)): index for index, item in enumerate(merged)}
    for item in changes:
        identity = _mark(identify(item))
        if identity in places:
            merged[places[identity]] = _map(merged[places[identity]], item, schema.items)
        else:
            places[identity] = len(merged)
            merged.append(_without_directives(item))
    return _arrange(merged, changes, original, identify)


def _mark(identity: Any) -> Any:
    """What tells an identity in a set: lists of tens of thousands are looked through once, not once for each item."""
    return encode(identity) if isinstance(identity, dict | list) else identity


def _places(identities: Iterable[Any]) -> dict[Any, int]:
    """Where each identity stands first."""
    places: dict[Any, int] = {}
    for index, identity in enumerate(identities):
        places.setdefault(_mark(identity), index)
    return places


def _unique(items: list[Any]) -> list[Any]:
    first: dict[Any, Any] = {}
    for item in items:
        first.setdefault(_mark(item), item)
    return list(first.values())


def _specials(
    original: list[Any], patch: list[Any], identify: Callable[[Any], Any]
) -> tuple[list[Any], list[Any], bool]:
    """Carry out `$patch` in items; returns what is left of the original, the plain items, and whether all is replaced."""
    gone: set[Any] = set()
    changes, replaced = [], False
    for item in patch:
        if not isinstance(item, dict):
            raise StrategicError("expected all elements of a list to be of the same type")
        directive = item.get(_DIRECTIVE)
        if directive is None:
            changes.append(item)
        elif directive == "delete":
            gone.add(_mark(identify(item)))
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise StrategicError("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(item)
    kept = [each for each in original if _mark(identify(each)) not in gone] if gone else list(original)
    return kept, changes, replaced


def _arrange(
    merged: list[Any], order: Sequence[Any], before: Sequence[Any], identify: Callable[[Any], Any]
) -> list[Any]:
    """The merged list in the patch's order; what only the server had keeps its place relative to what both had."""
    wanted = _places(map(identify, order))
    former = _places(map(identify, before))
    last = len(before)

    def mark(item: Any) -> Any:
        return _mark(identify(item))

    ours = sorted((item for item in merged if mark(item) in wanted), key=lambda item: wanted[mark(item)])
    theirs = [item for item in merged if mark(item) not in wanted]
    theirs.sort(key=lambda item: former.get(mark(item), last))
    result: list[Any] = []
    left, right = 0, 0
    while left < len(theirs) and right < len(ours):
        a, b = mark(theirs[left]), mark(ours[right])
        if a in former and b in former and former[a] < former[b]:
            result.append(theirs[left])
            left += 1
        else:
            result.append(ours[right])
            right += 1
    return result + theirs[left:] + ours[right:]


def _unknown_directive(item: Obj) -> StrategicError:
    return StrategicError(f"unknown patch type: {item[_DIRECTIVE]} in map: {go_value(item)}")


_GO_KINDS = {dict: "map", list: "slice", str: "string", int: "int64", float: "float64", bool: "bool"}


def restore_error(value: Any, schema: Schema) -> str:
    """What keeps a patched value from being of its type, in the words of Kubernetes' converter; empty when nothing."""
    if value is None:
        return ""
    code, cls = schema.code, type(value)
    kind = _GO_KINDS.get(cls, "string")
    if code == STRUCT:
        if cls is not dict:
            return f"cannot restore struct from: {kind}"
        pairs = ((item, schema.fields[key]) for key, item in value.items() if key in schema.fields)
        return next((error for item, field in pairs if (error := restore_error(item, field))), "")
    if code in (MAP, LIST):
        if cls is not (dict if code == MAP else list):
            return f"cannot restore {'map' if code == MAP else 'slice'} from {kind}"
        inner = schema.values if code == MAP else schema.items
        items = value.values() if code == MAP else value
        return next((error for item in items if inner is not None and (error := restore_error(item, inner))), "")
    return _restore_scalar(value, schema)


def _restore_scalar(value: Any, schema: Schema) -> str:
    wanted: dict[int, tuple[tuple[type, ...], str]] = {
        STRING: ((str,), "string"),
        BYTES: ((str,), "slice"),
        TIME: ((str,), "struct"),
        BOOLEAN: ((bool,), "bool"),
        INTEGER: ((int,), schema.format or "int64"),
        NUMBER: ((int, float), "float64"),
        INT_OR_STRING: ((int, str), "struct"),
        QUANTITY: ((int, float, str), "struct"),
    }
    types, name = wanted.get(schema.code, ((type(value),), ""))
    if type(value) not in types:
        return f"unrecognized type: {name}"
    fault = unfit(value, schema) if schema.code in (BYTES, TIME, QUANTITY) else ""
    return f"error decoding from json: {fault}" if fault and schema.code == BYTES else fault
