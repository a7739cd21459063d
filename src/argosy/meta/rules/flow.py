"""Rules of flow control: which requests a FlowSchema sorts out, and what a PriorityLevelConfiguration gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from argosy.meta import causes, internal_form, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, one_of, required, say

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_PRECEDENCE_MAX = 10_000
_QUEUES_MAX = 10_000_000
_HASH_BITS = 60
_SHARES = "must be a non-negative integer"
_KEPT_ZERO = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"

_EVERYBODY = [
    {"kind": "Group", "group": {"name": "system:unauthenticated"}},
    {"kind": "Group", "group": {"name": "system:authenticated"}},
]
_ANYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
_ANY_PATH = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_FIXED_SCHEMAS: dict[str, Obj] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": [{
            "subjects": [{"kind": "Group", "group": {"name": "system:masters"}}],
            "resourceRules": [_ANYTHING], "nonResourceRules": [_ANY_PATH],
        }],
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": _PRECEDENCE_MAX,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": _EVERYBODY, "resourceRules": [_ANYTHING], "nonResourceRules": [_ANY_PATH]}],
    },
}  # fmt: skip
_FIXED_LEVELS: dict[str, Obj] = {
    "exempt": {"type": "Exempt"},
    "catch-all": {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}},
    },
}
"""What the two that every server has say; the exempt level's own shares may be set."""


def flow_schema(new: Obj, old: Obj | None) -> Found:
    """flowcontrol.apiserver.k8s.io/v1 FlowSchema."""
    found: Found = []
    spec, name = new["spec"], new["metadata"].get("name") or ""
    path, precedence = "spec.matchingPrecedence", spec["matchingPrecedence"]
    if precedence <= 0:
        found.append(causes.invalid(path, precedence, "must be a positive value"))
    if precedence > _PRECEDENCE_MAX:
        found.append(causes.invalid(path, precedence, f"must not be greater than {_PRECEDENCE_MAX}"))
    if precedence == 1 and name != "exempt":
        message = "only the schema named 'exempt' may have matchingPrecedence 1"
        found.append(causes.invalid(path, precedence, message))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        said = {"Type": method.get("type") or ""}
        found.append(causes.unsupported("spec.distinguisherMethod.type", said, ("ByNamespace", "ByUser")))
    level, path = spec["priorityLevelConfiguration"].get("name"), "spec.priorityLevelConfiguration.name"
    if required(found, path, level, "must reference a priority level"):
        say(found, path, level, names.subdomain(level))
    for index, rule in enumerate(spec.get("rules") or ()):
        _rule(found, f"spec.rules[{index}]", rule)
    if name in _FIXED_SCHEMAS and spec != _FIXED_SCHEMAS[name]:
        shown = internal_form.form("flowcontrol.FlowSchemaSpec", spec)
        found.append(causes.invalid("spec", shown, f"spec of '{name}' must equal the fixed value"))
    return found


def _rule(found: Found, path: str, rule: Obj) -> None:
    required(found, f"{path}.subjects", rule.get("subjects"), "subjects must contain at least one value")
    for index, subject in enumerate(rule.get("subjects") or ()):
        _subject(found, f"{path}.subjects[{index}]", subject)
    resources, urls = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not urls:
        message = "at least one of resourceRules and nonResourceRules has to be non-empty"
        found.append(causes.required(path, message))
    for index, each in enumerate(resources):
        _resource_rule(found, f"{path}.resourceRules[{index}]", each)
    for index, each in enumerate(urls):
        place = f"{path}.nonResourceRules[{index}]"
        _verbs(found, place, each)
        listed = each.get("nonResourceURLs") or []
        if not listed:
            message = "nonResourceURLs must contain at least one value"
            found.append(causes.required(f"{place}.nonResourceURLs", message))
        elif not _all(found, f"{place}.nonResourceURLs", listed, "non-resource URLs"):
            for number, url in enumerate(listed):
                say(found, f"{place}.nonResourceURLs[{number}]", url, _bad_url(url))


def _subject(found: Found, path: str, subject: Obj) -> None:
    kind = subject.get("kind") or ""
    mine = _SUBJECTS.get(kind)
    if mine is None:
        one_of(found, f"{path}.kind", kind, sorted(_SUBJECTS))
        return
    who = subject.get(mine)
    if who is None:
        found.append(causes.required(f"{path}.{mine}", f"{mine} is required when subject kind is '{kind}'"))
    else:
        name = who.get("name")
        if required(found, f"{path}.{mine}.name", name) and kind == "ServiceAccount" and name != "*":
            say(found, f"{path}.{mine}.name", name, names.subdomain(name))
        if kind == "ServiceAccount":
            place, space = f"{path}.{mine}.namespace", who.get("namespace")
            if required(found, place, space, "must specify namespace for service account"):
                say(found, place, space, names.label(space))
    for other, field in _SUBJECTS.items():
        if other != kind and subject.get(field) is not None:
            message = f"{field} is forbidden when subject kind is not '{other}'"
            found.append(causes.forbidden(f"{path}.{field}", message))


def _all(found: Found, path: str, listed: Sequence[str], what: str) -> bool:
    """Whether a list says `*`, which stands alone."""
    if "*" in listed and len(listed) > 1:
        found.append(causes.invalid(path, list(listed), f"if '*' is present, must not specify other {what}"))
    return "*" in listed


def _verbs(found: Found, path: str, rule: Obj) -> None:
    verbs = rule.get("verbs") or []
    if not verbs:
        found.append(causes.required(f"{path}.verbs", "verbs must contain at least one value"))
    elif not _all(found, f"{path}.verbs", verbs, "verbs") and not set(verbs) <= set(_VERBS):
        found.append(causes.unsupported(f"{path}.verbs", verbs, _VERBS))


def _resource_rule(found: Found, path: str, rule: Obj) -> None:
    _verbs(found, path, rule)
    for field, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        listed = rule.get(field) or []
        if required(found, f"{path}.{field}", listed, f"resource rules must supply at least one {one}"):
            _all(found, f"{path}.{field}", listed, many)
    spaces = rule.get("namespaces") or []
    if not spaces and not rule.get("clusterScope"):
        message = "resource rules that are not cluster scoped must supply at least one namespace"
        found.append(causes.required(f"{path}.namespaces", message))
    elif not _all(found, f"{path}.namespaces", spaces, "namespaces"):
        for index, space in enumerate(spaces):
            complaints = [f"each member of this list must be '*' or a DNS-1123 label; {w}" for w in names.label(space)]
            say(found, f"{path}.namespaces[{index}]", space, complaints)


def _bad_url(url: str) -> list[str]:
    if not url:
        return ["must not be empty"]
    if url == "/":
        return []
    if not url.startswith("/"):
        return ["must start with slash"]
    if " " in url:
        return ["must not contain white-space"]
    if "//" in url:
        return ["must not contain double slash"]
    if url.count("*") > 1 or ("*" in url and not url.endswith("/*")):
        return ["wildcard can only do suffix matching"]
    return []


def priority_level(new: Obj, old: Obj | None) -> Found:
    """flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration."""
    found: Found = []
    spec, name = new["spec"], new["metadata"].get("name") or ""
    if _KEPT_ZERO in (new["metadata"].get("annotations") or {}):
        found.append(causes.forbidden("metadata.annotations", f"annotation '{_KEPT_ZERO}' is forbidden"))
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if (name == "exempt") != (kind == "Exempt"):
        found.append(causes.invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'"))
    if kind == "Exempt":
        if limited is not None:
            found.append(causes.forbidden("spec.limited", "must be nil if the type is not Limited"))
        _shares(found, "spec.exempt", exempt or {})
    elif kind == "Limited":
        if exempt is not None:
            found.append(causes.forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            found.append(causes.required("spec.limited", "must not be empty when type is Limited"))
        else:
            _limited(found, "spec.limited", limited)
    else:
        one_of(found, "spec.type", kind, ("Exempt", "Limited"))
    fixed: Obj | None = _FIXED_LEVELS.get(name)
    said: Obj = spec
    if name == "exempt":
        said = {field: value for field, value in spec.items() if field != "exempt"}
    if fixed is not None and said != fixed:
        but = " except the 'spec.exempt' field" if name == "exempt" else ""
        shown = internal_form.form("flowcontrol.PriorityLevelConfigurationSpec", spec)
        found.append(causes.invalid("spec", shown, f"spec of '{name}'{but} must equal the fixed value"))
    return found


def _shares(found: Found, path: str, level: Obj) -> None:
    shares, lent = level.get("nominalConcurrencyShares") or 0, level.get("lendablePercent") or 0
    if shares < 0:
        found.append(causes.invalid(f"{path}.nominalConcurrencyShares", shares, _SHARES))
    if not 0 <= lent <= 100:
        found.append(causes.invalid(f"{path}.lendablePercent", lent, "must be between 0 and 100, inclusive"))


def _limited(found: Found, path: str, limited: Obj) -> None:
    _shares(found, path, limited)
    response, place = limited.get("limitResponse") or {}, f"{path}.limitResponse"
    kind, queuing = response.get("type") or "", response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            message = "must be nil if limited.limitResponse.type is not Limited"
            found.append(causes.forbidden(f"{place}.queuing", message))
    elif kind == "Queue":
        if queuing is None:
            message = "must not be empty if limited.limitResponse.type is Limited"
            found.append(causes.required(f"{place}.queuing", message))
        else:
            _queuing(found, f"{place}.queuing", queuing)
    else:
        one_of(found, f"{place}.type", kind, ("Queue", "Reject"))
    borrowed = limited.get("borrowingLimitPercent")
    if borrowed is not None and borrowed < 0:
        message = "if specified, must be a non-negative integer"
        found.append(causes.invalid(f"{path}.borrowingLimitPercent", borrowed, message))


def _queuing(found: Found, path: str, queuing: Obj) -> None:
    length, queues, hand = (queuing.get(field) or 0 for field in ("queueLengthLimit", "queues", "handSize"))
    if length <= 0:
        found.append(causes.invalid(f"{path}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        found.append(causes.invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > _QUEUES_MAX:
        found.append(causes.invalid(f"{path}.queues", queues, f"must not be greater than {_QUEUES_MAX}"))
    if hand <= 0:
        found.append(causes.invalid(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        found.append(causes.invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})"))
    elif math.ceil(math.log2(queues) * hand) > _HASH_BITS:
        message = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
        found.append(causes.invalid(f"{path}.handSize", hand, f"{message} {_HASH_BITS}"))


def status(new: Obj, old: Obj) -> Found:
    """What the server reports about one of either kind."""
    found: Found = []
    conditions = (new.get("status") or {}).get("conditions") or ()
    types = [each.get("type") or "" for each in conditions]
    for index, type in enumerate(types):
        place = f"status.conditions[{index}].type"
        if type in types[:index]:
            found.append(causes.duplicate(place, type))
        required(found, place, type)
    return found
