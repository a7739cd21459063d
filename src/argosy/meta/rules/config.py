"""Rules of ConfigMaps, Secrets, quotas and limits."""

from __future__ import annotations

import json
from base64 import b64decode

from argosy.meta import causes, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.container import container_resource
from argosy.meta.rules.fields import Found, amount, extended, needs_one_of, resource_name, say, unchanged

_SIZE_MAX = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"
_SECRET_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def config_map(new: Obj, old: Obj | None) -> Found:
    """v1 ConfigMap."""
    found: Found = []
    if old is not None and old.get("immutable"):
        _frozen(found, new, old, ("data", "binaryData"))
    binary = new.get("binaryData") or {}
    total = 0
    for key, value in (new.get("data") or {}).items():
        say(found, f"data[{key}]", key, names.config_key(key))
        if key in binary:
            found.append(causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        total += len(value)
    for key, value in binary.items():
        say(found, f"binaryData[{key}]", key, names.config_key(key))
        total += len(value) * 3 // 4
    if total > _SIZE_MAX:
        found.append(causes.too_long("", _SIZE_MAX))
    return found


def _frozen(found: Found, new: Obj, old: Obj, fields: tuple[str, ...]) -> None:
    if not new.get("immutable"):
        found.append(causes.forbidden("immutable", _FROZEN))
    for name in fields:
        if (new.get(name) or {}) != (old.get(name) or {}):
            found.append(causes.forbidden(name, _FROZEN))


def _json_fault(encoded: str) -> str:
    """What is wrong with text that has to be JSON, as Go says it."""
    text = b64decode(encoded).decode("utf-8", "surrogateescape")
    try:
        json.loads(text)
    except ValueError as error:
        at = getattr(error, "pos", len(text))
        if at >= len(text):
            return "unexpected end of JSON input"
        byte = text[at].encode("utf-8", "surrogateescape")[0]
        shown = chr(byte) if chr(byte) != "'" else "\\'"
        return f"invalid character '{shown}' looking for beginning of value"
    return ""


def secret(new: Obj, old: Obj | None) -> Found:
    """v1 Secret."""
    found: Found = []
    data = new.get("data") or {}
    if old is not None:
        unchanged(found, "type", new.get("type"), old.get("type"))
        if old.get("immutable"):
            _frozen(found, new, old, ("data",))
    for key in data:
        say(found, f"data[{key}]", key, names.config_key(key))
    if sum(len(value) * 3 // 4 for value in data.values()) > _SIZE_MAX:
        found.append(causes.too_long("data", _SIZE_MAX))
    kind = new.get("type")
    if kind == "kubernetes.io/service-account-token":
        key = "kubernetes.io/service-account.name"
        if not (new["metadata"].get("annotations") or {}).get(key):
            found.append(causes.required(f"metadata.annotations[{key}]"))
    elif kind == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
        found.append(causes.required("data[username]"))
        found.append(causes.required("data[password]"))
    for key in _SECRET_KEYS.get(str(kind), ()):
        if key not in data or (key == "ssh-privatekey" and not data[key]):
            found.append(causes.required(f"data[{key}]"))
        elif key.startswith(".docker"):
            fault = _json_fault(data[key])
            if fault:
                found.append(causes.invalid(f"data[{key}]", "<secret contents redacted>", fault))
    return found


_SCOPES = (
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating",
    "VolumeAttributesClass",
)  # fmt: skip
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_QUOTA = {
    "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
    "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas",
    "services", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps", "services.nodeports",
    "services.loadbalancers",
}  # fmt: skip
_SCOPED = {
    "pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory", "ephemeral-storage",
    "requests.ephemeral-storage", "limits.ephemeral-storage",
}  # fmt: skip


def quota(new: Obj, old: Obj | None) -> Found:
    """v1 ResourceQuota."""
    found: Found = []
    spec = new["spec"]
    for name, value in (spec.get("hard") or {}).items():
        place = f"spec.hard[{name}]"
        resource_name(found, place, name)
        if "/" not in name and name not in _QUOTA and not name.startswith(("hugepages-", "requests.hugepages-")):
            found.append(causes.invalid(place, name, "must be a standard resource for quota"))
        amount(found, place, name, value)
    scopes = spec.get("scopes")
    if scopes:
        _scopes(found, scopes, list(spec.get("hard") or ()))
    for term in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        _scope_term(found, "spec.scopeSelector.matchExpressions", term)
    if old is not None and scopes != old["spec"].get("scopes"):
        found.append(causes.invalid("spec.scopes", scopes, "field is immutable"))
    return found


def _scopes(found: Found, scopes: list[str], hard: list[str]) -> None:
    for scope in scopes:
        if scope not in _SCOPES:
            found.append(causes.invalid("spec.scopes", scopes, "unsupported scope"))
        for name in hard:
            fits = name == "pods" if scope == "BestEffort" else name in _SCOPED
            if scope in _SCOPES and name in _QUOTA and not fits:
                found.append(causes.invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    if any(pair <= set(scopes) for pair in _CONFLICTS):
        found.append(causes.invalid("spec.scopes", scopes, "conflicting scopes"))


def _scope_term(found: Found, path: str, term: Obj) -> None:
    name, operator = term.get("scopeName"), term.get("operator")
    if name not in _SCOPES:
        found.append(causes.invalid(f"{path}.scopeName", name, "unsupported scope"))
    if operator in ("In", "NotIn"):
        if not term.get("values"):
            message = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            found.append(causes.required(f"{path}.values", message))
    elif operator in ("Exists", "DoesNotExist"):
        if term.get("values"):
            message = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            found.append(causes.invalid(f"{path}.values", term["values"], message))
    else:
        found.append(causes.invalid(f"{path}.operator", operator, "not a valid selector operator"))


def limit_range(new: Obj, old: Obj | None) -> Found:
    """v1 LimitRange."""
    found: Found = []
    seen: set[str] = set()
    for index, item in enumerate(new["spec"].get("limits") or ()):
        path = f"spec.limits[{index}]"
        kind = item.get("type") or ""
        faults = names.qualified(kind)
        say(found, f"{path}.type", kind, faults)
        if not faults and kind not in ("Pod", "Container", "PersistentVolumeClaim") and "/" not in kind:
            message = "must be a standard limit type or fully qualified"
            found.append(causes.invalid(f"{path}.type", kind, message))
        if kind in seen:
            found.append(causes.duplicate(f"{path}.type", kind))
        seen.add(kind)
        if kind == "Pod":
            for name in ("default", "defaultRequest"):
                if item.get(name):
                    message = "may not be specified when `type` is 'Pod'"
                    found.append(causes.forbidden(f"{path}.{name}", message))
        if kind == "PersistentVolumeClaim" and not (
            (item.get("min") or {}).get("storage") or (item.get("max") or {}).get("storage")
        ):
            message = "either minimum or maximum storage value is required, but neither was provided"
            found.append(causes.required(f"{path}.limits", message))
        check = container_resource if kind in ("Pod", "Container") else resource_name
        for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            if kind != "Pod" or not field.startswith("default"):
                for name in item.get(field) or ():
                    check(found, f"{path}.{field}[{name}]", name)
        _ratios(found, f"{path}.maxLimitRequestRatio", item)
        _bounds(found, path, item)
    return found


def _ratios(found: Found, path: str, item: Obj) -> None:
    for name, ratio in (item.get("maxLimitRequestRatio") or {}).items():
        value = quantity.parse(ratio).nanos
        if value < quantity.NANO:
            found.append(causes.invalid(f"{path}[{name}]", str(ratio), f"ratio {ratio} is less than 1"))
        low, high = (item.get("min") or {}).get(name), (item.get("max") or {}).get(name)
        if low is None or high is None or not quantity.parse(low).nanos:
            continue
        limit = quantity.parse(high).nanos / quantity.parse(low).nanos
        if value / quantity.NANO > limit:
            message = f"ratio {ratio} is greater than max/min = {limit:.6f}"
            found.append(causes.invalid(f"{path}[{name}]", str(ratio), message))


def _bounds(found: Found, path: str, item: Obj) -> None:
    low, high = item.get("min") or {}, item.get("max") or {}
    default, request = item.get("default") or {}, item.get("defaultRequest") or {}
    for name in sorted({*low, *high, *default, *request}):
        pairs = (
            ("min", "min", low, "max", high),
            ("defaultRequest", "default request", request, "max", high),
            ("default", "default", default, "max", high),
        )
        if _above(low.get(name), high.get(name)):
            message = f"min value {low[name]} is greater than max value {high[name]}"
            found.append(causes.invalid(f"{path}.min[{name}]", low[name], message))
        for field, words, values, _, _ in pairs[1:]:
            if _above(low.get(name), values.get(name)):
                message = f"min value {low[name]} is greater than {words} value {values[name]}"
                shown = low[name] if field == "default" else values[name]
                found.append(causes.invalid(f"{path}.{field}[{name}]", shown, message))
            if _above(values.get(name), high.get(name)):
                message = f"{words} value {values[name]} is greater than max value {high[name]}"
                shown = high[name] if field == "default" else values[name]
                found.append(causes.invalid(f"{path}.{field}[{name}]", shown, message))
        if _above(request.get(name), default.get(name)):
            message = f"default request value {request[name]} is greater than default limit value {default[name]}"
            found.append(causes.invalid(f"{path}.defaultRequest[{name}]", request[name], message))
        shared = not extended(name) and not name.startswith("hugepages-")
        if not shared and name in default and name in request and quantity.compare(default[name], request[name]):
            message = f"default value {default[name]} must equal to defaultRequest value {request[name]} in {name}"
            found.append(causes.invalid(f"{path}.defaultRequest[{name}]", request[name], message))


def _above(left: str | None, right: str | None) -> bool:
    return left is not None and right is not None and quantity.compare(left, right) > 0


def priority_class(new: Obj, old: Obj | None) -> Found:
    """scheduling.k8s.io/v1 PriorityClass."""
    found: Found = []
    name, value = new["metadata"].get("name") or "", new.get("value") or 0
    if old is not None:
        if value != (old.get("value") or 0):
            found.append(causes.forbidden("value", "may not be changed in an update."))
        unchanged(found, "preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))
        return found
    system = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
    if name.startswith("system-") and name not in system:
        message = "priority class names with 'system-' prefix are reserved for system use only"
        found.append(
            causes.forbidden("metadata.name", f"{message}. error: {name} is not a known system priority class")
        )
    elif name not in system and value > 1_000_000_000:
        message = "maximum allowed value of a user defined priority is 1000000000"
        found.append(causes.forbidden("value", message))
    if new.get("preemptionPolicy") is not None:
        needs_one_of(found, "preemptionPolicy", new["preemptionPolicy"], ("PreemptLowerPriority", "Never"))
    return found
