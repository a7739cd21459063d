"""Rules of the schemas of CustomResourceDefinitions: that they are structural, and what else Kubernetes asks of them.

`crd` calls `check` for every schema. As in Kubernetes, two walks look at one: whether it has a structure at all
(`_structure`), and what single keywords may say (`_node`); rules and defaults are looked at where that holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from argosy.meta import causes, re2
from argosy.meta.json import Obj, thaw
from argosy.meta.rules.fields import Found, one_of, required
from argosy.meta.schema import structural
from argosy.meta.structural import prune
from argosy.meta.validation import has_rules, type_name, validate

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_JUNCTORS = ("anyOf", "allOf", "oneOf")
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_VALUE_FREE = {
    "type": "empty", "default": "undefined", "title": "empty", "description": "empty", "nullable": "false",
    "additionalProperties": "undefined", "x-kubernetes-preserve-unknown-fields": "false",
    "x-kubernetes-embedded-resource": "false", "x-kubernetes-int-or-string": "false",
    "x-kubernetes-list-map-keys": "empty", "x-kubernetes-list-type": "undefined", "x-kubernetes-map-type": "undefined",
    "x-kubernetes-validations": "empty",
}  # fmt: skip
"""What may not stand below allOf, anyOf, oneOf or not, and what it has to be to be structural."""
_NOT_AT_ROOT = (
    "enum", "maxProperties", "minProperties", "allOf", "oneOf", "anyOf", "not", "additionalProperties", "default",
    "nullable", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type", "x-kubernetes-map-type",
)  # fmt: skip
_AT_ROOT = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems"
    " MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations"
)
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_METADATA = ("name", "generateName")
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_KEEP, _EMBEDDED, _EITHER = (
    f"x-kubernetes-{name}" for name in ("preserve-unknown-fields", "embedded-resource", "int-or-string")
)
_LIST_TYPE, _KEYS, _MAP_TYPE = (f"x-kubernetes-{name}" for name in ("list-type", "list-map-keys", "map-type"))


def check(found: Found, path: str, raw: Obj, *, status: bool) -> None:
    """One whole schema; `status` says whether objects of it have their status apart."""
    if status:
        _root_with_status(found, path, raw)
    if raw.get("nullable"):
        found.append(causes.forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    wrong: Found = []
    _structure(wrong, path, raw, "at the root")
    sound = not wrong
    if sound:
        _defaults(wrong, path, raw)
        sound = not wrong
    found += wrong
    odd: Found = []
    _node(odd, path, raw, where=None, root=True)
    found += odd
    if sound and has_rules(raw):
        from argosy.meta.cel.definitions import complaints  # noqa: PLC0415 (many clusters never see a rule)

        found.extend(complaints(raw, path, [cause.field for cause in odd]))


def _root_with_status(found: Found, path: str, raw: Obj) -> None:
    kind = raw.get("type")
    if kind and kind != "object":
        message = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        found.append(causes.invalid(f"{path}.type", kind, message))
    elif any(raw.get(field) for field in _NOT_AT_ROOT):
        message = f"only [{_AT_ROOT}] fields are allowed at the root of the schema if the status subresource is enabled"
        found.append(causes.invalid(path, raw, message))


def field_at(raw: Obj, path: str, *, brackets: bool = False) -> tuple[Obj, str]:
    """The schema of a field and its path in one form; `['name']` only with `brackets`. Raises ValueError, with the
    reason.
    """
    steps: list[str] = []
    tokens = iter(re.findall(r"'(?:\\.|[^'])*'|[.\[\]]|[^.\[\]]+", path))
    for token in tokens:
        if token == "[" and not brackets:
            raise ValueError("array notation is not allowed")
        if token not in ("[", "."):
            raise ValueError(f"expected [ or . but got: {token}")
        name = next(tokens, None)
        if name is None:
            raise ValueError("unexpected end of JSON path")
        if token == "[":
            if len(name) < 2 or name[0] != "'" or name[-1] != "'":
                raise ValueError(f"expected single quoted string but got {name}")
            name = name[1:-1]
            if next(tokens, None) != "]":
                raise ValueError("expected ]")
        extra = raw.get("additionalProperties")
        if raw.get("properties"):
            if name not in raw["properties"]:
                raise ValueError("does not refer to a valid field")
            raw = raw["properties"][name]
        elif isinstance(extra, dict):
            raw = extra
        else:
            raise ValueError("does not refer to a valid field")
        steps.append(name)
    return raw, ".".join(steps)


def _structure(found: Found, path: str, raw: Obj, where: str) -> None:
    """Whether everything has a type, and values are described where their structure is."""
    kind, root, items = raw.get("type") or "", where == "at the root", raw.get("items")
    if kind == "array" and not isinstance(items, dict):
        found.append(causes.required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        _structure(found, f"{path}.items", items, "for specified array items")
    for name, inner in (raw.get("properties") or {}).items():
        _structure(found, f"{path}.properties[{name}]", inner, "for specified object fields")
    extra = raw.get("additionalProperties")
    if extra is not None and root:
        found.append(causes.forbidden(f"{path}.additionalProperties", "must not be used at the root"))
    if isinstance(extra, dict):
        _structure(found, f"{path}.additionalProperties", extra, "for specified object fields")
    for key in (_KEEP, _EMBEDDED):
        if raw.get(_EITHER) and raw.get(key):
            found.append(causes.invalid(f"{path}.{key}", True, f"must be false if {_EITHER} is true"))
    _junctors(found, path, raw, raw)
    pattern = raw.get("pattern")
    if pattern:
        _pattern(found, f"{path}.pattern", pattern)
    if raw.get(_EMBEDDED) and kind != "object":
        message = f"must be object if {_EMBEDDED} is true"
        found.append(
            causes.invalid(f"{path}.type", kind, message) if kind else causes.required(f"{path}.type", message)
        )
    elif not kind and not raw.get(_EITHER) and not raw.get(_KEEP):
        found.append(causes.required(f"{path}.type", f"must not be empty {where}"))
    if raw.get(_EMBEDDED) and extra is not None:
        message = f"must not be used if {_EMBEDDED} is set"
        found.append(causes.forbidden(f"{path}.additionalProperties", message))
    if root and kind and kind != "object":
        found.append(causes.invalid(f"{path}.type", kind, "must be object at the root"))
    _typed_meta(found, path, raw, root=root)
    if raw.get(_EMBEDDED) and not raw.get(_KEEP) and not raw.get("properties"):
        message = f"must not be empty if {_EMBEDDED} is true without {_KEEP}"
        found.append(causes.required(f"{path}.properties", message))
    _complete(found, path, raw)


def _typed_meta(found: Found, path: str, raw: Obj, *, root: bool) -> None:
    """Whole objects have a kind, a version and metadata, which say of themselves what they are."""
    properties = raw.get("properties") or {}
    if not root and not raw.get(_EMBEDDED):
        return
    for name in ("kind", "apiVersion"):
        kind = (properties.get(name) or {}).get("type") or ""
        if name in properties and kind != "string":
            found.append(causes.invalid(f"{path}.properties[{name}].type", kind, "must be string"))
    meta, place = properties.get("metadata"), f"{path}.properties[metadata]"
    if meta is None:
        return
    if meta.get("type") != "object":
        found.append(causes.invalid(f"{place}.type", meta.get("type") or "", "must be object"))
    rest = {key for key in meta if key not in ("type", "description", "properties", "default")}
    if root and (rest or any(name not in _METADATA for name in meta.get("properties") or ())):
        message = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        found.append(causes.forbidden(place, message))


def _pattern(found: Found, path: str, pattern: str) -> None:
    try:
        re2.compiled(pattern)
    except re2.Unsupported:
        try:
            re.compile(pattern)
        except re.error as error:
            message = f"must be a valid regular expression, but isn't: error parsing regexp: {error}"
            found.append(causes.invalid(path, pattern, message))


def _junctors(found: Found, path: str, part: Obj, whole: Obj) -> None:
    """What stands below allOf, anyOf, oneOf and not: constraints on values, no structure."""
    either = whole is part and whole.get(_EITHER)
    for junctor in _JUNCTORS:
        listed = part.get(junctor) or ()
        for index, each in enumerate(listed):
            if either and junctor == "anyOf" and listed == _INT_OR_STRING:
                continue
            first = either and junctor == "allOf" and index == 0 and each.get("anyOf") == _INT_OR_STRING
            rest = {key: value for key, value in each.items() if key != "anyOf"} if first else each
            _constraint(found, f"{path}.{junctor}[{index}]", rest)
    if isinstance(part.get("not"), dict):
        _constraint(found, f"{path}.not", part["not"])


def _constraint(found: Found, path: str, part: Obj) -> None:
    _junctors(found, path, part, {})
    if part.get("pattern"):
        _pattern(found, f"{path}.pattern", part["pattern"])
    if isinstance(part.get("items"), dict):
        _constraint(found, f"{path}.items", part["items"])
    for name, inner in (part.get("properties") or {}).items():
        _constraint(found, f"{path}.properties[{name}]", inner)
    for key, wanted in _VALUE_FREE.items():
        if part.get(key):
            found.append(causes.forbidden(f"{path}.{key}", f"must be {wanted} to be structural"))
    if "metadata" in (part.get("properties") or {}):
        message = "must not be specified in a nested context"
        found.append(causes.forbidden(f"{path}.properties[metadata]", message))


def _complete(found: Found, path: str, raw: Obj) -> None:
    """Whatever a constraint is about is described where the structure is."""
    for junctor in _JUNCTORS:
        for index, part in enumerate(raw.get(junctor) or ()):
            _described(found, path, raw, part, f"{path}.{junctor}[{index}]")
    if isinstance(raw.get("not"), dict):
        _described(found, path, raw, raw["not"], f"{path}.not")


def _described(found: Found, path: str, raw: Obj, part: Obj, said: str) -> None:
    for junctor in _JUNCTORS:
        for index, inner in enumerate(part.get(junctor) or ()):
            _described(found, path, raw, inner, f"{said}.{junctor}[{index}]")
    if isinstance(part.get("not"), dict):
        _described(found, path, raw, part["not"], f"{said}.not")
    properties, extra = raw.get("properties") or {}, raw.get("additionalProperties")
    for name, inner in (part.get("properties") or {}).items():
        place, here = f"{path}.properties[{name}]", f"{said}.properties[{name}]"
        if name in properties:
            _described(found, place, properties[name], inner, here)
        elif isinstance(extra, dict):
            _described(found, f"{path}.additionalProperties", extra, inner, here)
        else:
            found.append(causes.required(place, f"because it is defined in {here}"))
    if isinstance(part.get("items"), dict):
        if isinstance(raw.get("items"), dict):
            _described(found, f"{path}.items", raw["items"], part["items"], f"{said}.items")
        else:
            found.append(causes.required(f"{path}.items", f"because it is defined in {said}.items"))


def _node(found: Found, path: str, raw: Obj, *, where: str | None, root: bool = False) -> None:
    """What single keywords may say; `where` is a reason for which nothing may have a default."""
    _keywords(found, path, raw, where)
    properties, extra, items = raw.get("properties") or {}, raw.get("additionalProperties"), raw.get("items")
    if extra is not None and properties and extra is not True:
        message = "additionalProperties and properties are mutual exclusive"
        found.append(causes.forbidden(f"{path}.additionalProperties", message))
    if isinstance(extra, dict):
        _node(found, f"{path}.additionalProperties", extra, where=where)
    for name, inner in properties.items():
        top = root and name in ("metadata", "kind", "apiVersion")
        _node(found, f"{path}.properties[{name}]", inner, where=f"in top-level {name}" if top else where)
    for junctor in _JUNCTORS:
        for index, part in enumerate(raw.get(junctor) or ()):
            _node(found, f"{path}.{junctor}[{index}]", part, where=where)
    for key in ("not", "items"):
        if isinstance(raw.get(key), dict):
            _node(found, f"{path}.{key}", raw[key], where=where)
    if raw.get(_KEEP) is False:
        found.append(causes.invalid(f"{path}.{_KEEP}", False, "must be true or undefined"))
    _typed_as(found, path, raw, _MAP_TYPE, "object")
    if raw.get(_MAP_TYPE) is not None:
        one_of(found, f"{path}.{_MAP_TYPE}", raw[_MAP_TYPE], ("atomic", "granular"))
    _list(found, path, raw, items if isinstance(items, dict) else None)
    for index, rule in enumerate(raw.get("x-kubernetes-validations") or ()):
        _rule(found, f"{path}.x-kubernetes-validations[{index}]", raw, rule)


def _rule(found: Found, path: str, raw: Obj, rule: Obj) -> None:
    """What a rule of CEL says beside its expression."""
    text, message, place = (rule.get(field) or "" for field in ("rule", "message", "fieldPath"))
    if not text.strip():
        found.append(causes.required(f"{path}.rule", "rule is not specified"))
    elif message and not message.strip():
        found.append(causes.invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif "\n" in message.strip():
        found.append(causes.invalid(f"{path}.message", message, "must not contain line breaks"))
    elif "\n" in text.strip() and not message.strip():
        found.append(causes.required(f"{path}.message", "message must be specified if rule contains line breaks"))
    shown = rule.get("messageExpression") or ""
    if shown and not shown.strip():
        found.append(causes.required(f"{path}.messageExpression", "messageExpression must be non-empty if specified"))
    if rule.get("reason") is not None:
        one_of(found, f"{path}.reason", rule["reason"], _REASONS)
    if place and not place.strip():
        found.append(causes.invalid(f"{path}.fieldPath", place, "must be non-empty if specified"))
    if "\n" in place:
        found.append(causes.invalid(f"{path}.fieldPath", place, "must not contain line breaks"))
    try:
        field_at(raw, place, brackets=True)
    except ValueError:
        found.append(causes.invalid(f"{path}.fieldPath", place, "must be a valid path"))


def _keywords(found: Found, path: str, raw: Obj, where: str | None) -> None:
    kind = raw.get("type")
    if kind:
        one_of(found, f"{path}.type", kind, _TYPES)
    if raw.get("default") is not None and where:
        found.append(causes.forbidden(f"{path}.default", f"must not be set {where}"))
    for key in _UNSUPPORTED:
        if raw.get(key) or (key in ("additionalItems", "dependencies", "$ref") and raw.get(key) is not None):
            found.append(causes.forbidden(f"{path}.{key}", f"{key} is not supported"))
    if kind == "null":
        message = "type cannot be set to null, use nullable as an alternative"
        found.append(causes.forbidden(f"{path}.type", message))
    if isinstance(raw.get("items"), list):
        found.append(causes.forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if raw.get("uniqueItems"):
        message = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(causes.forbidden(f"{path}.uniqueItems", message))


def _typed_as(found: Found, path: str, raw: Obj, key: str, wanted: str) -> bool:
    kind = raw.get("type") or ""
    if raw.get(key) is None or kind == wanted:
        return True
    message = f"must be {wanted} if {key} is specified"
    found.append(causes.invalid(f"{path}.type", kind, message) if kind else causes.required(f"{path}.type", message))
    return False


def _list(found: Found, path: str, raw: Obj, items: Obj | None) -> None:
    kind, keys = raw.get(_LIST_TYPE), raw.get(_KEYS) or []
    typed = _typed_as(found, path, raw, _LIST_TYPE, "array")
    if typed and kind == "set" and items is not None:
        wanted = {"array": _LIST_TYPE, "object": _MAP_TYPE}.get(items.get("type") or "")
        if wanted and items.get(wanted) != "atomic" and (wanted == _MAP_TYPE or items.get(wanted) is not None):
            message = f"must be atomic as item of a list with {_LIST_TYPE}=set"
            found.append(causes.invalid(f"{path}.items.{wanted}", items.get(_LIST_TYPE), message))
    if kind is not None:
        one_of(found, f"{path}.{_LIST_TYPE}", kind, ("atomic", "set", "map"))
    message = f"must be map if {_KEYS} is non-empty"
    if keys and kind is None:
        found.append(causes.required(f"{path}.{_LIST_TYPE}", message))
    elif keys and kind != "map":
        found.append(causes.invalid(f"{path}.{_LIST_TYPE}", kind, message))
    if kind == "map":
        _keyed(found, path, keys, items)
    if kind in ("set", "map") and items is not None and items.get("nullable"):
        message = f"cannot be nullable when {_LIST_TYPE} is {kind}"
        found.append(causes.forbidden(f"{path}.items.nullable", message))


def _keyed(found: Found, path: str, keys: Sequence[str], items: Obj | None) -> None:
    """A list whose items are told apart by keys."""
    required(found, f"{path}.{_KEYS}", keys, f"must not be empty if {_LIST_TYPE} is map")
    if items is None:
        found.append(causes.required(f"{path}.items", f"must have a schema if {_LIST_TYPE} is map"))
        return
    properties: Mapping[str, Any] = items.get("properties") or {}
    if items.get("type") != "object":
        message = f"must be object if parent array's {_LIST_TYPE} is map"
        found.append(causes.invalid(f"{path}.items.type", items.get("type") or "", message))
    else:
        for index, key in enumerate(keys):
            field, place = properties.get(key), f"{path}.items.properties[{key}].type"
            if field is None:
                message = "entries must all be names of item properties"
                found.append(causes.invalid(f"{path}.{_KEYS}", list(keys), message))
            elif field.get("type") in ("array", "object"):
                message = f"must be a scalar type if parent array's {_LIST_TYPE} is map"
                found.append(causes.invalid(place, items["type"], message))
            if key in keys[:index]:
                found.append(causes.invalid(f"{path}.{_KEYS}", list(keys), "must not contain duplicate entries"))
    for key in keys:
        field, place = properties.get(key), f"{path}.items.properties[{key}]"
        if field is None:
            continue
        if key not in (items.get("required") or ()) and field.get("default") is None:
            message = f"this property is in {_KEYS}, so it must have a default or be a required property"
            found.append(causes.required(f"{place}.default", message))
        if field.get("nullable"):
            message = f"this property is in {_KEYS}, so it cannot be nullable"
            found.append(causes.forbidden(f"{place}.nullable", message))


def _defaults(found: Found, path: str, raw: Obj) -> None:
    """That what objects are given is what they may have."""
    if raw.get("default") is not None:
        _default(found, f"{path}.default", raw)
    if isinstance(raw.get("items"), dict):
        _defaults(found, f"{path}.items", raw["items"])
    for name, inner in (raw.get("properties") or {}).items():
        _defaults(found, f"{path}.properties[{name}]", inner)


def _default(found: Found, path: str, raw: Obj) -> None:
    schema = structural({key: value for key, value in raw.items() if key != "default"})
    value, kind = thaw(raw["default"]), raw.get("type")
    if kind and kind not in _TYPES:
        name = type_name(value)
        if name == "integer" and raw.get("format"):
            name, kind = "int64", raw["format"]
        found.append(causes.wrong_type(path, name, f' in body must be of type {kind}: "{name}"'))
    if prune(value, schema):
        found.append(causes.invalid(path, raw["default"], "must not have unknown fields"))
    for cause in validate(value, schema):
        place = f"{path}.{cause.field}" if cause.field not in ("", "<nil>") else path
        found.append(type(cause)(cause.reason, cause.message, place))
