"""Typed decoding of built-in objects: what a typed server makes of the JSON it is sent.

Unknown fields vanish (and are named), nulls and empty values vanish or are filled in as the type says, quantities and
times become canonical, and a value of the wrong type is an error in the words of the decoder that Kubernetes uses. The
API server sends every built-in object through here before defaulting; one pass without paths serves the good objects,
a second one writes the complaints about the others.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from argosy.meta import quantity, times
from argosy.meta.json import Obj
from argosy.meta.schema import (
    ANY,
    BOOLEAN,
    BYTES,
    INT_OR_STRING,
    INTEGER,
    LIST,
    MAP,
    NUMBER,
    QUANTITY,
    SCHEMA_OR,
    STRING,
    STRUCT,
    TIME,
    Schema,
)  # fmt: skip

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_INT32 = 2**31


@dataclass(frozen=True, slots=True)
class Decoded:
    """An object as the typed server keeps it, and what was wrong with what was sent."""

    obj: Obj
    unknown: tuple[str, ...] = ()
    """Paths of unknown fields, `spec.containers[0].imgae`, in the order of the document."""
    error: str = ""
    """The decoder's message when a value has the wrong type: the request is bad."""


def decode(obj: Obj, schema: Schema) -> Decoded:
    """Decode a whole object (or a part of one) by its pack schema. Shares no container with `obj`."""
    odd: list[Schema] = []
    result = _struct(obj, schema, odd)
    if not odd:
        return Decoded(result)
    report = _Report()
    report.visit(obj, schema, _Place("", ""))
    return Decoded(result, tuple(report.unknown), report.error)


def _struct(value: Obj, schema: Schema, odd: list[Schema]) -> Obj:
    out: Obj = {}
    fields = schema.fields
    for key, item in value.items():
        child = fields.get(key)
        if child is None:
            odd.append(schema)
            continue
        if item is None:
            continue
        code = child.code
        if code == STRING:
            if type(item) is not str:
                odd.append(child)
            elif item or child.zero:
                out[key] = item
        elif code == INTEGER:
            if type(item) is not int or (child.format == "int32" and not -_INT32 <= item < _INT32):
                odd.append(child)
            elif item or child.zero != "drop":
                out[key] = item
        elif code == BOOLEAN:
            if type(item) is not bool:
                odd.append(child)
            elif item or child.zero != "drop":
                out[key] = item
        elif code == STRUCT:
            if type(item) is dict:
                out[key] = _struct(item, child, odd)
            else:
                odd.append(child)
        else:
            settled = _other(item, child, odd)
            if settled or (settled is not None and child.code not in (LIST, MAP, BYTES)):
                out[key] = settled
    for key, child in schema.fills:
        if key not in out:
            out[key] = blank(child)
    return out


def _other(item: Any, child: Schema, odd: list[Schema]) -> Any:
    code = child.code
    if code == LIST:
        if type(item) is list:
            return _list(item, child.items, odd)
        odd.append(child)
        return None
    if code == MAP:
        if type(item) is dict:
            return _map(item, child.values, odd)
        odd.append(child)
        return None
    return _leaf(item, child, odd)


def _list(items: list[Any], schema: Schema, odd: list[Schema]) -> list[Any]:
    code = schema.code
    if code == STRUCT:
        result = []
        for item in items:
            if type(item) is dict:
                result.append(_struct(item, schema, odd))
            elif item is None:
                result.append(blank(schema))
            else:
                odd.append(schema)
        return result
    if code == STRING:
        for item in items:
            if type(item) is not str:
                break
        else:
            return list(items)
    return [blank(schema) if item is None else _other_or_struct(item, schema, odd) for item in items]


def _map(value: Obj, schema: Schema | None, odd: list[Schema]) -> Obj:
    if schema is None:
        return dict(value)
    if schema.code == STRING:
        for item in value.values():
            if type(item) is not str:
                break
        else:
            return dict(value)
    return {key: blank(schema) if item is None else _other_or_struct(item, schema, odd) for key, item in value.items()}


def _other_or_struct(item: Any, schema: Schema, odd: list[Schema]) -> Any:
    if schema.code != STRUCT:
        return _other(item, schema, odd)
    if type(item) is dict:
        return _struct(item, schema, odd)
    odd.append(schema)
    return None


def _leaf(item: Any, schema: Schema, odd: list[Schema]) -> Any:
    code = schema.code
    if code == ANY:
        return item
    if code == SCHEMA_OR and not isinstance(item, dict):
        inner = schema.values
        if isinstance(item, list) and inner is not None:
            return [_struct(each, inner, odd) if type(each) is dict else each for each in item]
        return item
    try:
        return _settle(item, schema, odd)
    except _Unfit:
        odd.append(schema)
        return None


def _settle(item: Any, schema: Schema, odd: list[Schema]) -> Any:
    """The canonical form of a scalar; raises _Unfit with the decoder's words."""
    code, cls = schema.code, type(item)
    if code == SCHEMA_OR and schema.values is not None:
        return _struct(item, schema.values, odd)
    if code == QUANTITY:
        try:
            return quantity.canonical(item)
        except ValueError as error:
            raise _Unfit(str(error)) from None
    if code == INT_OR_STRING:
        if cls in (str, int):
            return item
    elif code == TIME:
        if cls is str:
            return _time(item, micro=schema.name.endswith("MicroTime"))
    elif code == BYTES:
        if cls is str:
            return _bytes(item)
    elif (
        (code == STRING and cls is str)
        or (code == BOOLEAN and cls is bool)
        or (code == INTEGER and cls is int)
        or (code == NUMBER and cls in (int, float))
    ):
        return item
    raise _Unfit("")


def unfit(value: Any, schema: Schema) -> str:
    """What keeps a scalar of the right JSON type from being of its own, in the decoder's words; empty when nothing."""
    try:
        _settle(value, schema, [])
    except _Unfit as fault:
        return str(fault)
    return ""


class _Unfit(Exception):
    """A scalar that its type does not take; the message is empty when it is simply of another JSON type."""


def _time(text: str, *, micro: bool) -> str:
    if not micro and _TIME.fullmatch(text) and not times.fault(text, micro=False):
        return text
    fault = times.fault(text, micro=micro)
    if fault:
        raise _Unfit(fault)
    moment = datetime.fromisoformat(text.replace(",", ".")).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def _bytes(text: str) -> str:
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        stripped = text.replace("\n", "").replace("\r", "")
        at = next((n for n, char in enumerate(stripped) if char not in alphabet), len(stripped))
        if stripped != text and at == len(stripped) and len(stripped) % 4 == 0:
            return stripped
        padded = at < len(stripped) and set(stripped[at:]) == {"="} and len(stripped) % 4 == 0
        if padded and len(stripped) - at <= 2:
            return stripped
        if at == len(stripped) and at % 4:
            at -= at % 4  # what is cut off is told by where its last four begin
        raise _Unfit(f"illegal base64 data at input byte {at}") from None
    return text


def blank(schema: Schema) -> Any:
    """What a typed server writes for an unset value of this type that it always writes."""
    if schema.zero == "null":
        return None
    code = schema.code
    if code == STRUCT:
        return {key: blank(child) for key, child in schema.fills}
    return {STRING: "", INTEGER: 0, NUMBER: 0, BOOLEAN: False, INT_OR_STRING: 0, QUANTITY: "0"}.get(code)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the report stands: the path with indices, and Go's (struct and path without indices)."""

    path: str
    go_path: str
    struct: str = ""

    def field(self, name: str, struct: str) -> _Place:
        joined = f"{self.go_path}.{name}" if self.go_path else name
        return _Place(f"{self.path}.{name}" if self.path else name, joined, struct)

    def item(self, index: int) -> _Place:
        return _Place(f"{self.path}[{index}]", self.go_path, self.struct)

    def value(self, key: str) -> _Place:
        return _Place(f"{self.path}.{key}", self.go_path, self.struct)


class _Report:
    """The second pass: names unknown fields and the first value of a wrong type."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.error = ""

    def visit(self, value: Any, schema: Schema, place: _Place) -> None:
        if value is None:
            return
        code = schema.code
        if code == STRUCT and type(value) is dict:
            self._struct(value, schema, place)
        elif code == LIST and type(value) is list:
            for index, item in enumerate(value):
                self.visit(item, schema.items, place.item(index))
        elif code == MAP and type(value) is dict:
            if schema.values is not None:
                for key, item in value.items():
                    self.visit(item, schema.values, place.value(key))
        elif code == SCHEMA_OR and schema.values is not None:
            # The type that takes either decodes by itself, and so says nothing of fields that it does not know.
            known = len(self.unknown)
            for item in value if isinstance(value, list) else [value]:
                if type(item) is dict:
                    self.visit(item, schema.values, place)
            del self.unknown[known:]
        elif code in (STRUCT, LIST, MAP):
            self._unfit("", value, schema, place)
        elif code not in (ANY, SCHEMA_OR):
            self._scalar(value, schema, place)

    def _struct(self, value: Obj, schema: Schema, place: _Place) -> None:
        struct = schema.name.rsplit(".", 1)[-1]
        for key, item in value.items():
            child = schema.fields.get(key)
            here = place.field(key, struct)
            if child is None:
                self.unknown.append(here.path)
            else:
                self.visit(item, child, here)

    def _scalar(self, value: Any, schema: Schema, place: _Place) -> None:
        if schema.code == INTEGER and type(value) is int and schema.format == "int32":
            if not -_INT32 <= value < _INT32:
                self._unfit("", value, schema, place)
            return
        try:
            _settle(value, schema, [])
        except _Unfit as unfit:
            self._unfit(str(unfit), value, schema, place)

    def _unfit(self, message: str, value: Any, schema: Schema, place: _Place) -> None:
        if not self.error:
            found = json_type(value)
            if schema.code == INTEGER and found == "number":
                found = f"number {value}"
            self.error = message or (
                f"json: cannot unmarshal {found} into Go struct field {place.struct}.{place.go_path}"
                f" of type {go_type(schema)}"
            )


def json_type(value: Any) -> str:
    """object, array, string, number, bool or null."""
    if isinstance(value, bool):
        return "bool"
    names = {dict: "object", list: "array", str: "string", int: "number", float: "number"}
    return names.get(type(value), "null")


def go_type(schema: Schema) -> str:
    """The type's name as Kubernetes' decoder prints it."""
    code = schema.code
    if code == LIST:
        return f"[]{go_type(schema.items)}"
    if code == MAP:
        return f"map[string]{go_type(schema.values) if schema.values is not None else 'interface {}'}"
    if code == STRUCT and schema.name:
        return ".".join(schema.name.split(".")[-2:])
    if code == INTEGER:
        return schema.format or "int"
    return {BOOLEAN: "bool", NUMBER: "float64", BYTES: "[]uint8"}.get(code, "string")
