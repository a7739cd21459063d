"""Reading the protobuf bodies that kubectl (since 1.32, for its typed commands) and Go controllers send.

A generic reader over a table of field numbers (`wire.json.gz`, made by `scripts/build_wire_table.py`). What it makes is the
JSON of the same object, zero values included; typed decoding drops those that JSON leaves out. Answers stay JSON.
"""

from __future__ import annotations

import base64
import gzip
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

from argosy.clock import rfc3339, rfc3339_micro
from argosy.errors import BadRequest, UnsupportedMediaType
from argosy.meta.json import Obj, decode

MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Wire: TypeAlias = tuple[int, int, Any]
"""(field number, wire type, raw value)."""


class _Field(NamedTuple):
    name: str
    card: str
    """opt, rep, map, or inline: its own fields stand in its place."""
    type: str | int
    """A scalar's name, or the index of a message."""


class _Message(NamedTuple):
    name: str
    fields: dict[int, _Field]


class _Table(NamedTuple):
    kinds: dict[str, int]
    messages: list[_Message]


@cache
def _table() -> _Table:
    raw = decode(gzip.decompress(files(__package__).joinpath("wire.json.gz").read_bytes()))
    messages = [_Message(name, {number: _Field(*rest) for number, *rest in fields}) for name, fields in raw["messages"]]
    return _Table(raw["kinds"], messages)


def read(raw: bytes) -> Obj:
    """The object in a protobuf body. Raises BadRequest, UnsupportedMediaType."""
    if not raw.startswith(MAGIC):
        raise BadRequest("the body says that it is protobuf and does not begin as Kubernetes' protobuf does")
    try:
        envelope = {number: value for number, _, value in _walk(raw[len(MAGIC) :])}
        named = {number: value for number, _, value in _walk(envelope.get(1, b""))}
        version, kind = bytes(named.get(1, b"")).decode(), bytes(named.get(2, b"")).decode()
        index = _table().kinds.get(f"{version}/{kind}")
        if index is None:
            raise UnsupportedMediaType(f"{version} {kind} is not read as protobuf here; send JSON")
        obj = _message(bytes(envelope.get(2, b"")), index)
    except (ValueError, IndexError, struct.error) as error:
        raise BadRequest(f"the protobuf body cannot be read: {error}") from None
    return {"kind": kind, "apiVersion": version, **obj}


def _walk(raw: bytes) -> Iterator[Wire]:
    at, end = 0, len(raw)
    while at < end:
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == _VARINT:
            value, at = _varint(raw, at)
        elif wire == _BYTES:
            size, at = _varint(raw, at)
            if at + size > end:
                raise ValueError("it ends too early")
            value, at = raw[at : at + size], at + size
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            value, at = raw[at : at + size], at + size
        else:
            raise ValueError(f"wire type {wire} is not one of Kubernetes'")
        yield number, wire, value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _message(raw: bytes, index: int) -> Any:
    message = _table().messages[index]
    special = _SPECIAL.get(message.name)
    if special is not None:
        return special({number: value for number, _, value in _walk(raw)}, raw)
    made: Obj = {}
    for number, wire, value in _walk(raw):
        field = message.fields.get(number)
        if field is None:
            continue
        if field.card == "rep":
            items = _packed(value) if wire == _BYTES and field.type in ("int32", "int64", "bool") else [value]
            made.setdefault(field.name, []).extend(_value(item, field.type) for item in items)
        elif field.card == "map":
            entry = {n: v for n, _, v in _walk(value)}
            key = bytes(entry.get(1, b"")).decode()
            made.setdefault(field.name, {})[key] = _value(entry.get(2, b""), field.type)
        elif field.card == "inline":
            assert isinstance(field.type, int), "what stands in line is a message"
            made |= _message(value, field.type)
        else:
            made[field.name] = _value(value, field.type)
    return made


def _packed(raw: bytes) -> list[int]:
    at, values = 0, []
    while at < len(raw):
        value, at = _varint(raw, at)
        values.append(value)
    return values


def _value(value: Any, type: str | int) -> Any:
    if isinstance(type, int):
        return _message(value, type)
    if type == "string":
        return bytes(value).decode()
    if type == "bytes":
        return base64.b64encode(value).decode()
    if type == "bool":
        return bool(value)
    return _signed(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


Fields: TypeAlias = dict[int, Any]


def _moment(fields: Fields) -> datetime:
    seconds, nanos = _signed(fields.get(1, 0)), fields.get(2, 0)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)


def _time(fields: Fields, raw: bytes) -> Any:
    return rfc3339(_moment(fields)) if raw else None


def _micro_time(fields: Fields, raw: bytes) -> Any:
    return rfc3339_micro(_moment(fields)) if raw else None


def _quantity(fields: Fields, raw: bytes) -> Any:
    return bytes(fields.get(1, b"")).decode() or "0"


def _int_or_string(fields: Fields, raw: bytes) -> Any:
    return bytes(fields.get(3, b"")).decode() if fields.get(1) else _signed(fields.get(2, 0))


def _json(fields: Fields, raw: bytes) -> Any:
    inner = fields.get(1)
    return decode(inner) if inner else None


def _items(fields: Fields, raw: bytes) -> Any:
    return [bytes(value).decode() for number, _, value in _walk(raw) if number == 1]


_SPECIAL: dict[str, Callable[[Fields, bytes], Any]] = {
    "Time": _time, "MicroTime": _micro_time, "Quantity": _quantity, "IntOrString": _int_or_string,
    "RawExtension": _json, "FieldsV1": _json, "ExtraValue": _items,
}  # fmt: skip
