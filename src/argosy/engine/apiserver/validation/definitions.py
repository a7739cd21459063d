"""CustomResourceDefinitions: names and versions that fit, schemas that are structural. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from argosy.errors import Cause
from argosy.meta import causes, names, schema, validation
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj

_APPROVAL = "api-approved.kubernetes.io"
_PROTECTED = ("k8s.io", "kubernetes.io")
_SCOPES = ("Cluster", "Namespaced")
_NESTED = ("allOf", "anyOf", "oneOf")
_NOT_NESTED = (
    "additionalProperties", "default", "description", "nullable", "title", "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
)  # fmt: skip
"""Keywords that shape a value, and so may not stand where values are only checked."""
_LIST_TYPES = ("atomic", "set", "map")
_MAP_TYPES = ("atomic", "granular")


def validate(crd: Obj, old: Obj | None = None) -> list[Cause]:
    """What is wrong with a definition, new or changed."""
    spec = crd.get("spec") or {}
    found = [*_names(crd, spec), *_versions(spec)]
    shared = len({repr((v.get("schema") or {}).get("openAPIV3Schema")) for v in spec.get("versions") or ()}) <= 1
    for index, version in enumerate(spec.get("versions") or ()):
        root = (version.get("schema") or {}).get("openAPIV3Schema")
        place = "spec.validation.openAPIV3Schema" if shared else f"spec.versions[{index}].schema.openAPIV3Schema"
        if root is None:
            found.append(causes.required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required"))
        elif index == 0 or not shared:
            found += _Walk(place).root(root)
    if old is not None and is_true(old, "Established"):
        found += _immutable(spec, old.get("spec") or {})
    return found


def _names(crd: Obj, spec: Obj) -> Iterator[Cause]:
    group, given = spec.get("group") or "", spec.get("names") or {}
    expected = f"{given.get('plural', '')}.{group}"
    name = crd["metadata"].get("name", "")
    if name != expected:
        yield causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if not group:
        yield causes.required("spec.group")
    else:
        yield from (causes.invalid("spec.group", group, why) for why in names.subdomain(group))
        if "." not in group:
            yield causes.invalid("spec.group", group, "should be a domain with at least one dot")
        if any(group == domain or group.endswith(f".{domain}") for domain in _PROTECTED):
            yield from _approval(crd)
    if spec.get("scope") not in _SCOPES:
        yield causes.unsupported("spec.scope", spec.get("scope") or "", _SCOPES)
    for field in ("plural", "singular", "kind", "listKind"):
        value = given.get(field) or ""
        if not value and field in ("plural", "kind"):
            yield causes.required(f"spec.names.{field}")
        elif value:
            yield from (
                causes.invalid(f"spec.names.{field}", value, why)
                for why in names.label_1035(value.lower() if "ind" in field else value)
            )
    if given.get("kind") and given.get("kind") == given.get("listKind"):
        yield causes.invalid("spec.names.listKind", given["listKind"], "kind and listKind may not be the same")


def _approval(crd: Obj) -> Iterator[Cause]:
    place = f"metadata.annotations[{_APPROVAL}]"
    value = (crd["metadata"].get("annotations") or {}).get(_APPROVAL)
    if value is None:
        why = (
            f'protected groups must have approval annotation "{_APPROVAL}", see'
            " https://github.com/kubernetes/enhancements/pull/1111"
        )
        yield causes.required(place, why)
    elif not value.startswith(("unapproved", "http://", "https://")):
        yield causes.invalid(place, value, "protected groups must have approval annotation that is a URL")


def _versions(spec: Obj) -> Iterator[Cause]:
    versions = spec.get("versions") or []
    if not versions:
        yield causes.required("spec.versions", "must have at least one version")
        return
    seen = [version.get("name") or "" for version in versions]
    for index, name in enumerate(seen):
        place = f"spec.versions[{index}].name"
        yield from (causes.invalid(place, name, why) for why in names.label_1035(name))
    if len(set(seen)) != len(seen):
        yield causes.invalid("spec.versions", _told(versions), "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield causes.invalid("spec.versions", _told(versions), why)


def _told(versions: list[Obj]) -> list[Obj]:
    return [{field: v.get(field) for field in ("name", "served", "storage")} for v in versions]


def _immutable(spec: Obj, old: Obj) -> Iterator[Cause]:
    for path in (("scope",), ("group",), ("names", "kind"), ("names", "plural")):
        now: Any = spec
        before: Any = old
        for step in path:
            now, before = (now or {}).get(step), (before or {}).get(step)
        if now != before:
            yield causes.invalid(f"spec.{'.'.join(path)}", now, "field is immutable")


@dataclass(frozen=True, slots=True)
class _Walk:
    """Walks a schema from the place where it stands in the definition."""

    place: str

    def root(self, raw: Obj) -> Iterator[Cause]:
        """The whole schema."""
        kind = raw.get("type") or ""
        if not kind:
            yield causes.required(f"{self.place}.type", "must not be empty at the root")
        elif kind != "object":
            yield causes.invalid(f"{self.place}.type", kind, "must be object at the root")
            return
        yield from self.visit(raw, self.place, at_root=True)

    def visit(self, raw: Obj, place: str, *, at_root: bool = False) -> Iterator[Cause]:
        """One schema and what is in it."""
        yield from _keywords(raw, place)
        if "default" in raw and not at_root:
            yield from _default(raw, place)
        for keyword in _NESTED:
            for index, part in enumerate(raw.get(keyword) or ()):
                yield from self.nested(part, f"{place}.{keyword}[{index}]", raw)
        if isinstance(raw.get("not"), dict):
            yield from self.nested(raw["not"], f"{place}.not", raw)
        for name, part in sorted((raw.get("properties") or {}).items()):
            inner = f"{place}.properties[{name}]"
            if at_root and name == "metadata":
                if set(part.get("properties") or ()) - {"name", "generateName"}:
                    why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
                    yield causes.forbidden(inner, why)
                continue
            yield from _typed(part, inner, "must not be empty for specified object fields")
            yield from self.visit(part, inner)
        items = raw.get("items")
        if isinstance(items, list):
            yield causes.forbidden(f"{place}.items", "items must be a schema object and not an array")
        elif isinstance(items, dict):
            yield from _typed(items, f"{place}.items", "must not be empty for specified array items")
            yield from self.visit(items, f"{place}.items")
        extra = raw.get("additionalProperties")
        if isinstance(extra, dict):
            inner = f"{place}.additionalProperties"
            yield from _typed(extra, inner, "must not be empty for specified object fields")
            yield from self.visit(extra, inner)

    def nested(self, raw: Obj, place: str, outer: Obj) -> Iterator[Cause]:
        """A schema that only checks values: nothing in it may shape them."""
        if raw.get("type") and not outer.get("x-kubernetes-int-or-string"):
            yield causes.forbidden(f"{place}.type", "must be empty to be structural")
        for keyword in _NOT_NESTED:
            if raw.get(keyword):
                word = "undefined" if keyword in ("additionalProperties", "default") else "empty"
                word = "false" if raw[keyword] is True else word
                yield causes.forbidden(f"{place}.{keyword}", f"must be {word} to be structural")
        for keyword in _NESTED:
            for index, part in enumerate(raw.get(keyword) or ()):
                yield from self.nested(part, f"{place}.{keyword}[{index}]", outer)
        for name, part in sorted((raw.get("properties") or {}).items()):
            yield from self.nested(part, f"{place}.properties[{name}]", (outer.get("properties") or {}).get(name) or {})
        if isinstance(raw.get("items"), dict):
            inner = outer.get("items")
            yield from self.nested(raw["items"], f"{place}.items", inner if isinstance(inner, dict) else {})


def _typed(raw: Obj, place: str, why: str) -> Iterator[Cause]:
    free = raw.get("x-kubernetes-int-or-string") or raw.get("x-kubernetes-preserve-unknown-fields")
    if not raw.get("type") and not free:
        yield causes.required(f"{place}.type", why)


def _keywords(raw: Obj, place: str) -> Iterator[Cause]:
    if raw.get("$ref"):
        yield causes.forbidden(f"{place}.$ref", "$ref is not supported")
    if raw.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield causes.forbidden(f"{place}.uniqueItems", why)
    if raw.get("properties") and raw.get("additionalProperties"):
        why = "additionalProperties and properties are mutual exclusive"
        yield causes.forbidden(f"{place}.additionalProperties", why)
    kind = raw.get("x-kubernetes-map-type")
    if kind and kind not in _MAP_TYPES:
        yield causes.unsupported(f"{place}.x-kubernetes-map-type", kind, _MAP_TYPES)
    yield from _list_type(raw, place)


def _list_type(raw: Obj, place: str) -> Iterator[Cause]:
    kind, keys = raw.get("x-kubernetes-list-type"), raw.get("x-kubernetes-list-map-keys") or ()
    items = raw.get("items") if isinstance(raw.get("items"), dict) else {}
    if kind and kind not in _LIST_TYPES:
        yield causes.unsupported(f"{place}.x-kubernetes-list-type", kind, _LIST_TYPES)
    if kind and raw.get("type") != "array":
        why = "must be array if x-kubernetes-list-type is specified"
        yield causes.invalid(f"{place}.type", raw.get("type") or "", why)
    if kind == "set" and items is not None:
        atomic = items.get("x-kubernetes-map-type") == "atomic" or items.get("x-kubernetes-list-type") == "atomic"
        why = "must be atomic as item of a list with x-kubernetes-list-type=set"
        if items.get("type") == "object" and not atomic:
            value = items.get("x-kubernetes-map-type")
            yield causes.invalid(f"{place}.items.x-kubernetes-map-type", value, why)
        elif items.get("type") == "array" and items.get("x-kubernetes-list-type") not in (None, "atomic"):
            value = items.get("x-kubernetes-list-type")
            yield causes.invalid(f"{place}.items.x-kubernetes-list-type", value, why)
    if kind == "map":
        yield from _map_keys(raw, place, items or {})
    elif keys:
        why = "must be empty if x-kubernetes-list-type is not map"
        yield causes.invalid(f"{place}.x-kubernetes-list-type", kind or "", why)


def _map_keys(raw: Obj, place: str, items: Obj) -> Iterator[Cause]:
    keys = raw.get("x-kubernetes-list-map-keys") or ()
    if not keys:
        why = "must not be empty if x-kubernetes-list-type is map"
        yield causes.required(f"{place}.x-kubernetes-list-map-keys", why)
    if items.get("type") != "object":
        why = "must be object if parent array's x-kubernetes-list-type is map"
        yield causes.invalid(f"{place}.items.type", items.get("type") or "", why)
        return
    properties = items.get("properties") or {}
    required = items.get("required") or ()
    for index, key in enumerate(keys):
        inner = f"{place}.items.properties[{key}]"
        if key not in properties:
            why = "entries must all be names of item properties"
            yield causes.invalid(f"{place}.x-kubernetes-list-map-keys[{index}]", key, why)
        elif properties[key].get("type") in ("object", "array"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield causes.invalid(f"{inner}.type", properties[key]["type"], why)
        elif key not in required and "default" not in properties[key]:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield causes.required(f"{inner}.default", why)


def _default(raw: Obj, place: str) -> Iterator[Cause]:
    """A default must be what the schema takes."""
    for cause in validation.validate(raw["default"], schema.structural(raw)):
        inner = f".{cause.field}" if cause.field else ""
        yield Cause(cause.reason, cause.message, f"{place}.default{inner}")
