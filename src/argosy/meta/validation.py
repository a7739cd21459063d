"""Validation of values by schema, with the words of the validator in kube-apiserver.

Custom objects go through `validate` after `structural.prepare`; for built-in ones it reports values of a wrong type. The
checks of a schema are compiled once, into a tuple of functions that stays with the schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from argosy.errors import Cause
from argosy.meta import causes, formats, re2
from argosy.meta.json import Obj
from argosy.meta.schema import INT_OR_STRING, LIST, MAP, STRUCT, Schema

Check: TypeAlias = Callable[[Any, str, list[Cause]], None]
"""(value, path, causes found so far)."""

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_NO_NAME = "<nil>"
_IMPLIED = ("apiVersion", "kind", "metadata")


def validate(obj: Any, schema: Schema, path: str = "") -> list[Cause]:
    """Everything that is wrong with a value, in the order of the schema."""
    found: list[Cause] = []
    _visit(obj, schema, path, found)
    return found


_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete"
    " validation"
)
_BLOCKING = (
    "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid",
)  # fmt: skip


def validate_object(obj: Obj, schema: Schema, old: Obj | None = None) -> list[Cause]:
    """Everything that is wrong with a whole custom object: by its schema and, where that finds nothing that stands in
    their way, by the schema's rules. `old` is what the object was before.
    """
    found = validate(obj, schema)
    if not has_rules(schema.raw):
        return found
    if any(cause.reason in _BLOCKING for cause in found):
        return [*found, causes.invalid(_NO_NAME, None, _UNCHECKED)]
    from argosy.meta.cel.rules import broken  # noqa: PLC0415 (many clusters never see a rule)

    return [*found, *broken(obj, schema, old)]


def type_name(value: Any) -> str:
    """The JSON type as the validator names it."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if -(2**63) <= value < 2**63 else "number"
    names = {dict: "object", list: "array", str: "string", float: "number"}
    return names.get(type(value), "null")


def _visit(value: Any, schema: Schema, path: str, found: list[Cause]) -> None:
    if value is None and schema.nullable:
        return
    checks: tuple[Check, ...] | None = schema.checks
    if checks is None:
        checks = schema.checks = _compile(schema)
    for check in checks:
        check(value, path, found)


def _compile(schema: Schema) -> tuple[Check, ...]:
    raw = schema.raw
    checks: list[Check] = []
    if schema.code == INT_OR_STRING:
        checks.append(_int_or_string)
    elif raw.get("type") in _PYTHON_TYPES:
        checks.append(_typed(raw["type"]))
    checks += _composites(schema)
    checks += [make(raw) for keywords, make in _KEYWORDS if any(raw.get(word) is not None for word in keywords)]
    if schema.code == LIST:
        checks.append(_items(schema))
    elif schema.code in (STRUCT, MAP) or raw.get("properties") or raw.get("required"):
        checks.append(_fields(schema))
    return tuple(checks)


def _typed(kind: str) -> Check:
    types = _PYTHON_TYPES[kind]

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if type(value) in types and (kind != "integer" or -(2**63) <= value < 2**63):
            return
        name = type_name(value)
        found.append(causes.wrong_type(path, name, f'{path} in body must be of type {kind}: "{name}"'))
        if kind == "integer" and name == "number":
            message = f"Checked value must be of type integer (default format) in {path}"
            found.append(causes.invalid(_NO_NAME, "", message))

    return check


def _int_or_string(value: Any, path: str, found: list[Cause]) -> None:
    if type(value) not in (int, str):
        name = type_name(value)
        found.append(causes.wrong_type(path, name, f'{path} in body must be of type integer,string: "{name}"'))


def _composites(schema: Schema) -> list[Check]:
    raw = schema.raw
    checks: list[Check] = []
    for keyword, check in (("anyOf", _any_of), ("oneOf", _one_of), ("allOf", _all_of)):
        alternatives = raw.get(keyword)
        if isinstance(alternatives, list) and alternatives:
            checks.append(check([schema.child(each) for each in alternatives]))
    if isinstance(raw.get("not"), dict):
        checks.append(_negated(schema.child(raw["not"])))
    return checks


def _best(attempts: list[list[Cause]]) -> list[Cause]:
    return min(attempts, key=len, default=[])


def _any_of(alternatives: list[Schema]) -> Check:
    def check(value: Any, path: str, found: list[Cause]) -> None:
        attempts = []
        for alternative in alternatives:
            problems = validate(value, alternative, path)
            if not problems:
                return
            attempts.append(problems)
        found.append(causes.invalid(_NO_NAME, "", f'"{path}" must validate at least one schema (anyOf)'))
        found.extend(attempts[0])

    return check


def _one_of(alternatives: list[Schema]) -> Check:
    def check(value: Any, path: str, found: list[Cause]) -> None:
        attempts = [validate(value, alternative, path) for alternative in alternatives]
        valid = sum(not problems for problems in attempts)
        if valid == 1:
            return
        tail = f"Found {valid} valid alternatives" if valid else "Found none valid"
        message = f'"{path}" must validate one and only one schema (oneOf). {tail}'
        found.append(causes.invalid(_NO_NAME, "", message))
        if not valid:
            found.extend(attempts[0])

    return check


def _all_of(parts: list[Schema]) -> Check:
    def check(value: Any, path: str, found: list[Cause]) -> None:
        attempts = [validate(value, part, path) for part in parts]
        valid = sum(not problems for problems in attempts)
        for problems in attempts:
            found.extend(problems)
        if valid != len(parts):
            tail = "" if valid else ". None validated"
            found.append(causes.invalid(_NO_NAME, "", f'"{path}" must validate all the schemas (allOf){tail}'))

    return check


def _negated(schema: Schema) -> Check:
    def check(value: Any, path: str, found: list[Cause]) -> None:
        if not validate(value, schema, path):
            found.append(causes.invalid(_NO_NAME, "", f'"{path}" must not validate the schema (not)'))

    return check


def _enum(raw: Obj) -> Check:
    allowed = raw["enum"]

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if not any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in allowed):
            found.append(causes.unsupported(path, value, allowed))

    return check


def _text(raw: Obj) -> Check:
    longest, shortest, pattern = raw.get("maxLength"), raw.get("minLength"), raw.get("pattern")
    expression = _regex(pattern) if pattern else None

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if not isinstance(value, str):
            return
        if longest is not None and len(value) > longest:
            found.append(causes.too_long(path, longest))
        if shortest is not None and len(value) < shortest:
            found.append(causes.invalid(path, value, f"{path} in body should be at least {shortest} chars long"))
        if pattern and expression is not None and not re2.found(pattern, value):
            found.append(causes.invalid(path, value, f"{path} in body should match '{pattern}'"))

    return check


def _regex(pattern: str) -> re.Pattern[str] | None:
    """The expression; None for what cannot be said in Python, which then is not checked."""
    try:
        return re2.compiled(pattern)
    except re2.Unsupported:
        return None


def _format(raw: Obj) -> Check:
    name = raw["format"]

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if isinstance(value, str):
            if not formats.fits(name, value):
                message = f"{path} in body must be of type {name}: {json.dumps(value)}"
                found.append(causes.wrong_type(path, value, message))
        elif name in ("int32", "int64") and type(value) is int:
            limit = 2**31 if name == "int32" else 2**63
            if not -limit <= value < limit:
                message = f"Checked value must be of type integer with format {name} in {path}"
                found.append(causes.invalid(_NO_NAME, "", message))

    return check


def _number(raw: Obj) -> Check:
    low, high, step = raw.get("minimum"), raw.get("maximum"), raw.get("multipleOf")
    above, below = raw.get("exclusiveMinimum"), raw.get("exclusiveMaximum")

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        if step is not None and value % step:
            found.append(causes.invalid(path, value, f"{path} in body should be a multiple of {causes.shown(step)}"))
        if high is not None and (value > high or (below and value == high)):
            bound = "less than" if below else "less than or equal to"
            found.append(causes.invalid(path, value, f"{path} in body should be {bound} {causes.shown(high)}"))
        if low is not None and (value < low or (above and value == low)):
            bound = "greater than" if above else "greater than or equal to"
            found.append(causes.invalid(path, value, f"{path} in body should be {bound} {causes.shown(low)}"))

    return check


def _counts(raw: Obj) -> Check:
    least, most = raw.get("minItems"), raw.get("maxItems")
    fewest, greatest = raw.get("minProperties"), raw.get("maxProperties")

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if isinstance(value, list):
            low, high, noun = least, most, "items"
        elif isinstance(value, dict):
            low, high, noun = fewest, greatest, "properties"
        else:
            return
        if low is not None and len(value) < low:
            found.append(causes.invalid(path, len(value), f"{path} in body should have at least {low} {noun}"))
        if high is not None and len(value) > high:
            found.append(causes.too_many(path, len(value), high))

    return check


_KEYWORDS: tuple[tuple[tuple[str, ...], Callable[[Obj], Check]], ...] = (
    (("maxLength", "minLength", "pattern"), _text),
    (("format",), _format),
    (("minimum", "maximum", "multipleOf"), _number),
    (("minItems", "maxItems", "minProperties", "maxProperties"), _counts),
    (("enum",), _enum),
)


def _items(schema: Schema) -> Check:
    items, list_type, keys = schema.items, schema.list_type, schema.map_keys

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if not isinstance(value, list):
            return
        if items.raw:
            for index, item in enumerate(value):
                _visit(item, items, f"{path}[{index}]", found)
        if list_type in ("set", "map"):
            _duplicates(value, path, found)

    def _duplicates(value: list[Any], path: str, found: list[Cause]) -> None:
        seen: set[str] = set()
        for index, item in enumerate(value):
            shown = item
            if list_type == "map":
                if not isinstance(item, dict):
                    continue
                shown = {key: item[key] for key in keys if key in item}
            identity = json.dumps(shown, sort_keys=True)
            if identity in seen:
                found.append(causes.duplicate(f"{path}[{index}]", shown))
            seen.add(identity)

    return check


def _fields(schema: Schema) -> Check:
    fields, required, values = schema.fields, schema.required, schema.values
    embedded = bool(schema.own.get("x-kubernetes-embedded-resource"))

    def check(value: Any, path: str, found: list[Cause]) -> None:
        if not isinstance(value, dict):
            return
        prefix = f"{path}." if path else ""
        found.extend(causes.required(f"{prefix}{key}") for key in required if key not in value)
        if embedded:
            found.extend(
                causes.required(f"{prefix}{key}", "must not be empty") for key in _IMPLIED[:2] if not value.get(key)
            )
        for key, item in value.items():
            child = fields.get(key)
            if child is None:
                if values is None or not values.raw or (not path and key in _IMPLIED):
                    continue
                child = values
            _visit(item, child, f"{prefix}{key}", found)

    return check


def has_rules(raw: Any) -> bool:
    """Whether a schema has CEL rules anywhere."""
    if isinstance(raw, dict):
        return "x-kubernetes-validations" in raw or any(has_rules(each) for each in raw.values())
    return isinstance(raw, list) and any(has_rules(each) for each in raw)
