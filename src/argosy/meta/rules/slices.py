"""Rules of ResourceSlices: the devices that a driver offers, and what they share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from argosy.meta import causes, internal_form, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.devices import EFFECTS, binding_conditions, distinct, fits, pool_name, qualified_name
from argosy.meta.rules.fields import Found, one_of, required, say, unchanged
from argosy.meta.rules.scheduling import node_selector
from argosy.meta.rules.volumes import driver_name

_MOST_DEVICES, _MOST_ADVANCED, _MOST_COUNTER_SETS, _MOST_COUNTERS = 128, 64, 8, 32
_MOST_ATTRIBUTES, _MOST_VALUES, _MOST_TAINTS, _MOST_OPTIONS, _MOST_CONSUMED = 32, 48, 16, 10, 2
_VALUE_MAX, _KEY_MAX, _LABEL_MAX = 64, 63 + 1 + 32, 63
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_NUMBER, _BUILD = r"(0|[1-9]\d*)", "[0-9a-zA-Z-]+"
_BEFORE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_BEFORE}(\.{_BEFORE})*)?(\+{_BUILD}(\.{_BUILD})*)?", re.ASCII)


def resource_slice(new: Obj, old: Obj | None) -> Found:
    """resource.k8s.io/v1 ResourceSlice."""
    found: Found = []
    spec, before = new["spec"], old["spec"] if old is not None else None
    driver_name(found, "spec.driver", spec.get("driver") or "")
    _pool(found, "spec.pool", spec.get("pool") or {})
    if before is not None:
        unchanged(found, "spec.pool.name", spec["pool"].get("name"), before["pool"].get("name"))
        for field in ("driver", "nodeName"):
            unchanged(found, f"spec.{field}", spec.get(field), before.get(field))
    _where(found, "spec", spec)
    counters, devices = spec.get("sharedCounters"), spec.get("devices")
    if counters is not None and devices is not None:
        found.append(causes.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    known = {each.get("name"): each for each in (before or {}).get("devices") or ()}

    def check(found: Found, path: str, device: Obj) -> None:
        _device(found, path, device, known.get(device.get("name")))
        _device_place(found, path, device, per_device=bool(spec.get("perDeviceNodeSelection")))
        binding_conditions(found, path, device)

    advanced = any(each.get("taints") or each.get("consumesCounters") for each in devices or ())
    most = _MOST_ADVANCED if advanced else _MOST_DEVICES
    distinct(found, "spec.devices", devices or (), most, check, "name")
    distinct(found, "spec.sharedCounters", counters or (), _MOST_COUNTER_SETS, _counter_set, "name")
    return found


def _pool(found: Found, path: str, pool: Obj) -> None:
    pool_name(found, f"{path}.name", pool.get("name") or "")
    count, generation = pool.get("resourceSliceCount") or 0, pool.get("generation") or 0
    if count <= 0:
        found.append(causes.invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        found.append(causes.invalid(f"{path}.generation", generation, "must be greater than or equal to zero"))


def _where(found: Found, path: str, spec: Obj) -> None:
    """On which nodes the devices are."""
    given = _places(found, path, spec, _PLACES, "must be either unset or set to a non-empty string")
    chosen = spec.get("nodeSelector")
    terms = (chosen or {}).get("nodeSelectorTerms") or []
    if chosen is not None and len(terms) != 1:
        shown = [internal_form.form("core.NodeSelectorTerm", term) for term in terms]
        message = "must have exactly one node selector term"
        found.append(causes.invalid(f"{path}.nodeSelector.nodeSelectorTerms", shown or None, message))
    message = f"exactly one of {', '.join(f'`{place}`' for place in _PLACES)} is required"
    if not given:
        found.append(causes.required(path, message))
    elif len(given) > 1:
        found.append(causes.invalid(path, _listed(given), f"{message}, but multiple fields are set"))


def _listed(given: Iterable[str]) -> str:
    return "{" + ", ".join(f"`{name}`" for name in given) + "}"


def _places(found: Found, path: str, holder: Obj, places: Sequence[str], empty: str) -> list[str]:
    """Which of the ways to name nodes are taken."""
    given: list[str] = []
    for place in places:
        value = holder.get(place)
        if value is None:
            continue
        if value == "" or value is False:
            message = empty if value == "" else "must be either unset or set to true"
            found.append(causes.invalid(f"{path}.{place}", value, message))
            continue
        given.append(place)
        if place == "nodeName":
            say(found, f"{path}.{place}", value, names.subdomain(value))
        elif place == "nodeSelector":
            node_selector(found, f"{path}.{place}", value)
    return given


def _device_place(found: Found, path: str, device: Obj, *, per_device: bool) -> None:
    places = _PLACES[:3]
    if not per_device:
        if any(device.get(place) is not None for place in places):
            message = (
                "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in"
                " the ResourceSlice spec"
            )
            found.append(causes.invalid(path, None, message))
        return
    given = _places(found, path, device, places, "must not be empty")
    message = (
        "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to"
        " true in the ResourceSlice spec"
    )
    if not given:
        found.append(causes.required(path, message))
    elif len(given) > 1:
        found.append(causes.invalid(path, _listed(given), message))


def _device(found: Found, path: str, device: Obj, before: Obj | None) -> None:
    name = device.get("name") or ""
    say(found, f"{path}.name", name, names.label(name))
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    count = len(attributes) + len(capacity)
    if count > _MOST_ATTRIBUTES:
        message = f"the total number of attributes and capacities must not exceed {_MOST_ATTRIBUTES}"
        found.append(causes.invalid(path, count, message))
    if len(attributes) > _MOST_VALUES:
        message = f"the total number of attribute values must not exceed {_MOST_VALUES}"
        found.append(causes.invalid(path, len(attributes), message))
    for key, value in attributes.items():
        qualified_name(found, f"{path}.attributes", key)
        _attribute(found, f"{path}.attributes[{_shortened(key, _KEY_MAX)}]", value)
    for key, value in capacity.items():
        qualified_name(found, f"{path}.capacity", key)
        policy, place = value.get("requestPolicy"), f"{path}.capacity[{_shortened(key, _KEY_MAX)}].requestPolicy"
        if policy is not None and device.get("allowMultipleAllocations"):
            _request_policy(found, place, policy, quantity.parse(value["value"]))
        elif policy is not None:
            found.append(causes.forbidden(place, "allowMultipleAllocations must be true"))
    taints = device.get("taints") or ()
    if before is None or (before.get("taints") or ()) != taints:
        _taints(found, f"{path}.taints", taints)
    consumed = device.get("consumesCounters") or ()
    distinct(found, f"{path}.consumesCounters", consumed, _MOST_CONSUMED, _consumption, "counterSet")


def _shortened(key: str, most: int) -> str:
    """A key in a path; the middle of a long one is left out."""
    if len(key) <= most:
        return key
    left = most - 3
    return f"{key[: (left + 1) // 2]}...{key[len(key) - left // 2 :]}"


def _attribute(found: Found, path: str, attribute: Obj) -> None:
    given = [field for field in ("int", "bool", "string", "version") if attribute.get(field) is not None]
    for field in ("string", "version"):
        value = attribute.get(field)
        if value is None:
            continue
        if field == "version" and _SEMVER.fullmatch(value) is None:
            message = "must be a string compatible with semver.org spec 2.0.0"
            found.append(causes.invalid(f"{path}.{field}", value, message))
        if len(value.encode()) > _VALUE_MAX:
            found.append(causes.too_long(f"{path}.{field}", _VALUE_MAX))
    if not given:
        found.append(causes.invalid(path, "", "exactly one value must be specified"))
    elif len(given) > 1:
        shown = internal_form.form("resource.DeviceAttribute", attribute)
        found.append(causes.invalid(path, shown, "exactly one value must be specified"))


def _request_policy(found: Found, path: str, policy: Obj, most: quantity.Quantity) -> None:
    options, within, default = policy.get("validValues") or [], policy.get("validRange"), policy.get("default")
    if options and within is not None:
        message = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        found.append(causes.forbidden(path, message))
        return
    field = "validValues" if options else "validRange" if within is not None else ""
    if not field:
        return
    if default is None:
        found.append(causes.required(f"{path}.default", f"required when {field} is defined"))
    elif options:
        _options(found, f"{path}.{field}", list(map(quantity.parse, options)), quantity.parse(default), most)
    else:
        _range(found, f"{path}.{field}", within or {}, quantity.parse(default), most)


def _options(
    found: Found, path: str, options: list[quantity.Quantity], default: quantity.Quantity, most: quantity.Quantity
) -> None:
    for index in range(len(options) - 1):
        if options[index].nanos > options[index + 1].nanos:
            message = "values must be sorted in ascending order"
            found.append(causes.invalid(f"{path}[{index + 1}]", str(options[index + 1]), message))
    if fits(found, path, options, _MOST_OPTIONS):
        values = [option.value for option in options]
        for index, option in enumerate(options):
            if option.nanos > most.nanos:
                message = f"option is larger than capacity value: {most}"
                found.append(causes.invalid(f"{path}[{index}]", str(option), message))
            if values[index] in values[:index]:
                found.append(causes.duplicate(f"{path}[{index}]", str(values[index])))
        if any(option.nanos == default.nanos for option in options):
            return
    found.append(causes.invalid(path, str(default), "default value is not valid according to the requestPolicy"))


def _range(found: Found, path: str, within: Obj, default: quantity.Quantity, most: quantity.Quantity) -> None:
    if within.get("min") is None:
        found.append(causes.required(f"{path}.min", "required when validRange is defined"))
        return
    low = quantity.parse(within["min"])
    high = quantity.parse(within["max"]) if within.get("max") is not None else None
    step = quantity.parse(within["step"]) if within.get("step") is not None else None

    def wrong(field: str, value: quantity.Quantity, message: str) -> None:
        found.append(causes.invalid(f"{path}.{field}", str(value), message))

    if low.nanos > most.nanos:
        wrong("min", low, f"min is larger than capacity value: {most}")
    if default.nanos < low.nanos:
        wrong("min", default, f"default is less than min: {low}")
    if high is not None:
        if low.nanos > high.nanos:
            wrong("max", low, f"min is larger than max: {high}")
        if high.nanos > most.nanos:
            wrong("max", high, f"max is larger than capacity value: {most}")
        if default.nanos > high.nanos:
            wrong("max", default, f"default is more than max: {high}")
    if step is None:
        return
    if (low + step).nanos > most.nanos:
        wrong("step", step, f"one step {low + step} is larger than capacity value: {most}")
    for value in (default, high):
        # A step of nothing makes a real server panic; here every value is off it.
        if value is not None and (not step.value or (value.value - low.value) % step.value):
            wrong("step", value, f"value is not a multiple of a given step ({step}) from ({low})")


def _taints(found: Found, path: str, taints: Sequence[Obj]) -> None:
    if not fits(found, path, taints, _MOST_TAINTS):
        return
    for index, taint in enumerate(taints):
        place, key, value = f"{path}[{index}]", taint.get("key") or "", taint.get("value") or ""
        say(found, f"{place}.key", key, names.qualified(key))
        if value:
            say(found, f"{place}.value", value, names.label_value(value))
        if required(found, f"{place}.effect", taint.get("effect")):
            one_of(found, f"{place}.effect", taint["effect"], EFFECTS)


def _counter_set(found: Found, path: str, counters: Obj) -> None:
    name = counters.get("name")
    if required(found, f"{path}.name", name):
        say(found, f"{path}.name", name, names.label(str(name)))
    _counters(found, f"{path}.counters", counters.get("counters") or {})


def _consumption(found: Found, path: str, consumed: Obj) -> None:
    name = consumed.get("counterSet")
    if required(found, f"{path}.counterSet", name):
        say(found, f"{path}.counterSet", name, names.label(str(name)))
    _counters(found, f"{path}.counters", consumed.get("counters") or {})


def _counters(found: Found, path: str, counters: Obj) -> None:
    if required(found, path, counters) and fits(found, path, list(counters), _MOST_COUNTERS):
        for name in counters:
            say(found, path, name, names.label(name))
