"""Rules of the kinds that configure the cluster: roles, runtime classes, leases, reviews, API services."""

from __future__ import annotations

from base64 import b64decode

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import (
    Found,
    amount,
    labels,
    named,
    one_of,
    required,
    resource_name,
    say,
    selector,
    unreadable,
)  # fmt: skip
from argosy.meta.rules.scheduling import tolerations

_RBAC = "rbac.authorization.k8s.io"


def role(new: Obj, old: Obj | None) -> Found:
    """Role: its rules are about resources of its namespace."""
    return _rules(new, namespaced=True)


def cluster_role(new: Obj, old: Obj | None) -> Found:
    """ClusterRole."""
    found = _rules(new, namespaced=False)
    path, rule = "aggregationRule.clusterRoleSelectors", new.get("aggregationRule")
    if rule is not None and not rule.get("clusterRoleSelectors"):
        message = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        found.append(causes.required(path, message))
    for index, each in enumerate((rule or {}).get("clusterRoleSelectors") or ()):
        selector(found, f"{path}[{index}]", each)
        if unreadable(each):
            found.append(causes.invalid(f"{path}[{index}]", None, "invalid label selector."))
    return found


def _rules(new: Obj, *, namespaced: bool) -> Found:
    found: Found = []
    for index, rule in enumerate(new.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            found.append(causes.required(f"{path}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if namespaced:
                message = "namespaced rules cannot apply to non-resource URLs"
                found.append(causes.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], message))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                message = "rules cannot apply to both regular resources and non-resource URLs"
                found.append(causes.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], message))
            continue
        if not rule.get("apiGroups"):
            found.append(causes.required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            found.append(causes.required(f"{path}.resources", "resource rules must supply at least one resource"))
    return found


def role_binding(new: Obj, old: Obj | None) -> Found:
    """RoleBinding."""
    return _binding(new, old, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding(new: Obj, old: Obj | None) -> Found:
    """ClusterRoleBinding."""
    return _binding(new, old, ("ClusterRole",), namespaced=False)


_REFERENCE = (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))


def _binding(new: Obj, old: Obj | None, kinds: tuple[str, ...], *, namespaced: bool) -> Found:
    found: Found = []
    reference = new["roleRef"]
    one_of(found, "roleRef.apiGroup", reference.get("apiGroup"), (_RBAC,))
    one_of(found, "roleRef.kind", reference.get("kind") or "", kinds)
    name = reference.get("name")
    if required(found, "roleRef.name", name):
        say(found, "roleRef.name", name, names.path_segment(str(name)))
    for index, subject in enumerate(new.get("subjects") or ()):
        _subject(found, f"subjects[{index}]", subject, namespaced=namespaced)
    if old is not None and reference != old["roleRef"]:
        shown = {go: reference.get(name) or "" for go, name in _REFERENCE}
        found.append(causes.invalid("roleRef", shown, "cannot change roleRef"))
    return found


def _subject(found: Found, path: str, subject: Obj, *, namespaced: bool) -> None:
    required(found, f"{path}.name", subject.get("name"))
    kind, group = subject.get("kind"), subject.get("apiGroup") or ""
    if kind == "ServiceAccount":
        if subject.get("name"):
            say(found, f"{path}.name", subject["name"], names.subdomain(subject["name"]))
        if group:
            found.append(causes.unsupported(f"{path}.apiGroup", group, ("",)))
        if not subject.get("namespace") and not namespaced:
            found.append(causes.required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != _RBAC:
            found.append(causes.unsupported(f"{path}.apiGroup", group, (_RBAC,)))
    else:
        found.append(causes.unsupported(f"{path}.kind", kind or "", ("ServiceAccount", "User", "Group")))


def runtime_class(new: Obj, old: Obj | None) -> Found:
    """node.k8s.io/v1 RuntimeClass."""
    found: Found = []
    handler = new.get("handler") or ""
    named(found, "handler", handler)
    for name, value in ((new.get("overhead") or {}).get("podFixed") or {}).items():
        resource_name(found, f"overhead.podFixed[{name}]", name)
        amount(found, f"overhead.podFixed[{name}]", name, value)
    places = new.get("scheduling") or {}
    labels(found, "scheduling.nodeSelector", places.get("nodeSelector"))
    listed = places.get("tolerations") or []
    tolerations(found, "scheduling.tolerations", listed)
    for index, each in enumerate(listed):
        if each in listed[:index]:
            fields = ("key", "operator", "value", "effect")
            shown = {field.capitalize(): each.get(field) or "" for field in fields}
            shown["TolerationSeconds"] = each.get("tolerationSeconds")
            found.append(causes.duplicate(f"scheduling.tolerations[{index}]", shown))
    if old is not None and handler != old.get("handler"):
        found.append(causes.invalid("handler", handler, "field is immutable"))
    return found


def lease(new: Obj, old: Obj | None) -> Found:
    """coordination.k8s.io/v1 Lease."""
    found: Found = []
    spec = new.get("spec") or {}
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        found.append(causes.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        found.append(causes.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    return found


def token_request(new: Obj, old: Obj | None) -> Found:
    """authentication.k8s.io/v1 TokenRequest."""
    found: Found = []
    seconds = new["spec"].get("expirationSeconds", 3600)
    if seconds < 600:
        message = "may not specify a duration less than 10 minutes"
        found.append(causes.invalid("spec.expirationSeconds", seconds, message))
    elif seconds > 2**32:
        message = "may not specify a duration larger than 2^32 seconds"
        found.append(causes.invalid("spec.expirationSeconds", seconds, message))
    return found


def access_review(new: Obj, old: Obj | None) -> Found:
    """SubjectAccessReview and LocalSubjectAccessReview."""
    found = self_access_review(new, old)
    spec = new["spec"]
    if not spec.get("user") and not spec.get("groups"):
        found.append(causes.invalid("spec.user", "", "at least one of user or group must be specified"))
    return found


def self_access_review(new: Obj, old: Obj | None) -> Found:
    """SelfSubjectAccessReview."""
    spec = new["spec"]
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        shown = {"Path": other.get("path") or "", "Verb": other.get("verb") or ""}
        message = "cannot be specified in combination with resourceAttributes"
        return [causes.invalid("spec.nonResourceAttributes", shown, message)]
    if resource is None and other is None:
        message = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [causes.invalid("spec.resourceAttributes", None, message)]
    return []


def api_service(new: Obj, old: Obj | None) -> Found:
    """apiregistration.k8s.io/v1 APIService."""
    found: Found = []
    spec, name = new["spec"], new["metadata"].get("name") or ""
    group, version = spec.get("group") or "", spec.get("version") or ""
    wanted = f"{version}.{group}"
    if name and name != wanted and not names.path_segment(name):
        message = f'must be `spec.version+"."+spec.group`: {causes.go_quoted(wanted)}'
        found.append(causes.invalid("metadata.name", name, message))
    if not group and version != "v1":
        message = "only v1 may have an empty group and it better be legacy kube"
        found.append(causes.required("spec.group", message))
    elif group:
        say(found, "spec.group", group, names.subdomain(group))
    say(found, "spec.version", version, names.label_1035(version))
    for field, most in (("groupPriorityMinimum", 20_000), ("versionPriority", 1000)):
        value = spec.get(field) or 0
        if not 0 < value <= most:
            found.append(causes.invalid(f"spec.{field}", value, f"must be positive and less than {most}"))
    service, bundle, trusting = spec.get("service"), spec.get("caBundle"), spec.get("insecureSkipTLSVerify")
    if service is None:
        if bundle:
            shown = f"{len(b64decode(bundle))} bytes"
            found.append(causes.invalid("spec.caBundle", shown, "local APIServices may not have a caBundle"))
        if trusting:
            message = "local APIServices may not have insecureSkipTLSVerify"
            found.append(causes.invalid("spec.insecureSkipTLSVerify", True, message))
        return found
    for field in ("namespace", "name"):
        required(found, f"spec.service.{field}", service.get(field))
    number = service.get("port") or 0
    if names.port_number(number):
        why = "port is not valid: " + ", ".join(names.port_number(number))
        found.append(causes.invalid("spec.service.port", number, why))
    if trusting and bundle:
        found.append(causes.invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present"))
    return found


def api_service_status(new: Obj, old: Obj) -> Found:
    """What the overseer of extension API servers reports."""
    found: Found = []
    for index, each in enumerate((new.get("status") or {}).get("conditions") or ()):
        one_of(found, f"status.conditions[{index}].status", each.get("status") or "", ("True", "False", "Unknown"))
    return found
