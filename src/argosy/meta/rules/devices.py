"""Rules of claims on devices (dynamic resource allocation): ResourceClaims, their templates, and DeviceClasses.

`slices` holds the rules of what drivers publish, `claim_status` those of what was allocated; both borrow from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from argosy.meta import causes, names
from argosy.meta.json import Obj, encode
from argosy.meta.rules.fields import Found, annotated, labels, one_of, required, say, unchanged_form
from argosy.meta.rules.volumes import driver_name

Names = Mapping[str, frozenset[str]]
"""The requests of a claim, and the alternatives of each by name."""

_MOST_REQUESTS = _MOST_CONSTRAINTS = _MOST_CONFIGS = _MOST_SELECTORS = 32
_MOST_ALTERNATIVES = 8
_EXPRESSION_MAX = PARAMETERS_MAX = 10 * 1024
_IDENTIFIER_MAX = 32
EFFECTS = ("NoExecute", "NoSchedule", "None")
_NO_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_IDENTIFIER_MESSAGE = names.regex_message(
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters"
    " or '_'",
    _IDENTIFIER, "my_name", "MY_NAME", "MyName",
)  # fmt: skip


def claim(new: Obj, old: Obj | None) -> Found:
    """resource.k8s.io/v1 ResourceClaim."""
    found: Found = []
    if old is not None:
        unchanged_form(found, "spec", "resource.ResourceClaimSpec", new["spec"], old["spec"])
    else:
        _claim_spec(found, "spec", new["spec"])
    return found


def claim_template(new: Obj, old: Obj | None) -> Found:
    """resource.k8s.io/v1 ResourceClaimTemplate."""
    found: Found = []
    spec = new["spec"]
    if old is not None:
        unchanged_form(found, "spec", "resource.ResourceClaimTemplateSpec", spec, old["spec"])
    meta = spec.get("metadata") or {}
    annotated(found, "spec.metadata.annotations", meta.get("annotations"))
    labels(found, "spec.metadata.labels", meta.get("labels"))
    _claim_spec(found, "spec.spec", spec["spec"])
    return found


def device_class(new: Obj, old: Obj | None) -> Found:
    """resource.k8s.io/v1 DeviceClass."""
    found: Found = []
    spec, before = new["spec"], old["spec"] if old is not None else {}
    known = old is not None and spec.get("selectors") == before.get("selectors")
    _selectors(found, "spec.selectors", spec.get("selectors") or (), known=known)
    known = old is not None and spec.get("config") == before.get("config")
    configs = spec.get("config") or ()
    if fits(found, "spec.config", configs, _MOST_CONFIGS):
        for index, config in enumerate(configs):
            configuration(found, f"spec.config[{index}]", config, known=known)
    name = spec.get("extendedResourceName")
    if name is not None and not _extended(name):
        found.append(causes.invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))
    return found


def _extended(name: str) -> bool:
    """Whether pods may ask for a resource of that name as for one that a device plugin brings."""
    if "/" not in name or "kubernetes.io/" in name or name.startswith("requests."):
        return False
    return not names.qualified(f"requests.{name}")


def _claim_spec(found: Found, path: str, spec: Obj) -> None:
    devices, path = spec.get("devices") or {}, f"{path}.devices"
    known = requests_of(spec)
    distinct(found, f"{path}.requests", devices.get("requests") or (), _MOST_REQUESTS, _request, "name")
    constraints = devices.get("constraints") or ()
    if fits(found, f"{path}.constraints", constraints, _MOST_CONSTRAINTS):
        for index, constraint in enumerate(constraints):
            _constraint(found, f"{path}.constraints[{index}]", constraint, known)
    configs = devices.get("config") or ()
    if fits(found, f"{path}.config", configs, _MOST_CONFIGS):
        for index, config in enumerate(configs):
            request_names(found, f"{path}.config[{index}].requests", config.get("requests") or (), known)
            configuration(found, f"{path}.config[{index}]", config)


def requests_of(spec: Obj) -> Names:
    """The names by which a claim's parts can be referred to."""
    return {
        each.get("name") or "": frozenset(one.get("name") or "" for one in each.get("firstAvailable") or ())
        for each in (spec.get("devices") or {}).get("requests") or ()
    }


def fits(found: Found, path: str, listed: Sequence[Any], most: int) -> bool:
    """Whether a list is short enough to be looked at."""
    if len(listed) > most:
        found.append(causes.too_many(path, len(listed), most))
        return False
    return True


def distinct(
    found: Found,
    path: str,
    listed: Sequence[Any],
    most: int,
    check: Callable[[Found, str, Any], None],
    key: str = "",
) -> None:
    """A list of at most so many, each good, and no two the same, or of the same `key`."""
    if not fits(found, path, listed, most):
        return
    seen = set()
    for index, each in enumerate(listed):
        place = f"{path}[{index}]"
        check(found, place, each)
        identity = (each.get(key) or "") if key else each
        if identity in seen:
            found.append(causes.duplicate(place, identity))
        seen.add(identity)


def _request(found: Found, path: str, request: Obj) -> None:
    name = request.get("name") or ""
    say(found, f"{path}.name", name, names.label(name))
    exactly, options = request.get("exactly"), request.get("firstAvailable") or ()
    message = "exactly one of `exactly` or `firstAvailable` is required"
    if exactly is None and not options:
        found.append(causes.required(path, message))
    elif exactly is not None and options:
        found.append(causes.invalid(path, None, f"{message}, but multiple fields are set"))
    elif options:
        distinct(found, f"{path}.firstAvailable", options, _MOST_ALTERNATIVES, _alternative, "name")
    else:
        _exactly(found, f"{path}.exactly", exactly or {})


def _alternative(found: Found, path: str, request: Obj) -> None:
    name = request.get("name") or ""
    say(found, f"{path}.name", name, names.label(name))
    _exactly(found, path, request)


def _exactly(found: Found, path: str, request: Obj) -> None:
    name = request.get("deviceClassName")
    if required(found, f"{path}.deviceClassName", name):
        say(found, f"{path}.deviceClassName", name, names.subdomain(str(name)))
    _selectors(found, f"{path}.selectors", request.get("selectors") or ())
    mode, count = request.get("allocationMode") or "", request.get("count") or 0
    if mode == "All":
        if count:
            message = "must not be specified when allocationMode is 'All'"
            found.append(causes.invalid(f"{path}.count", count, message))
    elif mode == "ExactCount":
        if count <= 0:
            found.append(causes.invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        one_of(found, f"{path}.allocationMode", mode, ("All", "ExactCount"))
    for index, each in enumerate(request.get("tolerations") or ()):
        _toleration(found, f"{path}.tolerations[{index}]", each)


def _toleration(found: Found, path: str, toleration: Obj) -> None:
    key, value = toleration.get("key") or "", toleration.get("value") or ""
    operator, effect = toleration.get("operator") or "", toleration.get("effect") or ""
    if key:
        say(found, f"{path}.key", key, names.qualified(key))
    if operator == "Exists":
        if value:
            found.append(causes.invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        say(found, f"{path}.value", value, names.label_value(value))
    elif required(found, f"{path}.operator", operator):
        one_of(found, f"{path}.operator", operator, ("Equal", "Exists"))
    if effect:
        one_of(found, f"{path}.effect", effect, EFFECTS)


def _selectors(found: Found, path: str, selectors: Sequence[Obj], *, known: bool = False) -> None:
    """Expressions about a device. Those that are `known`, because they are stored already, are not looked at again."""
    if not fits(found, path, selectors, _MOST_SELECTORS):
        return
    for index, selector in enumerate(selectors):
        cel, place = selector.get("cel"), f"{path}[{index}].cel"
        if cel is None:
            found.append(causes.required(place))
            continue
        text = cel.get("expression") or ""
        if len(text.encode()) > _EXPRESSION_MAX:
            found.append(causes.too_long(f"{place}.expression", _EXPRESSION_MAX))
        elif not known:
            from argosy.meta.cel.devices import complaints  # noqa: PLC0415 (many clusters never see one)

            found += complaints(f"{place}.expression", text)


def _constraint(found: Found, path: str, constraint: Obj, known: Names) -> None:
    request_names(found, f"{path}.requests", constraint.get("requests") or (), known)
    for field in ("matchAttribute", "distinctAttribute"):
        name = constraint.get(field)
        if name is not None:
            full_name(found, f"{path}.{field}", name)
            return
    message = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    found.append(causes.required(path, message))


def request_names(found: Found, path: str, listed: Sequence[str], known: Names) -> None:
    """Which of a claim's requests something is about."""

    def check(found: Found, place: str, name: str) -> None:
        request_name(found, place, name, known)

    distinct(found, path, listed, _MOST_REQUESTS, check)


def request_name(found: Found, path: str, name: str, known: Names) -> None:
    """One of a claim's requests, or one of the alternatives of such a request."""
    parts = name.split("/")
    if len(parts) > 2:
        found.append(causes.invalid(path, name, _NO_REQUEST))
        return
    for part in parts:
        say(found, path, part, names.label(part))
    if parts[0] not in known or (len(parts) == 2 and parts[1] not in known[parts[0]]):
        found.append(causes.invalid(path, name, _NO_REQUEST))


def configuration(found: Found, path: str, config: Obj, *, known: bool = False) -> None:
    """What a driver is told: of a class, of a claim, or of what was allocated."""
    opaque, path = config.get("opaque"), f"{path}.opaque"
    if opaque is None:
        found.append(causes.required(path))
        return
    driver_name(found, f"{path}.driver", opaque.get("driver") or "")
    raw(found, f"{path}.parameters", opaque.get("parameters"), known=known)


def raw(found: Found, path: str, value: Any, *, known: bool = False) -> None:
    """JSON that only a driver understands; as large as it was, where it is `known` already."""
    if value is None:
        found.append(causes.required(path))
    elif not known and len(encode(value)) > PARAMETERS_MAX:
        found.append(causes.too_long(path, PARAMETERS_MAX))
    elif not isinstance(value, dict):
        found.append(causes.invalid(path, "<value omitted>", "must be a valid JSON object"))


def qualified_name(found: Found, path: str, name: str) -> None:
    """The name of an attribute or a capacity: an identifier, perhaps below a domain."""
    parts = name.split("/")
    if len(parts) == 1:
        _identifier(found, path, name)
    elif len(parts) == 2:
        domain, inner = parts
        if domain:
            driver_name(found, path, domain)
        else:
            found.append(causes.invalid(path, "", "the domain must not be empty"))
        if inner:
            _identifier(found, path, inner)
        else:
            found.append(causes.invalid(path, "", "the name must not be empty"))
    # Of more parts nothing is said: the real server overlooks them, and objects with such names are about.


def full_name(found: Found, path: str, name: str) -> None:
    """The name of an attribute with its domain."""
    qualified_name(found, path, name)
    if "/" not in name:
        message = "a fully qualified name must be a domain and a name separated by a slash"
        found.append(causes.invalid(path, name, message))


def _identifier(found: Found, path: str, name: str) -> None:
    if len(name) > _IDENTIFIER_MAX:
        found.append(causes.too_long(path, _IDENTIFIER_MAX))
    if re.fullmatch(_IDENTIFIER, name) is None:
        found.append(causes.invalid(path, name, _IDENTIFIER_MESSAGE))


def pool_name(found: Found, path: str, name: str) -> None:
    """The name of a pool of devices: domains between slashes."""
    if not required(found, path, name):
        return
    if len(name) > 253:
        found.append(causes.too_long(path, 253))
    for part in name.split("/"):
        say(found, path, part, names.subdomain(part))


def binding_conditions(found: Found, path: str, device: Obj) -> None:
    """What has to be true of a device before a pod is bound to its node, and what then rules that out."""
    wanted, fatal = device.get("bindingConditions") or [], device.get("bindingFailureConditions") or []
    for field, listed in (("bindingConditions", wanted), ("bindingFailureConditions", fatal)):
        place = f"{path}.{field}"
        if fits(found, place, listed, 4):
            for index, each in enumerate(listed):
                say(found, f"{place}[{index}]", each, names.qualified(each))
        for index, each in enumerate(listed):
            if each in listed[:index]:
                found.append(causes.duplicate(f"{place}[{index}]", each))
            if field == "bindingFailureConditions" and each in wanted:
                message = "bindingFailureConditions must not overlap with bindingConditions"
                found.append(causes.invalid(f"{place}[{index}]", each, message))
    for field, mine, other in (("bindingConditions", wanted, fatal), ("bindingFailureConditions", fatal, wanted)):
        if not mine and other:
            needed = {"bindingConditions": "bindingFailureConditions"}.get(field, "bindingConditions")
            found.append(causes.invalid(f"{path}.{field}", None, f"{field} are required to use {needed}"))
