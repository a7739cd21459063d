"""CEL's extensions that Kubernetes has switched on: strings, lists, sets, optional values, finding by pattern."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from argosy.meta import re2
from argosy.meta.cel import library, values
from argosy.meta.cel.functions import Table
from argosy.meta.cel.values import NOTHING, EvalError, Optional


def _char_at(text: str, place: int) -> str:
    if not 0 <= place <= len(text):
        raise EvalError(f"index out of range: {place}")
    return text[place : place + 1]


def _index_of(target: Any, wanted: Any, start: int = 0) -> int:
    if isinstance(target, str):
        if not 0 <= start <= len(target):
            raise EvalError(f"index out of range: {start}")
        return target.find(wanted, start)
    return next((place for place, item in enumerate(target) if values.equal(item, wanted)), -1)


def _last_index_of(target: Any, wanted: Any, last: int | None = None) -> int:
    if isinstance(target, str):
        if last is None:
            return target.rfind(wanted)
        if not 0 <= last <= len(target):
            raise EvalError(f"index out of range: {last}")
        return target.rfind(wanted, 0, last + len(wanted))
    return next((place for place in range(len(target) - 1, -1, -1) if values.equal(target[place], wanted)), -1)


def _join(items: list[Any], separator: str = "") -> str:
    if not all(isinstance(item, str) for item in items):
        raise library.no_overload("join")
    return separator.join(items)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count)


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    parts = text.split(separator) if separator else list(text)
    if 0 < count < len(parts):
        parts = [*parts[: count - 1], separator.join(parts[count - 1 :])]
    return parts


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if not 0 <= start <= len(text) or not 0 <= end <= len(text):
        raise EvalError(f"index out of range: {start if not 0 <= start <= len(text) else end}")
    if start > end:
        raise EvalError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def _lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def _upper(text: str) -> str:
    return "".join(c.upper() if c.isascii() else c for c in text)


_QUOTED = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


def _quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(c, c) for c in text) + '"'


def _format(text: str, args: list[Any]) -> str:
    made: list[str] = []
    place, taken = 0, 0
    while (percent := text.find("%", place)) >= 0:
        made.append(text[place:percent])
        if text[percent + 1 : percent + 2] == "%":
            made.append("%")
            place = percent + 2
            continue
        place = percent + 1
        precision = 6
        if text[place : place + 1] == ".":
            end = next((i for i in range(place + 1, len(text)) if not text[i].isdigit()), len(text))
            precision, place = int(text[place + 1 : end] or 0), end
        verb = text[place : place + 1]
        if taken >= len(args):
            raise EvalError(f"index {taken} out of range")
        made.append(_formatted(verb, args[taken], precision))
        taken, place = taken + 1, place + 1
    return "".join(made) + text[place:]


def _formatted(verb: str, value: Any, precision: int) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if verb == "s":
        return _readable(value)
    if verb == "d" and (whole or isinstance(value, float)):
        return library.shown(value)
    if verb in "fe" and verb and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.{precision}{verb}}"
    if verb == "b" and isinstance(value, int):
        return f"{int(value):b}"
    if verb == "o" and whole:
        return f"{value:o}"
    if verb in ("x", "X"):
        if whole:
            return f"{value:{verb}}"
        if isinstance(value, str | bytes):
            digits = (value.encode() if isinstance(value, str) else value).hex()
            return digits.upper() if verb == "X" else digits
    if verb not in tuple("sdfeboxX"):
        raise EvalError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')
    raise EvalError(f"error during formatting: {verb} clause can not be used on {values.type_of(value)}")


def _readable(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_readable, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_readable(key)}: {_readable(value[key])}" for key in sorted(value, key=str)) + "}"
    if value is None:
        return "null"
    if isinstance(value, values.TypeValue):
        return value.name
    return library.shown(value)


def _is_sorted(items: list[Any]) -> bool:
    return all(_comparable(left, right) and left <= right for left, right in pairwise(items))


def _comparable(left: Any, right: Any) -> bool:
    if type(left) is not type(right) or isinstance(left, list | dict):
        raise library.no_overload("isSorted")
    return True


def _sum(items: list[Any]) -> Any:
    if not items:
        return 0
    total = items[0]
    for item in items[1:]:
        total = total + item if isinstance(item, timedelta) else library.TABLE["_+_"][1](total, item)
    return total


def _extreme(name: str) -> Any:
    def run(items: list[Any]) -> Any:
        if not items:
            raise EvalError(f"{name} called on empty list")
        return min(items) if name == "min" else max(items)

    return run


def _find(text: str, pattern: str) -> str:
    expression = _pattern(pattern)
    match = expression.search(text) if re2.found(pattern, text) else None
    return match.group() if match else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    expression = _pattern(pattern)
    found = [match.group() for match in expression.finditer(text)] if re2.found(pattern, text) else []
    return found if limit < 0 else found[:limit]


def _pattern(text: str) -> Any:
    try:
        return re2.compiled(text)
    except re2.Unsupported as error:
        raise EvalError(f"Illegal regex: {error}") from None


def _sets_contain(left: list[Any], right: list[Any]) -> bool:
    return all(values.contains(left, item) for item in right)


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise EvalError("optional.none() dereference")
    return optional.value


def _non_zero(value: Any) -> Optional:
    return Optional(True, value) if value not in (None, False, 0, "", b"", [], {}) else NOTHING


def _unwrap(items: list[Optional]) -> list[Any]:
    return [item.value for item in items if item.present]


def _reverse(value: Any) -> Any:
    return value[::-1]


def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not values.contains(found, item):
            found.append(item)
    return found


_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_SUMMED = ("int", "uint", "double", "duration")

TABLE: Table = {
    "charAt": (("string.(int): string",), _char_at),
    "indexOf": (("string.(string): int", "string.(string, int): int", "list(A).(A): int"), _index_of),
    "lastIndexOf": (("string.(string): int", "string.(string, int): int", "list(A).(A): int"), _last_index_of),
    "join": (("list(string).(): string", "list(string).(string): string"), _join),
    "lowerAscii": (("string.(): string",), _lower),
    "upperAscii": (("string.(): string",), _upper),
    "replace": (("string.(string, string): string", "string.(string, string, int): string"), _replace),
    "split": (("string.(string): list(string)", "string.(string, int): list(string)"), _split),
    "substring": (("string.(int): string", "string.(int, int): string"), _substring),
    "trim": (("string.(): string",), str.strip),
    "reverse": (("string.(): string",), _reverse),
    "format": (("string.(list(dyn)): string",), _format),
    "strings.quote": (("(string): string",), _quote),
    "isSorted": (tuple(f"list({each}).(): bool" for each in _COMPARABLE), _is_sorted),
    "sum": (tuple(f"list({each}).(): {each}" for each in _SUMMED), _sum),
    "min": (tuple(f"list({each}).(): {each}" for each in _COMPARABLE), _extreme("min")),
    "max": (tuple(f"list({each}).(): {each}" for each in _COMPARABLE), _extreme("max")),
    "distinct": (("list(A).(): list(A)",), _distinct),
    "find": (("string.(string): string",), _find),
    "findAll": (("string.(string): list(string)", "string.(string, int): list(string)"), _find_all),
    "sets.contains": (("(list(A), list(A)): bool",), _sets_contain),
    "sets.equivalent": (("(list(A), list(A)): bool",), lambda a, b: _sets_contain(a, b) and _sets_contain(b, a)),
    "sets.intersects": (("(list(A), list(A)): bool",), lambda a, b: any(values.contains(b, item) for item in a)),
    "optional.of": (("(A): optional_type(A)",), lambda value: Optional(True, value)),
    "optional.none": (("(): optional_type(A)",), lambda: NOTHING),
    "optional.ofNonZeroValue": (("(A): optional_type(A)",), _non_zero),
    "optional.unwrap": (("(list(optional_type(A))): list(A)",), _unwrap),
    "unwrapOpt": (("list(optional_type(A)).(): list(A)",), _unwrap),
    "hasValue": (("optional_type(A).(): bool",), lambda optional: optional.present),
    "value": (("optional_type(A).(): A",), _value),
    "orValue": (("optional_type(A).(A): A",), lambda optional, other: optional.value if optional.present else other),
    "or": (("optional_type(A).(optional_type(A)): optional_type(A)",), lambda one, other: one if one.present else other),
}  # fmt: skip
