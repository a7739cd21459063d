"""Causes: what is wrong where, in the words of Kubernetes' `field.Error`.

Every validator makes its causes here, and the API server turns a list of them into a 422 with `invalid`. Clients match on
these words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from argosy.errors import Cause
from argosy.meta.json import Obj


def shown(value: Any) -> str:
    """A value as it stands in a message: quoted text, or compact JSON."""
    if isinstance(value, str):
        return go_quoted(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = json.dumps(_ordered(value), separators=(",", ":"), ensure_ascii=False)
    return page_safe(text) if isinstance(value, dict | list) else text


_ESCAPED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
            '"': '\\"', "\\": "\\\\"}  # fmt: skip


def go_quoted(text: str) -> str:
    """A text in quotes as Go's %q writes it: what cannot be printed stands as an escape."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return (
        '"' + "".join(_ESCAPED.get(sign) or (sign if sign.isprintable() else _escape(ord(sign))) for sign in text) + '"'
    )


def _escape(code: int) -> str:
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def page_safe(text: str) -> str:
    """JSON as Go writes it: safe to stand in a page."""
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, code)
    return text


def _ordered(value: Any) -> Any:
    """Maps sorted by key; selectors, and Go's own forms (capitalised by us), in the order of their fields."""
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "matchLabels" in value or any(key[:1].isupper() for key in value):
        keys = sorted(value, key=lambda key: key != "matchLabels") if "matchLabels" in value else list(value)
    else:
        keys = sorted(value)
    return {key: _ordered(value[key]) for key in keys}


def invalid(field: str, value: Any, detail: str) -> Cause:
    """`Invalid value: …`."""
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}", field)


def wrong_type(field: str, value: Any, detail: str) -> Cause:
    """`Invalid value: …` for a value of another type."""
    return Cause("FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {detail}", field)


def required(field: str, detail: str = "") -> Cause:
    """`Required value`."""
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def duplicate(field: str, value: Any) -> Cause:
    """`Duplicate value`."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", field)


def unsupported(field: str, value: Any, supported: Iterable[Any]) -> Cause:
    """`Unsupported value`, with the values in the order given."""
    values = ", ".join(shown(each) if isinstance(each, str) else f'"{shown(each)}"' for each in supported)
    tail = f": supported values: {values}" if values else ""
    return Cause("FieldValueNotSupported", f"Unsupported value: {shown(value)}{tail}", field)


def forbidden(field: str, detail: str) -> Cause:
    """`Forbidden`."""
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def not_found(field: str, value: Any) -> Cause:
    """`Not found`: the field names something that is not there."""
    return Cause("FieldValueNotFound", f"Not found: {shown(value)}", field)


def too_long(field: str, limit: int) -> Cause:
    """`Too long`, in bytes."""
    return Cause("FieldValueTooLong", f"Too long: may not be more than {limit} bytes", field)


def too_many(field: str, count: int, limit: int) -> Cause:
    """`Too many` items or properties."""
    return Cause("FieldValueTooMany", f"Too many: {count}: must have at most {limit} items", field)


_STEP = re.compile(r"\[([^\]]*)\]|\.?([^.\[]+)")
_NULL = re.compile(r"(Invalid|Unsupported) value: null(?=:)")


def as_said(causes: Iterable[Cause], obj: Obj) -> list[Cause]:
    """The causes, with `{}` and `[]` for null where the object that a client wrote has them: decoding drops what is empty."""
    return [_as_said(cause, obj) for cause in causes]


def _as_said(cause: Cause, obj: Obj) -> Cause:
    found = _NULL.match(cause.message)
    value = _at(obj, cause.field) if found else None
    if found is None or not isinstance(value, dict | list) or value:
        return cause
    return replace(cause, message=f"{found[1]} value: {shown(value)}{cause.message[found.end() :]}")


def _at(value: Any, path: str) -> Any:
    for found in _STEP.finditer(path):
        key = found[1] if found[1] is not None else found[2]
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def go_value(value: Any) -> str:
    """A JSON value as Go's %v prints it: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_value(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(go_value(item) for item in value)}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
