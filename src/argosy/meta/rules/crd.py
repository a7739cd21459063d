"""Rules of CustomResourceDefinitions: names, versions, columns, conversion. `crd_schema` has those of the schemas.

Kubernetes holds what all versions have in common once, so complaints about it name no version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules import admission, crd_schema
from argosy.meta.rules.fields import Found, one_of, required, say

_APPROVED = "api-approved.kubernetes.io"
_PROTECTED = ("k8s.io", "kubernetes.io")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SHARED = ("subresources", "schema", "additionalPrinterColumns", "selectableFields")
_WARNING_MAX, _MOST_SELECTABLE = 256, 8
_NO_WEBHOOK = "should not be set when strategy is not set to Webhook"


def check(new: Obj, old: Obj | None) -> Found:
    """The kind CustomResourceDefinition."""
    found: Found = []
    spec = new["spec"]
    wanted = f"{spec['names'].get('plural', '')}.{spec.get('group', '')}"
    if new["metadata"].get("name") and new["metadata"]["name"] != wanted:
        message = 'must be spec.names.plural+"."+spec.group'
        found.append(causes.invalid("metadata.name", new["metadata"].get("name"), message))
    _group(found, new)
    scope = spec.get("scope")
    if required(found, "spec.scope", scope):
        one_of(found, "spec.scope", scope, ("Cluster", "Namespaced"))
    _names(found, "spec.names", spec["names"])
    _versions(found, spec)
    _conversion(found, spec.get("conversion") or {})
    if spec.get("preserveUnknownFields"):
        message = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        )
        found.append(causes.invalid("spec.preserveUnknownFields", True, message))
        strategy = (spec.get("conversion") or {}).get("strategy") or ""
        if strategy != "None":
            message = "must be None if spec.preserveUnknownFields is true"
            found.append(causes.invalid("spec.conversion.strategy", strategy, message))
    _stored(found, (new.get("status") or {}).get("storedVersions") or [], spec.get("versions") or [])
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
        if required(found, f"{path}.{key}", name):
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
        say(found, f"spec.versions[{index}].name", name, _as_one(names.label_1035(name)))
    if given and given[0]:
        say(found, "spec.version", given[0], _as_one(names.label_1035(given[0])))
    shared = {field: _common(versions, field) for field in _SHARED}
    shown = [_shown(each, shared) for each in versions] or None
    if len(set(given)) != len(given):
        found.append(causes.invalid("spec.versions", shown, "must contain unique version names"))
    if sum(bool(each.get("storage")) for each in versions) != 1:
        message = "must have exactly one version marked as storage version"
        found.append(causes.invalid("spec.versions", shown, message))
    statuses = ["status" in (each.get("subresources") or {}) for each in versions]
    for index, version in enumerate(versions):
        path, own = f"spec.versions[{index}]", {f: version.get(f) for f in _SHARED if shared[f] is None}
        _deprecation(found, f"{path}.deprecationWarning", version)
        raw = (version.get("schema") or {}).get("openAPIV3Schema")
        if raw is None:
            found.append(causes.required(f"{path}.schema.openAPIV3Schema"))
        _parts(found, path, f"{path}.schema", own, status=statuses[index])
    _parts(found, "spec", "spec.validation", shared, status=any(statuses))


def _as_one(complaints: list[str]) -> list[str]:
    return [",".join(complaints)] if complaints else []


def _common(versions: Sequence[Obj], field: str) -> Any:
    """What all versions say alike; None where they do not."""
    values = [each.get(field) for each in versions]
    return values[0] if values and values[0] and all(each == values[0] for each in values) else None


def _shown(version: Obj, shared: Obj) -> Obj:
    """A version as messages show it."""
    made: Obj = {
        field.capitalize(): version.get(field) or False for field in ("name", "served", "storage", "deprecated")
    }
    made["Name"] = version.get("name") or ""
    made["DeprecationWarning"] = version.get("deprecationWarning")
    own = {field: version.get(field) if shared[field] is None else None for field in _SHARED}
    for name in ("Schema", "Subresources", "AdditionalPrinterColumns", "SelectableFields"):
        made[name] = own[name[0].lower() + name[1:]]
    return made


def _deprecation(found: Found, path: str, version: Obj) -> None:
    text = version.get("deprecationWarning")
    if text is None:
        return
    if not version.get("deprecated"):
        found.append(causes.invalid(path, text, "can only be set for deprecated versions"))
        return
    if len(text.encode()) > _WARNING_MAX:
        found.append(causes.invalid(path, text, f"must be <= {_WARNING_MAX} characters long"))
    if not text:
        found.append(causes.invalid(path, text, "must not be an empty string"))
    for index, sign in enumerate(text):
        if not (sign == " " or (sign.isprintable() and not sign.isspace())):
            what = f"non-printable character found at index {len(text[:index].encode())}"
            found.append(causes.invalid(path, text, f"must only contain printable UTF-8 characters; {what}"))
            break


def _parts(found: Found, path: str, schema_path: str, parts: Obj, *, status: bool) -> None:
    """What stands in a version, or above all of them."""
    raw: Obj | None = (parts.get("schema") or {}).get("openAPIV3Schema")
    if raw is not None:
        crd_schema.check(found, f"{schema_path}.openAPIV3Schema", raw, status=status)
    _scale(found, f"{path}.subresources.scale", (parts.get("subresources") or {}).get("scale"))
    _columns(found, f"{path}.additionalPrinterColumns", parts.get("additionalPrinterColumns"))
    selectable = parts.get("selectableFields")
    if selectable and raw is None:
        what = (
            "when validations.schema is included"
            if path == "spec"
            else ("when `version.schema.openAPIV3Schema` is not included")
        )
        found.append(causes.invalid(f"{path}.selectableFields", "", f"may only be set {what}"))
    elif selectable and raw is not None:
        _selectable(found, f"{path}.selectableFields", selectable, raw)


def _columns(found: Found, path: str, columns: list[Obj] | None) -> None:
    for index, column in enumerate(columns or ()):
        place, types = f"{path}[{index}]", f"must be one of {','.join(_COLUMN_TYPES)}"
        required(found, f"{place}.name", column.get("name"))
        kind, form, where = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
        if required(found, f"{place}.type", kind, types) and kind not in _COLUMN_TYPES:
            found.append(causes.invalid(f"{place}.type", kind, types))
        if form and form not in _COLUMN_FORMATS:
            found.append(causes.invalid(f"{place}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}"))
        if required(found, f"{place}.JSONPath", where):
            _dotted(found, f"{place}.JSONPath", where)


def _dotted(found: Found, path: str, value: str) -> bool:
    if not value.startswith("."):
        found.append(causes.invalid(path, value, "must be a simple json path starting with ."))
    return value.startswith(".")


def _selectable(found: Found, path: str, listed: Sequence[Obj], raw: Obj) -> None:
    seen: set[str] = set()
    for index, each in enumerate(listed):
        place, where = f"{path}[{index}].jsonPath", each.get("jsonPath") or ""
        if not required(found, place, where):
            continue
        try:
            field, canonical = crd_schema.field_at(raw, where)
        except ValueError as error:
            found.append(causes.invalid(place, where, f"is an invalid path: {error}"))
            continue
        if canonical.partition(".")[0] == "metadata":
            found.append(causes.invalid(place, where, "must not point to fields in metadata"))
        if field.get("type") not in ("string", "boolean", "integer"):
            message = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats"
                " are allowed."
            )
            found.append(causes.invalid(place, where, message))
        if canonical in seen:
            found.append(causes.duplicate(place, where))
        seen.add(canonical)
    if len(seen) > _MOST_SELECTABLE:
        found.append(causes.too_many(path, len(seen), _MOST_SELECTABLE))


def _scale(found: Found, path: str, scale: Obj | None) -> None:
    if scale is None:
        return
    for key, below in (("specReplicasPath", "spec"), ("statusReplicasPath", "status")):
        value, place = scale.get(key) or "", f"{path}.{key}"
        if not required(found, place, value) or not _dotted(found, place, value):
            continue
        if not value.startswith(f".{below}."):
            found.append(causes.invalid(place, value, f"should be a json path under .{below}"))
    selector, place = scale.get("labelSelectorPath"), f"{path}.labelSelectorPath"
    if selector and _dotted(found, place, selector) and not selector.startswith((".spec.", ".status.")):
        found.append(causes.invalid(place, selector, "should be a json path under either .spec or .status"))


def _conversion(found: Found, conversion: Obj) -> None:
    strategy, path = conversion.get("strategy"), "spec.conversion"
    if required(found, f"{path}.strategy", strategy):
        one_of(found, f"{path}.strategy", strategy, ("None", "Webhook"))
    webhook = conversion.get("webhook") or {}
    config, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        if config is not None:
            found.append(causes.forbidden(f"{path}.webhookClientConfig", _NO_WEBHOOK))
        if versions:
            found.append(causes.forbidden(f"{path}.conversionReviewVersions", _NO_WEBHOOK))
        return
    if config is None:
        found.append(causes.required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook"))
    else:
        admission.client_config(found, f"{path}.webhookClientConfig", config)
    if required(found, f"{path}.conversionReviewVersions", versions):
        admission.review_versions(found, f"{path}.conversionReviewVersions", versions)


def _stored(found: Found, stored: Sequence[str], versions: Sequence[Obj]) -> None:
    path = "status.storedVersions"
    if not stored:
        found.append(causes.invalid(path, None, "must have at least one stored version"))
        return
    left = {name: index for index, name in enumerate(stored)}
    for version in versions:
        name = version.get("name") or ""
        if version.get("storage") and name not in left:
            found.append(causes.invalid(path, list(stored), f"must have the storage version {name}"))
        left.pop(name, None)
    for name, index in left.items():
        message = (
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions"
            f" until a storage migration ensures no data remains persisted in {name} and removes {name} from"
            " status.storedVersions"
        )
        found.append(causes.invalid(f"{path}[{index}]", name, message))


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
