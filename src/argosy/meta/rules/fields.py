"""The checks that the rules of many kinds share, in Kubernetes' words: names, numbers, labels, selectors, amounts.

Every check takes a value, its path and the list that collects causes. Objects come decoded and defaulted, so a required
field that was left out is empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from argosy.errors import Cause
from argosy.meta import causes, internal_form, names, quantity, selectors
from argosy.meta.json import Obj

IMMUTABLE = "field is immutable"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_SELECTORS = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}
_STANDARD = {
    "cpu", "memory", "ephemeral-storage", "storage", "pods", "services", "replicationcontrollers", "resourcequotas",
    "secrets", "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    "requests.cpu", "requests.memory", "requests.ephemeral-storage", "requests.storage", "limits.cpu", "limits.memory",
    "limits.ephemeral-storage",
}  # fmt: skip
_COUNTED = (
    "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims",
    "services.nodeports", "services.loadbalancers",
)  # fmt: skip

Found = list[Cause]


def say(found: Found, path: str, value: Any, complaints: Iterable[str]) -> None:
    """One `Invalid value` for each complaint."""
    if complaints:
        found.extend(causes.invalid(path, value, complaint) for complaint in complaints)


def required(found: Found, path: str, value: Any, why: str = "") -> bool:
    """Whether something is there; says `Required value` and `why` when not."""
    if value:
        return True
    if value in (None, "", [], {}):
        found.append(causes.required(path, why))
        return False
    return True


def named(found: Found, path: str, value: Any, check: Callable[[str], list[str]] = names.label) -> None:
    """A required name of some form."""
    if required(found, path, value):
        say(found, path, value, check(value))


def one_of(found: Found, path: str, value: Any, supported: Collection[str]) -> None:
    """An enumeration; values are listed in the order given."""
    if value is not None and value not in supported:
        found.append(causes.unsupported(path, value, supported))


def needs_supported(found: Found, path: str, value: Any, supported: Collection[str]) -> None:
    """An enumeration whose absence is said like any other value that is not in it."""
    one_of(found, path, value or "", supported)


def needs_one_of(found: Found, path: str, value: Any, supported: Collection[str]) -> None:
    """An enumeration that must be there."""
    if required(found, path, value):
        one_of(found, path, value, supported)


def non_negative(found: Found, parent: str, obj: Obj, *fields: str) -> None:
    """Numbers of an object that may not be below zero."""
    for name in fields:
        value = obj.get(name)
        if isinstance(value, int) and value < 0:
            found.append(causes.invalid(f"{parent}.{name}", value, "must be greater than or equal to 0"))


def in_range(found: Found, path: str, value: int | None, low: int, high: int) -> None:
    """A number between two others."""
    if value is not None and not low <= value <= high:
        found.append(causes.invalid(path, value, names.out_of_range(low, high)))


def port(found: Found, path: str, value: Any) -> None:
    """A port by number or by name."""
    if isinstance(value, str):
        say(found, path, value, names.port_name(value))
    else:
        say(found, path, value or 0, names.port_number(value or 0))


def unchanged(found: Found, path: str, new: Any, old: Any) -> None:
    """A field that an update may not change."""
    if (new or None) != (old or None):
        found.append(causes.invalid(path, new, IMMUTABLE))


def unchanged_form(found: Found, path: str, kind: str, new: Obj | None, old: Obj | None) -> None:
    """A part of an object that an update may not change, shown in Kubernetes' internal form of that type."""
    if (new or None) != (old or None):
        found.append(causes.invalid(path, internal_form.form(kind, new), IMMUTABLE))


def labels(found: Found, path: str, values: Mapping[str, str] | None) -> None:
    """A map of labels."""
    for key, value in (values or {}).items():
        say(found, path, key, names.qualified(key))
        say(found, path, value, names.label_value(value))


def annotated(found: Found, path: str, values: Mapping[str, str] | None) -> None:
    """A map of annotations."""
    for key in values or {}:
        say(found, path, key, names.qualified(key.lower()))
    if sum(len(key) + len(value) for key, value in (values or {}).items()) > 256 * 1024:
        found.append(causes.too_long(path, 256 * 1024))


def selector(found: Found, path: str, value: Obj | None) -> bool:
    """A metav1.LabelSelector; whether it is good."""
    before = len(found)
    if value is None:
        return True
    labels(found, f"{path}.matchLabels", value.get("matchLabels"))
    for index, term in enumerate(value.get("matchExpressions") or ()):
        _requirement(found, f"{path}.matchExpressions[{index}]", term)
    return len(found) == before


def _requirement(found: Found, path: str, term: Obj) -> None:
    operator, values = term.get("operator"), term.get("values") or []
    needs = _SELECTORS.get(str(operator))
    if needs is None:
        found.append(causes.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif needs and not values:
        found.append(causes.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif not needs and values:
        found.append(
            causes.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        )
    key = term.get("key") or ""
    say(found, f"{path}.key", key, names.qualified(key))
    for index, value in enumerate(values):
        say(found, f"{path}.values[{index}]", value, names.label_value(value))


def unreadable(value: Obj | None) -> bool:
    """Whether no selector can be made of a metav1.LabelSelector."""
    found: Found = []
    selector(found, "", value)
    return bool(found)


def selects(value: Obj | None, template_labels: Mapping[str, str] | None) -> bool:
    """Whether a selector picks the labels; one that cannot be read picks nothing."""
    try:
        return selectors.matches(value, template_labels)
    except KeyError:
        return False


def amount(found: Found, path: str, name: str, value: Any) -> None:
    """A quantity of a resource: not negative, and whole where it is counted."""
    parsed = quantity.parse(value)
    if parsed.nanos < 0:
        found.append(causes.invalid(path, str(value), "must be greater than or equal to 0"))
    if (extended(name) or name in _COUNTED) and parsed.nanos % quantity.NANO:
        found.append(causes.invalid(path, str(value), "must be an integer"))


def extended(name: str) -> bool:
    """Whether a resource is none of Kubernetes' own: `nvidia.com/gpu`."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def resource_name(found: Found, path: str, name: str) -> bool:
    """A resource's name: a standard one, or qualified. Whether it is."""
    complaints = names.qualified(name)
    say(found, path, name, complaints)
    if complaints:
        return False
    if (
        "/" not in name
        and name not in _STANDARD
        and not name.startswith(("hugepages-", "requests.", "limits.", "count/"))
    ):
        found.append(causes.invalid(path, name, "must be a standard resource type or fully qualified"))
        return False
    return True


_PERCENT = names.regex_message(
    "a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%", "93%"
)


def count_or_percent(found: Found, path: str, value: Any, *, most: int | None = None) -> None:
    """A number or `NN%`, not below zero; percentages not above `most`."""
    if value is None:
        return
    if isinstance(value, str):
        if re.fullmatch("[0-9]+%", value) is None:
            found.append(causes.invalid(path, value, _PERCENT))
        elif most is not None and int(value[:-1]) > most:
            found.append(causes.invalid(path, value, f"must not be greater than {most}%"))
    elif value < 0:
        found.append(causes.invalid(path, value, "must be greater than or equal to 0"))


def relative_path(found: Found, path: str, value: str) -> None:
    """A path inside of something: not absolute, and not out of it."""
    if value.startswith("/"):
        found.append(causes.invalid(path, value, "must be a relative path"))
    no_backsteps(found, path, value)


def inner_path(found: Found, path: str, value: str) -> None:
    """A relative path whose first part Kubernetes does not keep for itself."""
    relative_path(found, path, value)
    if value.startswith("..") and not value.startswith("../") and value != "..":
        found.append(causes.invalid(path, value, "must not start with '..'"))


def no_backsteps(found: Found, path: str, value: str) -> None:
    """A path without `..`."""
    if ".." in value.split("/"):
        found.append(causes.invalid(path, value, "must not contain '..'"))


def exactly_one(found: Found, path: str, obj: Obj, sources: Collection[str], what: str) -> list[str]:
    """Of several sources one must be given; returns those that are, in order."""
    given = [name for name in sources if obj.get(name) is not None]
    found.extend(causes.forbidden(f"{path}.{name}", f"may not specify more than 1 {what}") for name in given[1:])
    if not given:
        found.append(causes.required(path, f"must specify a {what}"))
    return given
