"""Whether an object keeps the rules of its schema (`x-kubernetes-validations`).

The API server asks `broken` of every custom object that its schema has nothing else against. The rules of a schema are
compiled when the first object is held against them, and stay with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.cel import types
from argosy.meta.cel.check import compiled
from argosy.meta.cel.definitions import KEYWORD, variables
from argosy.meta.cel.evaluate import program
from argosy.meta.cel.native import native
from argosy.meta.cel.types import Type
from argosy.meta.cel.values import NOTHING, EvalError, Optional, TooCostly
from argosy.meta.json import Obj
from argosy.meta.schema import LIST, Schema


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule, ready to run."""

    text: str
    evaluate: Callable[[Mapping[str, Any]], Any]
    transition: bool
    optional_old: bool
    reason: str
    message: str
    compose: Callable[[Mapping[str, Any]], Any] | None
    field_path: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What a schema says in rules: at the node itself, and whether there is more below."""

    own: tuple[_Rule, ...]
    anywhere: bool
    transitions: bool
    """Whether any rule, here or below, looks at what was before."""


def _of(schema: Schema, root: bool = False) -> Rules:
    if schema.rules is None:
        schema.rules = _compiled(schema, root)
    found: Rules = schema.rules
    return found


def _compiled(schema: Schema, root: bool) -> Rules:
    raw = schema.raw.get(KEYWORD)
    type = types.of_schema(schema.raw, resource=root) if raw else None
    own = tuple(_prepared(rule, type) for rule in raw or ()) if type is not None else ()
    below = [*schema.fields.values(), *([schema.values] if schema.values is not None and schema.values.raw else [])]
    if schema.code == LIST:
        below.append(schema.items)
    inner = [_of(each) for each in below]
    return Rules(
        own,
        anywhere=bool(own) or any(each.anywhere for each in inner),
        transitions=any(rule.transition for rule in own) or any(each.transitions for each in inner),
    )


def _prepared(rule: Obj, type: Type) -> _Rule:
    checked = compiled(rule["rule"], variables(type, rule))
    expression = rule.get("messageExpression")
    return _Rule(
        text=rule["rule"].strip(),
        evaluate=program(checked),
        transition="oldSelf" in checked.names,
        optional_old=bool(rule.get("optionalOldSelf")),
        reason=rule.get("reason") or "FieldValueInvalid",
        message=(rule.get("message") or "").strip(),
        compose=program(compiled(expression, variables(type, rule))) if expression else None,
        field_path=rule.get("fieldPath") or "",
    )


_ABSENT: Any = object()
_WHOLE = "<nil>"
"""How the whole object is named where a cause needs a field."""


def broken(obj: Obj, schema: Schema, old: Obj | None) -> list[Cause]:
    """The rules that an object breaks. `old` is what it was before, None for a new one."""
    return list(_walk(obj, schema, "", _ABSENT if old is None else old, root=True))


def _walk(value: Any, schema: Schema, path: str, old: Any, *, root: bool = False) -> Iterator[Cause]:
    """In the order of the schema; what has not changed is not held against its rules again."""
    rules = _of(schema, root)
    same = old is not _ABSENT and old == value
    if value is None or not rules.anywhere or (same and not rules.transitions):
        return
    own = [rule for rule in rules.own if rule.transition or not same]
    if own:
        yield from _held(value, schema, path, old, own)
    if isinstance(value, dict):
        for key, item in value.items():
            inner = schema.fields.get(key) or schema.values
            if inner is not None:
                before = old.get(key, _ABSENT) if isinstance(old, dict) else _ABSENT
                place = f"{path}.{key}" if path else key
                yield from _walk(item, inner, place if key in schema.fields else f"{path}[{key}]", before)
    elif isinstance(value, list) and schema.code == LIST:
        for index, item in enumerate(value):
            yield from _walk(item, schema.items, f"{path}[{index}]", _counterpart(item, schema, old))


def _counterpart(item: Any, schema: Schema, old: Any) -> Any:
    """What an item of a list was before: only lists of type map can tell."""
    if not isinstance(old, list) or schema.list_type != "map" or not isinstance(item, dict):
        return _ABSENT
    wanted = [item.get(key) for key in schema.map_keys]
    same = (each for each in old if isinstance(each, dict) and [each.get(key) for key in schema.map_keys] == wanted)
    return next(same, _ABSENT)


def _held(value: Any, schema: Schema, path: str, old: Any, rules: list[_Rule]) -> Iterator[Cause]:
    now = native(value, schema.raw)
    before = NOTHING if old is _ABSENT or old is None else Optional(True, native(old, schema.raw))
    for rule in rules:
        if rule.transition and not before.present and not rule.optional_old:
            continue
        given = {"self": now, "oldSelf": before if rule.optional_old else before.value}
        cause = _verdict(rule, given, value, path)
        if cause is not None:
            yield cause


def _verdict(rule: _Rule, given: Mapping[str, Any], value: Any, path: str) -> Cause | None:
    try:
        if rule.evaluate(given) is True:
            return None
    except EvalError as error:
        return causes.invalid(path or _WHOLE, _subject(value), f"{error} evaluating rule: {rule.text}")
    except TooCostly as error:
        return causes.invalid(path or _WHOLE, _subject(value), f"{error} evaluating rule: {rule.text}")
    place = path
    if rule.field_path:
        inner = rule.field_path
        place = f"{path}{inner}" if path else inner.removeprefix(".")
    return _worded(rule.reason, place or _WHOLE, value, _told(rule, given))


def _subject(value: Any) -> Any:
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else value


def _told(rule: _Rule, given: Mapping[str, Any]) -> str:
    if rule.compose is not None:
        try:
            said = rule.compose(given)
        except (EvalError, TooCostly):
            said = ""
        if isinstance(said, str) and said.strip() and "\n" not in said.strip():
            return said.strip()
    return rule.message or f"failed rule: {rule.text}"


def _worded(reason: str, path: str, value: Any, detail: str) -> Cause:
    if reason == "FieldValueForbidden":
        return causes.forbidden(path, detail)
    if reason == "FieldValueRequired":
        return causes.required(path, detail)
    plain = not isinstance(value, dict | list)
    if reason == "FieldValueDuplicate":
        return causes.duplicate(path, value) if plain else Cause(reason, "Duplicate value", path)
    return causes.invalid(path, value, detail) if plain else Cause(reason, f"Invalid value: {detail}", path)
