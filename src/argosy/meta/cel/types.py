"""CEL's types, and the types that schemas give to the values of custom objects.

`check` asks here whether a value may stand where another type is wanted; `cost` reads the bounds of size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from argosy.meta.cel.syntax import RESERVED
from argosy.meta.json import Obj

UNBOUNDED = float("inf")
_REQUEST_BYTES = 3 * 1024 * 1024
_SHOWN = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration", "null_type": "null"}


@dataclass(frozen=True, slots=True)
class Type:
    """One type. `fields` are an object's, by the names that expressions use; `size` bounds length or number of items."""

    name: str
    params: tuple[Type, ...] = ()
    fields: Mapping[str, tuple[str, Type]] | None = field(default=None, compare=False)
    """Name in expressions → (name in the data, type)."""
    size: float = field(default=UNBOUNDED, compare=False)
    least: int = field(default=0, compare=False)
    """The fewest bytes that a value takes in a request."""

    def __str__(self) -> str:
        name = _SHOWN.get(self.name, self.name)
        return f"{name}({', '.join(map(str, self.params))})" if self.params else name


DYN, BOOL, INT, UINT, DOUBLE = Type("dyn"), Type("bool"), Type("int"), Type("uint"), Type("double")
STRING, BYTES, NULL = Type("string"), Type("bytes"), Type("null_type")
TIMESTAMP, DURATION = Type("timestamp"), Type("duration")
SIMPLE = {each.name: each for each in (DYN, BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, TIMESTAMP, DURATION)}
_NULLABLE = frozenset({"object", "timestamp", "duration", "optional_type", "null_type"})


def list_of(item: Type, size: float = UNBOUNDED) -> Type:
    """A list's type."""
    return Type("list", (item,), size=size, least=2)


def map_of(key: Type, value: Type, size: float = UNBOUNDED) -> Type:
    """A map's type."""
    return Type("map", (key, value), size=size, least=2)


def optional_of(inner: Type) -> Type:
    """The type of what may be missing."""
    return Type("optional_type", (inner,))


def is_variable(type: Type) -> bool:
    """Whether it is a parameter (`A`) of a function's signature."""
    return len(type.name) == 1


def assignable(wanted: Type, given: Type, bound: dict[str, Type]) -> bool:
    """Whether a value of one type may stand where another is wanted; fills in what the parameters stand for."""
    if is_variable(wanted):
        known = bound.get(wanted.name)
        if known is None or known.name == "dyn":
            bound[wanted.name] = given
            return True
        if assignable(known, given, bound):
            return True
        if assignable(given, known, bound):
            bound[wanted.name] = given
            return True
        return False
    if "dyn" in (wanted.name, given.name):
        return True
    if given.name == "null_type" and wanted.name in _NULLABLE:
        return True
    if wanted.name == "object" and given.name == "object":
        return wanted.fields is given.fields or wanted.fields == given.fields
    return (
        wanted.name == given.name
        and len(wanted.params) == len(given.params)
        and all(assignable(mine, theirs, bound) for mine, theirs in zip(wanted.params, given.params, strict=True))
    )


def filled(type: Type, bound: Mapping[str, Type]) -> Type:
    """A signature's type with its parameters replaced; what nothing is known of is dynamic."""
    if is_variable(type):
        return bound.get(type.name, DYN)
    if not type.params:
        return type
    return Type(type.name, tuple(filled(each, bound) for each in type.params))


def escaped(name: str) -> str | None:
    """How expressions write a field's name; None where they cannot."""
    if name in RESERVED or name in ("true", "false", "null"):
        return f"__{name}__"
    if not name or not all(c.isascii() and (c.isalnum() or c in "_./-") for c in name) or name[0].isdigit():
        return None
    made = name.replace("__", "__underscores__").replace(".", "__dot__").replace("-", "__dash__")
    return made.replace("/", "__slash__")


_META = Type(
    "object", fields={"name": ("name", Type("string", size=_REQUEST_BYTES, least=2)),
                      "generateName": ("generateName", Type("string", size=_REQUEST_BYTES, least=2))}, least=2,
)  # fmt: skip
_TEXT = Type("string", size=_REQUEST_BYTES - 2, least=2)
_FORMATS = {
    "byte": Type("bytes", size=_REQUEST_BYTES - 2, least=2),
    "duration": Type("duration", size=_REQUEST_BYTES - 2, least=3),
    "date": Type("timestamp", size=12, least=12),
    "date-time": Type("timestamp", size=34, least=22),
}
_SIMPLEST = {
    "boolean": Type("bool", size=1, least=4),
    "integer": Type("int", size=1, least=1),
    "number": Type("double", size=1, least=1),
}


def of_schema(raw: Obj, *, resource: bool = False) -> Type | None:
    """The type of what a structural schema describes; None for what expressions cannot look into."""
    if raw.get("x-kubernetes-int-or-string"):
        return Type("dyn", size=_REQUEST_BYTES - 2, least=1)
    kind = raw.get("type")
    if kind == "array":
        return _list(raw)
    if kind == "object":
        return _object(raw, resource=resource or bool(raw.get("x-kubernetes-embedded-resource")))
    return _text(raw) if kind == "string" else _SIMPLEST.get(str(kind))


def _list(raw: Obj) -> Type | None:
    items = of_schema(raw.get("items") or {})
    if items is None:
        return None
    most = raw.get("maxItems")
    return list_of(items, max(most, 0) if most is not None else _most(items.least))


def _most(least: int) -> int:
    """How many values of so many bytes fit into a request."""
    return (_REQUEST_BYTES - 2) // (least + 1)


def _object(raw: Obj, *, resource: bool) -> Type | None:
    extra = raw.get("additionalProperties")
    if isinstance(extra, dict):
        value = of_schema(extra)
        if value is None:
            return None
        most = raw.get("maxProperties")
        # A key takes its quotes, a colon and at least one character.
        return map_of(_TEXT, value, max(most, 0) if most is not None else _most(value.least + 5))
    fields: dict[str, tuple[str, Type]] = {}
    least = 2
    required: Iterable[str] = raw.get("required") or ()
    for name, inner in (raw.get("properties") or {}).items():
        made = _META if resource and name == "metadata" else of_schema(inner)
        usable = escaped(name)
        if made is None:
            continue
        if usable is not None:
            fields[usable] = (name, made)
        if name in RESERVED:
            # Such a word cannot be a variable, but may follow a dot.
            fields[name] = (name, made)
        if name in required and "default" not in inner:
            least += len(name) + made.least + 4
    if resource:
        fields["apiVersion"], fields["kind"] = ("apiVersion", _TEXT), ("kind", _TEXT)
        fields["metadata"] = ("metadata", _META)
    return Type("object", fields=fields, least=least)


def _text(raw: Obj) -> Type:
    made = _FORMATS.get(raw.get("format", ""))
    if made is not None:
        return made
    longest = raw.get("maxLength")
    if longest is not None:
        # A character may take four bytes.
        return Type("string", size=max(longest, 0) * 4, least=2)
    if raw.get("enum"):
        return Type("string", size=max(len(str(each)) for each in raw["enum"]), least=2)
    return _TEXT
