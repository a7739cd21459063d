"""Rules of where pods go: affinity, tolerations, spreading."""

from __future__ import annotations

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, needs_supported, one_of, say, selector

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def tolerations(found: Found, path: str, listed: list[Obj] | None) -> None:
    """A pod's tolerations."""
    for index, each in enumerate(listed or ()):
        place = f"{path}[{index}]"
        key, operator, effect = each.get("key"), each.get("operator") or "", each.get("effect")
        if key:
            say(found, f"{place}.key", key, names.qualified(key))
        elif operator != "Exists":
            message = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            found.append(causes.invalid(f"{place}.operator", operator, message))
        if each.get("tolerationSeconds") is not None and effect != "NoExecute":
            message = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            found.append(causes.invalid(f"{place}.effect", effect or "", message))
        if operator in ("Equal", ""):
            value = each.get("value") or ""
            faults = names.label_value(value)
            if faults:
                found.append(causes.invalid(f"{place}.operator", value, ";".join(faults)))
        elif operator == "Exists":
            if each.get("value"):
                message = "value must be empty when `operator` is 'Exists'"
                found.append(causes.invalid(f"{place}.operator", each["value"], message))
        elif operator in ("Lt", "Gt"):
            found.append(causes.unsupported(f"{place}.operator", operator, ("Equal", "Exists", "Lt", "Gt")))
        else:
            found.append(causes.unsupported(f"{place}.operator", operator, ("Equal", "Exists")))
        if effect:
            one_of(found, f"{place}.effect", effect, _EFFECTS)


def affinity(found: Found, path: str, value: Obj | None) -> None:
    """A pod's affinity."""
    if not value:
        return
    node = value.get("nodeAffinity") or {}
    wanted = node.get("requiredDuringSchedulingIgnoredDuringExecution")
    if wanted is not None:
        node_selector(found, f"{path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution", wanted)
    for index, term in enumerate(node.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        place = f"{path}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
        _weight(found, place, term)
        _node_term(found, f"{place}.preference", term.get("preference") or {}, values_matter=False)
    for name in ("podAffinity", "podAntiAffinity"):
        pods = value.get(name) or {}
        for index, term in enumerate(pods.get("requiredDuringSchedulingIgnoredDuringExecution") or ()):
            _pod_term(found, f"{path}.{name}.requiredDuringSchedulingIgnoredDuringExecution[{index}]", term)
        for index, term in enumerate(pods.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
            place = f"{path}.{name}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
            _weight(found, place, term)
            _pod_term(found, f"{place}.podAffinityTerm", term.get("podAffinityTerm") or {})


def _weight(found: Found, path: str, term: Obj) -> None:
    weight = term.get("weight") or 0
    if not 1 <= weight <= 100:
        found.append(causes.invalid(f"{path}.weight", weight, "must be in the range 1-100"))


def node_selector(found: Found, path: str, value: Obj) -> None:
    """A NodeSelector: of a pod's affinity, or of a PersistentVolume."""
    terms = value.get("nodeSelectorTerms")
    if not terms:
        message = "must have at least one node selector term"
        found.append(causes.required(f"{path}.nodeSelectorTerms", message))
    for index, term in enumerate(terms or ()):
        _node_term(found, f"{path}.nodeSelectorTerms[{index}]", term)


def _node_term(found: Found, path: str, term: Obj, *, values_matter: bool = True) -> None:
    for index, each in enumerate(term.get("matchFields") or ()):
        _node_field(found, f"{path}.matchFields[{index}]", each)
    for index, each in enumerate(term.get("matchExpressions") or ()):
        place = f"{path}.matchExpressions[{index}]"
        operator, values = each.get("operator") or "", each.get("values") or []
        if operator in ("In", "NotIn"):
            if not values:
                message = "must be specified when `operator` is 'In' or 'NotIn'"
                found.append(causes.required(f"{place}.values", message))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                found.append(causes.forbidden(f"{place}.values", message))
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                message = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                found.append(causes.required(f"{place}.values", message))
        else:
            found.append(causes.invalid(f"{place}.operator", operator, "not a valid selector operator"))
        key = each.get("key") or ""
        say(found, f"{place}.key", key, names.qualified(key))
        for number, each_value in enumerate(values if values_matter else ()):
            say(found, f"{place}.values[{number}]", each_value, names.label_value(each_value))


def _node_field(found: Found, path: str, each: Obj) -> None:
    operator, values, key = each.get("operator") or "", each.get("values") or [], each.get("key") or ""
    if operator not in ("In", "NotIn"):
        found.append(causes.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        message = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        found.append(causes.required(f"{path}.values", message))
    if key != "metadata.name":
        found.append(causes.invalid(f"{path}.key", key, "not a valid field selector key"))
        return
    for index, value in enumerate(values):
        say(found, f"{path}.values[{index}]", value, names.subdomain(value))


def _label_keys(found: Found, path: str, each: Obj) -> None:
    """The keys by which a pod's own labels are matched, or not."""
    matched, refused = each.get("matchLabelKeys") or [], each.get("mismatchLabelKeys") or []
    wanted = each.get("labelSelector")
    for field, keys in (("matchLabelKeys", matched), ("mismatchLabelKeys", refused)):
        if keys and wanted is None:
            found.append(causes.forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
        for index, key in enumerate(keys):
            say(found, f"{path}.{field}[{index}]", key, names.qualified(key))
    named = set((wanted or {}).get("matchLabels") or ())
    for term in (wanted or {}).get("matchExpressions") or ():
        key = term.get("key") or ""
        if key in matched and key in named:
            message = "exists in both matchLabelKeys and labelSelector"
            found.append(causes.invalid(f"{path}[{len(matched) - 1 - matched[::-1].index(key)}]", key, message))
        named.add(key)
    for index, key in enumerate(matched):
        if key in refused:
            message = "exists in both matchLabelKeys and mismatchLabelKeys"
            found.append(causes.invalid(f"{path}.matchLabelKeys[{index}]", key, message))


def _pod_term(found: Found, path: str, term: Obj) -> None:
    selector(found, f"{path}.labelSelector", term.get("labelSelector"))
    selector(found, f"{path}.namespaceSelector", term.get("namespaceSelector"))
    for name in term.get("namespaces") or ():
        say(found, f"{path}.namespace", name, names.label(name))
    _label_keys(found, path, term)
    key = term.get("topologyKey") or ""
    if not key:
        found.append(causes.required(f"{path}.topologyKey", "can not be empty"))
    say(found, f"{path}.topologyKey", key, names.qualified(key))


def spread(found: Found, path: str, listed: list[Obj] | None) -> None:
    """A pod's topologySpreadConstraints."""
    pairs = [(each.get("topologyKey") or "", each.get("whenUnsatisfiable") or "") for each in listed or ()]
    for index, each in enumerate(listed or ()):
        place = f"{path}[{index}]"
        skew = each.get("maxSkew") or 0
        if skew <= 0:
            found.append(causes.invalid(f"{place}.maxSkew", skew, "must be greater than zero"))
        if not each.get("topologyKey"):
            found.append(causes.required(f"{place}.topologyKey", "can not be empty"))
        action = each.get("whenUnsatisfiable")
        needs_supported(found, f"{place}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        pair = pairs[index]
        if pair in pairs[index + 1 :]:
            where = f"{place}.{{topologyKey, whenUnsatisfiable}}"
            found.append(causes.duplicate(where, f"{{{pair[0]}, {pair[1]}}}"))
        domains = each.get("minDomains")
        if domains is not None:
            if domains <= 0:
                found.append(causes.invalid(f"{place}.minDomains", domains, "must be greater than zero"))
            if action != "DoNotSchedule":
                message = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action or ''}"
                found.append(causes.invalid(f"{place}.minDomains", domains, message))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            one_of(found, f"{place}.{name}", each.get(name), ("Honor", "Ignore"))
        _label_keys(found, place, each)
        selector(found, f"{place}.labelSelector", each.get("labelSelector"))


def scheduling_gates(found: Found, path: str, listed: list[Obj] | None) -> None:
    """A pod's schedulingGates."""
    seen: set[str] = set()
    for index, gate in enumerate(listed or ()):
        name = gate.get("name") or ""
        say(found, f"{path}[{index}]", name, names.qualified(name))
        if name in seen:
            found.append(causes.duplicate(f"{path}[{index}]", name))
        seen.add(name)
