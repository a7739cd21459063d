"""Schemas: what the fields of a kind are, for built-in kinds (from the pack) and custom ones (from their CRD) alike.

A `Schema` is compiled from JSON once, lazily, property by property, and then answers by attribute access. Everything
that walks objects walks along these: `decode` (typed decoding of built-in objects), `structural` (validation, pruning
and defaulting of custom ones), `strategic`, `apply` (merges) and `openapi`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from argosy.meta.json import Obj

ANY: Final = 0
STRING: Final = 1
INTEGER: Final = 2
BOOLEAN: Final = 3
NUMBER: Final = 4
STRUCT: Final = 5
MAP: Final = 6
LIST: Final = 7
INT_OR_STRING: Final = 8
QUANTITY: Final = 9
TIME: Final = 10
BYTES: Final = 11
SCHEMA_OR: Final = 12
"""A JSON schema, or a boolean, list of schemas or list of strings in its place (inside of CRDs)."""

_TYPES = {"string": STRING, "integer": INTEGER, "boolean": BOOLEAN, "number": NUMBER, "array": LIST}
_FORMATS = {"int-or-string": INT_OR_STRING, "quantity": QUANTITY, "date-time": TIME, "byte": BYTES}
_JSON_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_OPAQUE = ("pkg.runtime.RawExtension", "meta.v1.FieldsV1", "apiextensions.v1.JSON", "meta.v1.Patch")

Resolve = Callable[[str], Obj]
"""The raw schema of a definition by its name."""


class Schema:
    """One compiled schema. `fields`, `items` and `values` are compiled when first asked for."""

    __slots__ = (
        "_resolve",
        "_structural",
        "checks",
        "code",
        "default",
        "fields",
        "fills",
        "form",
        "format",
        "gvk",
        "items",
        "list_type",
        "map_keys",
        "map_type",
        "merge_key",
        "merge_strategy",
        "name",
        "nullable",
        "own",
        "preserve",
        "raw",
        "required",
        "rules",
        "steps",
        "values",
        "zero",
    )

    fields: dict[str, Schema]
    """Of a STRUCT: its properties. A structural schema may have both fields and `values`."""
    fills: tuple[tuple[str, Schema], ...]
    """Of a STRUCT of the pack: what a typed server writes even when unset."""
    items: Schema
    """Of a LIST."""
    checks: Any
    """What `validation` compiled for it, None before."""
    rules: Any
    """What `cel.rules` compiled for it, None before."""
    form: Any
    """How `typed` takes values of it, None before it has looked."""
    steps: dict[str, tuple[str, Schema]]
    """Of a STRUCT: the path elements and schemas of fields that `typed` has met."""
    values: Schema | None
    """Of a MAP (or a STRUCT with additionalProperties)."""

    def __init__(self, own: Obj, resolve: Resolve | None = None) -> None:
        name = own.get("$ref", "")
        raw = resolve(name) if resolve is not None and name else own
        self._resolve = resolve
        self._structural = resolve is None
        self.checks = None
        self.rules = None
        self.form = None
        self.own: Final = own
        """The property's own keywords, which stand over those of the definition it refers to."""
        self.raw: Final = raw
        """The keywords of the definition, or of the property where it refers to none."""
        self.name: Final[str] = name
        self.code: Final[int] = _structural_code(raw) if resolve is None else _pack_code(name, raw)
        self.format: Final[str] = raw.get("format", "")
        self.required: Final[tuple[str, ...]] = tuple(raw.get("required") or ())
        self.default: Final[Any] = own.get("default")
        self.nullable: Final[bool] = bool(own.get("nullable"))
        self.preserve: Final[bool] = bool(own.get("x-kubernetes-preserve-unknown-fields"))
        self.list_type: Final[str] = own.get("x-kubernetes-list-type", "")
        self.map_keys: Final[tuple[str, ...]] = tuple(own.get("x-kubernetes-list-map-keys") or ())
        self.map_type: Final[str] = own.get("x-kubernetes-map-type") or raw.get("x-kubernetes-map-type", "")
        self.merge_key: Final[str] = own.get("x-kubernetes-patch-merge-key", "")
        self.merge_strategy: Final[tuple[str, ...]] = tuple(
            part for part in str(own.get("x-kubernetes-patch-strategy", "")).split(",") if part
        )
        self.zero: Final[str] = own.get("zero", "")

    @property
    def structural(self) -> bool:
        """Whether it comes from a CRD."""
        return self._structural

    def child(self, raw: Obj) -> Schema:
        """A schema nested in this one."""
        if self._resolve is not None and raw.keys() == {"$ref"}:
            return defined(raw["$ref"], self._resolve)
        return Schema(raw, self._resolve)

    def __getattr__(self, name: str) -> Any:
        # Only reached while a slot is still empty: this is what makes compilation lazy.
        if name == "fields":
            if self._resolve is not None and self.name and self.own.keys() != {"$ref"}:
                self.fields = defined(self.name, self._resolve).fields
                return self.fields
            self.fields = {key: self.child(raw) for key, raw in (self.raw.get("properties") or {}).items()}
            return self.fields
        if name == "fills":
            self.fills = tuple((key, field) for key, field in self.fields.items() if field.zero in ("fill", "null"))
            return self.fills
        if name == "steps":
            self.steps = {}
            return self.steps
        if name == "items":
            inner = self.raw.get("items")
            self.items = self.child(inner) if isinstance(inner, dict) else _ANYTHING
            return self.items
        if name == "values":
            self.values = self._values()
            return self.values
        raise AttributeError(name)

    def _values(self) -> Schema | None:
        if self.name.startswith(_JSON_SCHEMA):
            return self.child({"$ref": _JSON_SCHEMA})
        inner = self.raw.get("additionalProperties")
        if isinstance(inner, dict):
            return self.child(inner)
        return _ANYTHING if inner is True else None

    def at(self, *path: str) -> Schema | None:
        """The schema of a field below this one, or None; list items and map values are entered by any name."""
        schema: Schema | None = self
        for step in path:
            if schema is None:
                return None
            if schema.code == LIST:
                schema = schema.items
            elif step in schema.fields:
                schema = schema.fields[step]
            else:
                schema = schema.values
        return schema

    def __repr__(self) -> str:
        return f"<Schema {self.name or self.raw.get('type', 'any')}>"


def _pack_code(name: str, raw: Mapping[str, Any]) -> int:
    if name.startswith(_JSON_SCHEMA) and name != _JSON_SCHEMA:
        return SCHEMA_OR
    if name.endswith(_OPAQUE):
        return ANY
    if raw.get("format") in _FORMATS and raw.get("type") == "string":
        return _FORMATS[raw["format"]]
    if "properties" in raw:
        return STRUCT
    if raw.get("type") == "object":
        return MAP if "additionalProperties" in raw else STRUCT
    return _TYPES.get(raw.get("type", ""), ANY)


def _structural_code(raw: Mapping[str, Any]) -> int:
    if raw.get("x-kubernetes-int-or-string"):
        return INT_OR_STRING
    if raw.get("type") == "object":
        return MAP if isinstance(raw.get("additionalProperties"), dict) and not raw.get("properties") else STRUCT
    return _TYPES.get(raw.get("type", ""), ANY)


_ANYTHING = Schema({})


@cache
def defined(name: str, resolve: Resolve) -> Schema:
    """The definition of this name, one for all that refer to it: some definitions contain themselves."""
    return Schema({"$ref": name}, resolve)


def structural(raw: Obj) -> Schema:
    """Compile the `openAPIV3Schema` of a CRD version."""
    return Schema(raw)
