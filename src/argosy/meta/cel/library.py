"""CEL's standard functions: operators, conversions, sizes, times, and those of strings that every CEL has."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from argosy.meta import re2
from argosy.meta.cel import values
from argosy.meta.cel.functions import Table
from argosy.meta.cel.values import NOTHING, EvalError, Optional, TypeValue, UInt

_LOW, _HIGH = -(2**63), 2**63
_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def no_overload(name: str) -> EvalError:
    """What is said when values turn out to be of types that a function does not take."""
    return EvalError(f"no such overload: {name}")


def _checked(value: int, like: Any) -> int:
    if isinstance(like, UInt):
        if not 0 <= value < 2**64:
            raise EvalError("unsigned integer overflow")
        return UInt(value)
    if not _LOW <= value < _HIGH:
        raise EvalError("integer overflow")
    return value


def _numbers(name: str, compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(left: Any, right: Any) -> Any:
        if type(left) is not type(right) or type(left) not in (int, UInt, float):
            raise no_overload(name)
        if isinstance(left, float):
            return compute(left, right)
        return _checked(compute(left, right), left)

    return run


def _add(left: Any, right: Any) -> Any:
    kinds = (type(left), type(right))
    if kinds in ((int, int), (UInt, UInt)):
        return _checked(left + right, left)
    if kinds in ((float, float), (str, str), (bytes, bytes)):
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        return values.joined(left, right)
    if _times(left, right) and not (isinstance(left, datetime) and isinstance(right, datetime)):
        return _moment(operator.add, left, right)
    raise no_overload("_+_")


def _subtract(left: Any, right: Any) -> Any:
    if _times(left, right) and (isinstance(left, datetime) or isinstance(right, timedelta)):
        return _moment(operator.sub, left, right)
    return _SUBTRACT(left, right)


def _times(left: Any, right: Any) -> bool:
    return isinstance(left, datetime | timedelta) and isinstance(right, datetime | timedelta)


def _moment(compute: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    try:
        return compute(left, right)
    except OverflowError:
        raise EvalError("timestamp overflow") from None


_SUBTRACT = _numbers("_-_", operator.sub)
_MULTIPLY = _numbers("_*_", operator.mul)


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, float) and isinstance(right, float):
        if right == 0:
            return (
                math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
            )
        return left / right
    return _whole("division by zero", "_/_", lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))(
        left, right
    )


def _whole(zero: str, name: str, compute: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    def run(left: Any, right: Any) -> Any:
        if type(left) is not type(right) or type(left) not in (int, UInt):
            raise no_overload(name)
        if right == 0:
            raise EvalError(zero)
        return _checked(compute(int(left), int(right)), left)

    return run


_modulo = _whole("modulus by zero", "_%_", lambda a, b: int(math.copysign(abs(a) % abs(b), a)) if abs(a) < 2**52
                 else (abs(a) % abs(b)) * (-1 if a < 0 else 1))  # fmt: skip


def _negate(value: Any) -> Any:
    if type(value) is int:
        return _checked(-value, value)
    if type(value) is float:
        return -value
    raise no_overload("-_")


def _not(value: Any) -> bool:
    if not isinstance(value, bool):
        raise no_overload("!_")
    return not value


def _ordered(name: str, compute: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def run(left: Any, right: Any) -> bool:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        same = type(left) is type(right) and isinstance(left, bool | str | bytes | datetime | timedelta)
        if not same and (not numbers or isinstance(left, bool) or isinstance(right, bool)):
            raise no_overload(name)
        return compute(left, right)

    return run


def index(holder: Any, key: Any) -> Any:
    """`holder[key]`. Raises EvalError."""
    if isinstance(holder, Optional):
        return optional_index(holder, key)
    if isinstance(holder, list):
        place = _place(key)
        if not 0 <= place < len(holder):
            raise EvalError(f"index out of bounds: {place}")
        return holder[place]
    if isinstance(holder, dict):
        for each in (key, int(key) if isinstance(key, float) and key.is_integer() else key):
            if each in holder and not isinstance(each, bool | float):
                return holder[each]
            if isinstance(each, bool) and each in holder:
                return holder[each]
        raise EvalError(f"no such key: {shown(key)}")
    raise no_overload("_[_]")


def _place(key: Any) -> int:
    if isinstance(key, bool) or not isinstance(key, int | float) or key != int(key):
        raise EvalError(f"unsupported index type '{values.type_of(key)}' in list")
    return int(key)


def optional_index(holder: Any, key: Any) -> Optional:
    """`holder[?key]`."""
    if isinstance(holder, Optional):
        return optional_index(holder.value, key) if holder.present else NOTHING
    try:
        return Optional(True, index(holder, key))
    except EvalError:
        return NOTHING


def _in(item: Any, holder: Any) -> bool:
    if isinstance(holder, list):
        return values.contains(holder, item)
    if isinstance(holder, dict):
        return any(values.equal(item, key) for key in holder) if isinstance(item, int | float) else item in holder
    raise no_overload("@in")


def size(value: Any) -> int:
    """How many characters, bytes or items."""
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise no_overload("size")


def shown(value: Any) -> str:
    """A value as `string` gives it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _shown_float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise EvalError("invalid UTF-8 in bytes, cannot convert to string") from None
    if isinstance(value, timedelta):
        return values.shown_duration(value)
    if isinstance(value, datetime):
        return values.shown_timestamp(value)
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, values.Opaque) and value.kind in ("net.IP", "net.CIDR"):
        return str(value.value)
    raise no_overload("string")


def _shown_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].zfill(2)}" if exponent else mantissa


def _unconverted(value: Any, wanted: str) -> EvalError:
    return EvalError(f"type conversion error from '{values.type_of(value)}' to '{wanted}'")


def _to_int(value: Any) -> int:
    if isinstance(value, datetime):
        return math.floor(value.timestamp())
    if isinstance(value, timedelta):
        return round(value / timedelta(microseconds=1)) * 1000
    if isinstance(value, bool | bytes | list | dict) or value is None:
        raise no_overload("int")
    try:
        made = int(value)
        if isinstance(value, str) and "_" in value:
            raise ValueError(value)
    except (ValueError, OverflowError):
        raise _unconverted(value, "int") from None
    return _checked(made, 0)


def _to_uint(value: Any) -> UInt:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise no_overload("uint")
    try:
        return UInt(_checked(int(value), UInt(0)))
    except (ValueError, OverflowError):
        raise _unconverted(value, "uint") from None


def _to_double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise no_overload("double")
    try:
        return float(value)
    except ValueError:
        raise _unconverted(value, "double") from None


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise _unconverted(value, "bool")


def quoted(value: Any) -> str:
    """A value in quotes, for messages."""
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def to_timestamp(value: Any) -> datetime:
    """`timestamp(x)`. Raises EvalError."""
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str):
            return values.timestamp(value)
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, TypeError):
        raise EvalError(f"invalid timestamp {quoted(value)}") from None


def to_duration(value: Any) -> timedelta:
    """`duration(x)`. Raises EvalError."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return timedelta(microseconds=value / 1000)
    try:
        return values.duration(value)
    except (ValueError, OverflowError, TypeError):
        raise EvalError(f"time: invalid duration {quoted(value)}") from None


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 (hardly any rule asks)

    sign, rest = (-1, name[1:]) if name[:1] == "-" else (1, name.removeprefix("+"))
    hours, colon, minutes = rest.partition(":")
    if colon and hours.isdigit() and minutes.isdigit():
        from datetime import timezone  # noqa: PLC0415

        return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes)))
    try:
        return ZoneInfo(name)
    except Exception:
        raise EvalError(f"unknown time zone {name}") from None


def _part(read: Callable[[datetime], int], whole: float = 0, wrap: int = 0) -> Callable[..., int]:
    def run(value: Any, zone: str = "UTC") -> int:
        if isinstance(value, timedelta):
            found = int(value / timedelta(seconds=1) / whole) if whole else 0
            return int(math.fmod(found, wrap)) if wrap else found
        if not isinstance(value, datetime):
            raise EvalError("no such overload")
        return read(value.astimezone(_zone(zone) if zone != "UTC" else UTC))

    return run


def _matches(text: Any, pattern: Any) -> bool:
    try:
        return re2.found(pattern, text)
    except re2.Unsupported as error:
        raise EvalError(f"error parsing regexp: {error}") from None


def _string(compute: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def run(target: Any, wanted: Any) -> bool:
        if not isinstance(target, str) or not isinstance(wanted, str):
            raise EvalError("no such overload")
        return compute(target, wanted)

    return run


def _bytes_of(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


_ARITHMETIC = ("(int, int): int", "(uint, uint): uint", "(double, double): double")
_MOMENTS = ("(timestamp, duration): timestamp", "(duration, timestamp): timestamp", "(duration, duration): duration")
_PAIRS = ("int, int", "uint, uint", "double, double", "string, string", "bytes, bytes", "bool, bool",
          "timestamp, timestamp", "duration, duration", "int, double", "double, int", "int, uint", "uint, int",
          "uint, double", "double, uint")  # fmt: skip
_ORDERED = tuple(f"({pair}): bool" for pair in _PAIRS)
_SIZED = ("string", "bytes", "list(A)", "map(A, B)")
_TIMED = ("timestamp.(): int", "timestamp.(string): int")
_BOTH = (*_TIMED, "duration.(): int")

TABLE: Table = {
    "_+_": ((*_ARITHMETIC, "(string, string): string", "(bytes, bytes): bytes", "(list(A), list(A)): list(A)", *_MOMENTS), _add),
    "_-_": ((*_ARITHMETIC, "(timestamp, timestamp): duration", _MOMENTS[0], _MOMENTS[2]), _subtract),
    "_*_": (_ARITHMETIC, _MULTIPLY),
    "_/_": (_ARITHMETIC, _divide),
    "_%_": (_ARITHMETIC[:2], _modulo),
    "-_": (("(int): int", "(double): double"), _negate),
    "!_": (("(bool): bool",), _not),
    "_<_": (_ORDERED, _ordered("_<_", operator.lt)),
    "_<=_": (_ORDERED, _ordered("_<=_", operator.le)),
    "_>_": (_ORDERED, _ordered("_>_", operator.gt)),
    "_>=_": (_ORDERED, _ordered("_>=_", operator.ge)),
    "_==_": (("(A, A): bool",), values.equal),
    "_!=_": (("(A, A): bool",), lambda left, right: not values.equal(left, right)),
    "@in": (("(A, list(A)): bool", "(A, map(A, B)): bool"), _in),
    "_[_]": (("(list(A), int): A", "(map(A, B), A): B", "(optional_type(list(A)), int): optional_type(A)",
              "(optional_type(map(A, B)), A): optional_type(B)"), index),
    "_[?_]": (("(list(A), int): optional_type(A)", "(map(A, B), A): optional_type(B)",
               "(optional_type(list(A)), int): optional_type(A)",
               "(optional_type(map(A, B)), A): optional_type(B)"), optional_index),
    "size": ((*(f"({each}): int" for each in _SIZED), *(f"{each}.(): int" for each in _SIZED)), size),
    "string": (tuple(f"({each}): string" for each in
                     ("string", "bool", "int", "uint", "double", "bytes", "timestamp", "duration")), shown),
    "int": (tuple(f"({each}): int" for each in ("int", "uint", "double", "string", "timestamp", "duration")), _to_int),
    "uint": (tuple(f"({each}): uint" for each in ("uint", "int", "double", "string")), _to_uint),
    "double": (tuple(f"({each}): double" for each in ("double", "int", "uint", "string")), _to_double),
    "bool": (("(bool): bool", "(string): bool"), _to_bool),
    "bytes": (("(bytes): bytes", "(string): bytes"), _bytes_of),
    "dyn": (("(A): dyn",), lambda value: value),
    "type": (("(A): type(A)",), lambda value: TypeValue(values.type_of(value))),
    "timestamp": (("(timestamp): timestamp", "(string): timestamp", "(int): timestamp"), to_timestamp),
    "duration": (("(duration): duration", "(string): duration", "(int): duration"), to_duration),
    "contains": (("string.(string): bool",), _string(lambda target, wanted: wanted in target)),
    "startsWith": (("string.(string): bool",), _string(str.startswith)),
    "endsWith": (("string.(string): bool",), _string(str.endswith)),
    "matches": (("string.(string): bool", "(string, string): bool"), _matches),
    "getFullYear": (_TIMED, _part(lambda time: time.year)),
    "getMonth": (_TIMED, _part(lambda time: time.month - 1)),
    "getDayOfYear": (_TIMED, _part(lambda time: time.timetuple().tm_yday - 1)),
    "getDayOfMonth": (_TIMED, _part(lambda time: time.day - 1)),
    "getDate": (_TIMED, _part(lambda time: time.day)),
    "getDayOfWeek": (_TIMED, _part(lambda time: time.isoweekday() % 7)),
    "getHours": (_BOTH, _part(lambda time: time.hour, 3600)),
    "getMinutes": (_BOTH, _part(lambda time: time.minute, 60)),
    "getSeconds": (_BOTH, _part(lambda time: time.second, 1)),
    "getMilliseconds": (_BOTH, _part(lambda time: time.microsecond // 1000, 0.001)),
}  # fmt: skip
