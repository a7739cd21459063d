"""Rules of CustomResourceDefinitions: names, versions, and that every schema is structural."""

from __future__ import annotations

from typing import Any

from argosy.meta import causes, names
from argosy.meta.json import Obj, thaw
from argosy.meta.rules.fields import Found, one_of, required, say
from argosy.meta.schema import structural
from argosy.meta.structural import prune
from argosy.meta.validation import has_rules, validate

_APPROVED = "api-approved.kubernetes.io"
_PROTECTED = ("k8s.io", "kubernetes.io")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_VALUE_FREE = ("type", "additionalProperties", "default", "nullable", "title", "description")
_METADATA = ("name", "generateName")


def check(new: Obj, old: Obj | None) -> Found:
    """The kind CustomResourceDefinition."""
    found: Found = []
    spec = new["spec"]
    wanted = f"{spec['names'].get('plural', '')}.{spec.get('group', '')}"
    if new["metadata"].get("name") != wanted:
        message = 'must be spec.names.plural+"."+spec.group'
        found.append(causes.invalid("metadata.name", new["metadata"].get("name"), message))
    _group(found, new)
    scope = spec.get("scope")
    if required(found, "spec.scope", scope):
        one_of(found, "spec.scope", scope, ("Cluster", "Namespaced"))
    _names(found, "spec.names", spec["names"])
    _versions(found, spec)
    _conversion(found, spec.get("conversion") or {})
    if old is not None:
        _update(found, spec, old)
    return found


def _group(found: Found, new: Obj) -> None:
    group = new["spec"].get("group") or ""
    if required(found, "spec.group", group):
        complaints = names.subdomain(group)
        say(found, "spec.group", group, complaints)
        if not complaints and "." not in group:
            found.append(causes.invalid("spec.group", group, "should be a domain with at least one dot"))
    protected = any(group == each or group.endswith(f".{each}") for each in _PROTECTED)
    if protected and not (new["metadata"].get("annotations") or {}).get(_APPROVED):
        message = (
            f'protected groups must have approval annotation "{_APPROVED}", see'
            " https://github.com/kubernetes/enhancements/pull/1111"
        )
        found.append(causes.required(f"metadata.annotations[{_APPROVED}]", message))


def _names(found: Found, path: str, value: Obj) -> None:
    for key in ("plural", "singular", "kind", "listKind"):
        name = value.get(key) or ""
        if key in ("plural", "kind", "listKind") and not required(found, f"{path}.{key}", name):
            continue
        if name:
            lowered = name.lower() if key in ("kind", "listKind") else name
            complaints = names.label_1035(lowered)
            if key in ("kind", "listKind"):
                complaints = [f"may have mixed case, but should otherwise match: {each}" for each in complaints]
            say(found, f"{path}.{key}", name, complaints)
    for key in ("shortNames", "categories"):
        for index, name in enumerate(value.get(key) or ()):
            say(found, f"{path}.{key}[{index}]", name, names.label_1035(name))
    if value.get("kind") and value.get("kind") == value.get("listKind"):
        found.append(causes.invalid(f"{path}.listKind", value["listKind"], "kind and listKind may not be the same"))


def _versions(found: Found, spec: Obj) -> None:
    versions = spec.get("versions") or []
    given = [each.get("name") or "" for each in versions]
    for index, name in enumerate(given):
        say(found, f"spec.versions[{index}].name", name, names.label_1035(name))
    if len(set(given)) != len(given):
        found.append(causes.invalid("spec.versions", versions, "must contain unique version names"))
    if sum(bool(each.get("storage")) for each in versions) != 1:
        message = "must have exactly one version marked as storage version"
        found.append(causes.invalid("spec.versions", versions, message))
    schemas = [(each.get("schema") or {}).get("openAPIV3Schema") for each in versions]
    same = bool(schemas) and all(each == schemas[0] for each in schemas)
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        _columns(found, f"{path}.additionalPrinterColumns", version.get("additionalPrinterColumns"))
        _scale(found, path, (version.get("subresources") or {}).get("scale"))
        raw = schemas[index]
        if raw is None:
            found.append(causes.required(f"{path}.schema.openAPIV3Schema", "schemas are required"))
        elif not same:
            _schema(found, f"{path}.schema.openAPIV3Schema", raw)
    if same and schemas[0] is not None:
        _schema(found, "spec.validation.openAPIV3Schema", schemas[0])


def _columns(found: Found, path: str, columns: list[Obj] | None) -> None:
    for index, column in enumerate(columns or ()):
        place = f"{path}[{index}]"
        required(found, f"{place}.name", column.get("name"))
        kind = column.get("type")
        if not kind:
            found.append(causes.required(f"{place}.type", f"must be one of {','.join(_COLUMN_TYPES)}"))
        elif kind not in _COLUMN_TYPES:
            found.append(causes.invalid(f"{place}.type", kind, f"must be one of {','.join(_COLUMN_TYPES)}"))
        required(found, f"{place}.jsonPath", column.get("jsonPath"))


def _scale(found: Found, path: str, scale: Obj | None) -> None:
    if scale is None:
        return
    for key, below in (("specReplicasPath", "spec"), ("statusReplicasPath", "status")):
        value = scale.get(key) or ""
        place = f"{path}.subresources.scale.{key}"
        if required(found, place, value) and not value.startswith(f".{below}."):
            found.append(causes.invalid(place, value, f"should be a json path under .{below}"))
    selector = scale.get("labelSelectorPath")
    if selector and not selector.startswith((".spec.", ".status.")):
        message = "should be a json path under either .spec or .status"
        found.append(causes.invalid(f"{path}.subresources.scale.labelSelectorPath", selector, message))


def _conversion(found: Found, conversion: Obj) -> None:
    strategy = conversion.get("strategy")
    if strategy not in (None, "", "None", "Webhook"):
        found.append(causes.unsupported("spec.conversion.strategy", strategy, ("None", "Webhook")))
    elif strategy == "Webhook" and not (conversion.get("webhook") or {}).get("clientConfig"):
        message = "required when strategy is set to Webhook"
        found.append(causes.required("spec.conversion.webhookClientConfig", message))


def _update(found: Found, spec: Obj, old: Obj) -> None:
    before = old["spec"]
    for path, new_value, old_value in (
        ("spec.scope", spec.get("scope"), before.get("scope")),
        ("spec.names.kind", spec["names"].get("kind"), before["names"].get("kind")),
        ("spec.group", spec.get("group"), before.get("group")),
        ("spec.names.plural", spec["names"].get("plural"), before["names"].get("plural")),
    ):
        if new_value != old_value:
            found.append(causes.invalid(path, new_value, "field is immutable"))
    served = {each.get("name") for each in spec.get("versions") or ()}
    for index, stored in enumerate((old.get("status") or {}).get("storedVersions") or ()):
        if stored not in served:
            message = f"missing from spec.versions; {stored} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {stored} and removes {stored} from status.storedVersions"
            found.append(causes.invalid(f"status.storedVersions[{index}]", stored, message))


def _schema(found: Found, path: str, raw: Obj) -> None:
    """A whole schema: that it is structural, then that its rules make sense."""
    _root(found, path, raw)
    if has_rules(raw):
        from argosy.meta.cel.definitions import complaints  # noqa: PLC0415 (many clusters never see a rule)

        found.extend(complaints(raw, path))


def _root(found: Found, path: str, raw: Obj) -> None:
    if raw.get("type") != "object":
        if raw.get("type"):
            found.append(causes.invalid(f"{path}.type", raw["type"], "must be object at the root"))
        else:
            found.append(causes.required(f"{path}.type", "must not be empty at the root"))
    if raw.get("nullable"):
        found.append(causes.forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    _node(found, path, raw, root=True)


def _node(found: Found, path: str, raw: Obj, *, root: bool = False) -> None:
    """One schema: that it is structural, then what hangs below it."""
    _keywords(found, path, raw)
    if root or raw.get("x-kubernetes-embedded-resource"):
        _metadata(found, path, raw)
    for name, inner in (raw.get("properties") or {}).items():
        place = f"{path}.properties[{name}]"
        _typed(found, place, inner, "specified object fields")
        _node(found, place, inner)
    extra = raw.get("additionalProperties")
    if isinstance(extra, dict):
        if raw.get("properties"):
            found.append(causes.forbidden(f"{path}.additionalProperties", "must not be used together with properties"))
        _typed(found, f"{path}.additionalProperties", extra, "specified object fields")
        _node(found, f"{path}.additionalProperties", extra)
    if raw.get("type") == "array" and not isinstance(raw.get("items"), dict):
        found.append(causes.required(f"{path}.items", "must be specified"))
    if isinstance(raw.get("items"), dict):
        _typed(found, f"{path}.items", raw["items"], "specified array items")
        _node(found, f"{path}.items", raw["items"])
    _list(found, path, raw)
    for junctor in _JUNCTORS:
        for index, part in enumerate(raw.get(junctor) or ()):
            _value_part(found, f"{path}.{junctor}[{index}]", part, raw)
    if isinstance(raw.get("not"), dict):
        _value_part(found, f"{path}.not", raw["not"], raw)
    if "default" in raw:
        _default(found, f"{path}.default", raw)


def _typed(found: Found, path: str, raw: Obj, where: str) -> None:
    untyped = raw.get("x-kubernetes-int-or-string") or raw.get("x-kubernetes-preserve-unknown-fields")
    if not raw.get("type") and not untyped:
        found.append(causes.required(f"{path}.type", f"must not be empty for {where}"))


def _keywords(found: Found, path: str, raw: Obj) -> None:
    if raw.get("uniqueItems"):
        message = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(causes.forbidden(f"{path}.uniqueItems", message))
    for key in ("definitions", "dependencies", "patternProperties", "id", "additionalItems"):
        if raw.get(key):
            found.append(causes.forbidden(f"{path}.{key}", f"{key} is not supported"))
    if raw.get("$ref"):
        found.append(causes.forbidden(f"{path}.$ref", "$ref is not supported"))
    if raw.get("x-kubernetes-preserve-unknown-fields") is False:
        message = "must be true or undefined"
        found.append(causes.invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, message))
    kind = raw.get("type")
    if kind not in (None, "", "array", "boolean", "integer", "number", "object", "string"):
        found.append(
            causes.unsupported(f"{path}.type", kind, ("array", "boolean", "integer", "number", "object", "string"))
        )


def _metadata(found: Found, path: str, raw: Obj) -> None:
    meta = (raw.get("properties") or {}).get("metadata")
    if meta is None:
        return
    place = f"{path}.properties[metadata]"
    if meta.get("type") != "object":
        found.append(causes.invalid(f"{place}.type", meta.get("type") or "", "must be object"))
    rest = {key for key in meta if key not in ("type", "description", "properties")}
    if rest or any(name not in _METADATA for name in meta.get("properties") or ()):
        message = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        found.append(causes.forbidden(place, message))


def _list(found: Found, path: str, raw: Obj) -> None:
    kind, items = raw.get("x-kubernetes-list-type"), raw.get("items") or {}
    if kind is None:
        if raw.get("x-kubernetes-list-map-keys"):
            message = "must be map if x-kubernetes-list-map-keys is non-empty"
            found.append(causes.required(f"{path}.x-kubernetes-list-type", message))
        return
    if kind not in ("atomic", "map", "set"):
        found.append(causes.unsupported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "map", "set")))
    if raw.get("type") != "array":
        found.append(
            causes.invalid(
                f"{path}.type", raw.get("type") or "", "must be array if x-kubernetes-list-type is specified"
            )
        )
    if kind == "set" and items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        message = "must be atomic as item of a list with x-kubernetes-list-type=set"
        found.append(causes.invalid(f"{path}.items.x-kubernetes-map-type", items.get("x-kubernetes-map-type"), message))
    if kind != "map":
        return
    keys = raw.get("x-kubernetes-list-map-keys") or []
    if not keys:
        message = "must not be empty if x-kubernetes-list-type is map"
        found.append(causes.required(f"{path}.x-kubernetes-list-map-keys", message))
    if items.get("type") != "object":
        message = "must be object if parent array's x-kubernetes-list-type is map"
        found.append(causes.invalid(f"{path}.items.type", items.get("type") or "", message))
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        place = f"{path}.x-kubernetes-list-map-keys[{index}]"
        if key not in properties:
            found.append(causes.invalid(place, key, "entries must all be names of item properties"))
        elif key not in (items.get("required") or ()) and "default" not in properties[key]:
            message = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            found.append(causes.required(f"{path}.items.properties[{key}].default", message))


def _value_part(found: Found, path: str, part: Obj, whole: Obj) -> None:
    """What stands below allOf, anyOf, oneOf or not: constraints on values, no structure."""
    int_or_string = whole.get("x-kubernetes-int-or-string") and set(part) <= {"type"}
    for key in _VALUE_FREE:
        if part.get(key) and not int_or_string:
            words = "must be false to be structural" if key == "nullable" else "must be empty to be structural"
            found.append(causes.forbidden(f"{path}.{key}", words))
    structure: Any = whole.get("properties") or {}
    for name, inner in (part.get("properties") or {}).items():
        if name not in structure and not isinstance(whole.get("additionalProperties"), dict):
            place = f"{path.rsplit('.', 1)[0]}.properties[{name}]"
            message = f"because it is defined in {path}.properties[{name}]"
            found.append(causes.required(place, message))
        else:
            _value_part(found, f"{path}.properties[{name}]", inner, structure.get(name, {}))


def _default(found: Found, path: str, raw: Obj) -> None:
    schema = structural({key: value for key, value in raw.items() if key != "default"})
    value = thaw(raw["default"])
    for unknown in prune(value, schema):
        found.append(causes.invalid(path, raw["default"], f"must not have unknown fields: {unknown}"))
    for cause in validate(value, schema):
        found.append(
            type(cause)(
                cause.reason, cause.message, path + (f".{cause.field}" if cause.field not in ("", "<nil>") else "")
            )
        )
