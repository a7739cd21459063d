"""CustomResourceDefinitions made from our own kinds, so that any cluster can be taught them.

An operator writes its schema by hand and names built-in definitions where it embeds them
(`{"$builtin": "io.k8s.api.core.v1.PodTemplateSpec"}`); here they are written out as a structural schema, for a CRD may not
refer. `argosy up` and `argosy operators` apply what comes out.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from argosy.meta import pack
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Column, Kind

_KEPT = (
    "type", "format", "enum", "required", "default", "minimum", "maximum", "pattern", "nullable",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
)  # fmt: skip
_OPEN: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_DEFAULTED_KEYS = {"protocol": "TCP"}
"""Keys of list maps that the built-in API defaults: a structural schema must make them required or default them."""


_NAMED_BY_DEFAULT = frozenset(
    f"io.k8s.api.core.v1.{name}"
    for name in (
        "LocalObjectReference", "ConfigMapEnvSource", "ConfigMapKeySelector", "ConfigMapProjection", "ConfigMapVolumeSource",
        "SecretEnvSource", "SecretKeySelector", "SecretProjection",
    )
)  # fmt: skip
"""Definitions whose `name` the built-in API's own CRDs default to the empty string, as it always was on the wire."""


MADE_FROM = "argosy.dev/made-from"
"""On a CustomResourceDefinition that came with Argosy: its `fingerprint`. Making and checking a whole schema takes longer
than the rest of a start, and most starts would change nothing. A definition that carries it gives way to one that a person
creates: install instructions of the kinds' own projects say `kubectl create`.
"""


def crd_for(kind: Kind, *others: Kind) -> Obj:
    """The CustomResourceDefinition of a kind that carries its schema; `others` are its further versions, served alike."""
    names: Obj = {"plural": kind.plural, "singular": kind.singular, "kind": kind.kind, "listKind": kind.list_kind}
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    if kind.categories:
        names["categories"] = list(kind.categories)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(version, storage=version is kind) for version in (kind, *others)],
        },
    }


def _version(kind: Kind, *, storage: bool) -> Obj:
    schema = expand(dict(kind.schema or _OPEN))
    schema.setdefault("type", "object")
    properties = schema.setdefault("properties", {})
    properties.setdefault("apiVersion", {"type": "string"})
    properties.setdefault("kind", {"type": "string"})
    properties["metadata"] = {"type": "object"}
    version: Obj = {
        "name": kind.version,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": schema},
    }
    columns = [_column(column) for column in kind.columns if column.path]
    if columns:
        version["additionalPrinterColumns"] = columns
    subresources = _subresources(kind)
    if subresources:
        version["subresources"] = subresources
    return version


def fingerprint(kind: Kind, *others: Kind) -> str:
    """Changes whenever `crd_for` of these would give something else, and takes a hundredth of its time."""
    digest = hashlib.sha256(_makers())
    for version in (kind, *others):
        names = [version.group, version.version, version.kind, version.plural, version.short_names, version.categories]
        ways = [version.namespaced, sorted(version.subresources), version.scale]
        columns = [[c.name, c.path, c.type, c.priority, c.format, c.description] for c in version.columns]
        digest.update(encode([names, ways, columns, dict(version.schema or {})]))
    return digest.hexdigest()[:16]


@cache
def _makers() -> bytes:
    """What else goes into a definition: this module, and the built-in definitions it writes out."""
    return hashlib.sha256(Path(__file__).read_bytes() + pack.digest()).digest()


def expand(schema: Obj) -> Obj:
    """A schema with every `$builtin` written out. What stands beside it goes before it; `properties` are merged into its,
    at every depth, so that a default deep in a definition is said by the path to it alone.
    """
    if "$builtin" in schema:
        rest = expand({key: value for key, value in schema.items() if key != "$builtin"})
        return _into(_builtin(str(schema["$builtin"]), ()), rest)
    expanded: Obj = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties") and isinstance(value, dict):
            expanded[key] = {name: expand(part) for name, part in value.items()}
        elif key in ("items", "additionalProperties", "not") and isinstance(value, dict):
            expanded[key] = expand(value)
        elif key in ("allOf", "anyOf", "oneOf"):
            expanded[key] = [expand(part) for part in value]
        else:
            expanded[key] = value
    return expanded


def _into(named: Obj, given: Obj) -> Obj:
    """A definition with a schema merged into it. Changes the definition, which is fresh."""
    properties = named.get("properties", {})
    for name, schema in given.get("properties", {}).items():
        properties[name] = _into(properties[name], schema) if name in properties else schema
    merged = {**named, **given}
    return merged | {"properties": properties} if properties else merged


def _builtin(name: str, above: tuple[str, ...]) -> Obj:
    """A definition written out. One that contains itself (JSONSchemaProps) ends as an open object."""
    if name in above:
        return dict(_OPEN)
    made = _written_out(pack.raw_definition(name), (*above, name))
    if name in _NAMED_BY_DEFAULT:
        made["properties"]["name"].setdefault("default", "")
    return made


def _written_out(raw: Obj, above: tuple[str, ...]) -> Obj:
    if "$ref" in raw:
        named = _builtin(str(raw["$ref"]).rpartition("/")[2], above)
        return {**named, **{key: raw[key] for key in _KEPT if key in raw}}
    format_ = raw.get("format")
    if format_ in ("int-or-string", "quantity"):
        return {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    made: Obj = {key: raw[key] for key in _KEPT if key in raw}
    if "properties" in raw:
        made["type"] = "object"
        made["properties"] = {name: _written_out(part, above) for name, part in raw["properties"].items()}
    elif isinstance(raw.get("additionalProperties"), dict):
        made["type"] = "object"
        made["additionalProperties"] = _written_out(raw["additionalProperties"], above)
    elif "items" in raw:
        made["type"] = "array"
        made["items"] = _written_out(raw["items"], above)
        _complete_keys(made)
    elif made.get("type", "object") == "object":
        return {**made, **_OPEN}
    return made


def _complete_keys(made: Obj) -> None:
    """Keys of a list map must be required or have a default in a structural schema."""
    item = made["items"]
    for key in made.get("x-kubernetes-list-map-keys", ()):
        field = item.get("properties", {}).get(key)
        if field is None or "default" in field or key in item.get("required", ()):
            continue
        if key in _DEFAULTED_KEYS:
            field.setdefault("default", _DEFAULTED_KEYS[key])
        else:
            item["required"] = sorted({*item.get("required", ()), key})


def _column(column: Column) -> Obj:
    made: Obj = {"name": column.name, "type": column.type, "jsonPath": column.path}
    rest = {"priority": column.priority, "format": column.format, "description": column.description}
    return made | {key: value for key, value in rest.items() if value}


def _subresources(kind: Kind) -> Obj:
    made: Obj = {}
    if "status" in kind.subresources:
        made["status"] = {}
    if "scale" in kind.subresources and kind.scale is not None:
        spec, status, selector = kind.scale
        made["scale"] = {"specReplicasPath": spec, "statusReplicasPath": status, "labelSelectorPath": selector}
    return made
