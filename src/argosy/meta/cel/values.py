"""CEL's values as Python's, and where the two differ: errors, unsigned numbers, times, equality, lists that are sets.

`library` computes with these, `rules` makes them out of JSON.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from argosy.meta.quantity import Quantity


class EvalError(Exception):
    """An expression that has no value; `||` and `&&` may still have one."""


class TooCostly(Exception):
    """The evaluation took more steps than it may."""


class UInt(int):
    """An unsigned number."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Optional:
    """What may be missing."""

    present: bool
    value: Any = None


NOTHING = Optional(False)


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: what `type(x)` gives."""

    name: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value of one of Kubernetes' own types: an address, a network, a URL, a version, a format."""

    kind: str
    value: Any


class SetList(list[Any]):
    """A list of type set: its order says nothing."""


class MapList(list[Any]):
    """A list of type map: its order says nothing, its items are known by keys."""

    keys: tuple[str, ...] = ()


def type_of(value: Any) -> str:
    """The name of a value's type."""
    for python, name in _NAMES:
        if isinstance(value, python):
            return name
    if isinstance(value, Opaque):
        return value.kind
    return "null_type"


_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "bool"), (UInt, "uint"), (int, "int"), (float, "double"), (str, "string"), (bytes, "bytes"),
    (list, "list"), (dict, "map"), (datetime, "google.protobuf.Timestamp"), (timedelta, "google.protobuf.Duration"),
    (Optional, "optional_type"), (TypeValue, "type"), (Quantity, "kubernetes.Quantity"),
)  # fmt: skip


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """CEL's `==`: numbers by value, true is not 1, sets whatever their order."""
    if _number(left) and _number(right):
        return bool(left == right)
    if isinstance(left, list) and isinstance(right, list):
        return _lists_equal(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return len(left) == len(right) and all(key in right and equal(left[key], right[key]) for key in left)
    return type(left) is type(right) and bool(left == right)


def _lists_equal(left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right):
        return False
    if isinstance(left, SetList) or isinstance(right, SetList):
        return all(contains(right, item) for item in left) and all(contains(left, item) for item in right)
    keyed = left if isinstance(left, MapList) else right if isinstance(right, MapList) else None
    if keyed is not None:
        return all(any(equal(mine, theirs) for theirs in right) for mine in left)
    return all(equal(mine, theirs) for mine, theirs in zip(left, right, strict=True))


def contains(items: Sequence[Any], wanted: Any) -> bool:
    """Whether a list holds a value."""
    return any(equal(item, wanted) for item in items)


def joined(left: list[Any], right: list[Any]) -> list[Any]:
    """CEL's `+` of lists: sets take what they lack, keyed lists replace what has the same keys."""
    if isinstance(left, SetList):
        return SetList([*left, *(item for item in right if not contains(left, item))])
    if isinstance(left, MapList):
        made = MapList(left)
        made.keys = left.keys
        for item in right:
            place = next((i for i, own in enumerate(made) if all(own.get(k) == item.get(k) for k in left.keys)), None)
            if place is None:
                made.append(item)
            else:
                made[place] = item
        return made
    return left + right


def timestamp(text: str) -> datetime:
    """A time as RFC 3339 writes it. Raises ValueError."""
    if "T" not in text.upper():
        raise ValueError(text)
    whole, dot, rest = text.upper().replace("Z", "+00:00").partition(".")
    if dot:
        digits = rest[: next((i for i, c in enumerate(rest) if not c.isdigit()), len(rest))]
        whole += "." + digits[:6].ljust(6, "0") + rest[len(digits) :]
    made = datetime.fromisoformat(whole)
    if made.tzinfo is None:
        raise ValueError(text)
    return made.astimezone(UTC)


_UNITS = {"h": 3600 * 10**6, "m": 60 * 10**6, "s": 10**6, "ms": 1000, "us": 1, "µs": 1, "ns": 0.001}


def duration(text: str) -> timedelta:
    """A length of time as Go writes it: `1h30m`, `-1.5s`. Raises ValueError."""
    match = re.fullmatch(r"([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|m|s|us|µs|ns))+|[+-]?0", text)
    if match is None:
        raise ValueError(text)
    total = sum(
        float(amount) * _UNITS[unit] for amount, unit in re.findall(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)", text)
    )
    return timedelta(microseconds=-total if text.startswith("-") else total)


def shown_duration(value: timedelta) -> str:
    """A length of time as CEL's `string` gives it: in seconds."""
    micros = round(value / timedelta(microseconds=1))
    whole, part = divmod(abs(micros), 10**6)
    tail = f".{part:06d}".rstrip("0") if part else ""
    return f"{'-' if micros < 0 else ''}{whole}{tail}s"


def shown_timestamp(value: datetime) -> str:
    """A time as CEL's `string` gives it."""
    tail = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") + tail + "Z"
