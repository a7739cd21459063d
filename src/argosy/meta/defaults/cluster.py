"""Defaults of the kinds that configure the cluster itself."""

from __future__ import annotations

import base64

from argosy.meta.json import Obj

_RBAC = "rbac.authorization.k8s.io"


def secret(obj: Obj) -> None:
    """v1 Secret: `stringData` goes into `data`."""
    plain = obj.pop("stringData", None)
    if plain:
        data = obj.setdefault("data", {})
        data.update({key: base64.b64encode(text.encode()).decode() for key, text in plain.items()})
    obj.setdefault("type", "Opaque")


def namespace(obj: Obj) -> None:
    """v1 Namespace: its name is among its labels."""
    name = obj["metadata"].get("name")
    if name:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    obj["status"].setdefault("phase", "Active")


def node(obj: Obj) -> None:
    """v1 Node: what it has can be allocated, and its one block of addresses goes by two names."""
    spec = obj.get("spec") or {}
    if spec.get("podCIDR"):
        if (spec.get("podCIDRs") or [""])[0] != spec["podCIDR"]:
            spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    status = obj["status"]
    if status.get("capacity") and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])


def limit_range(obj: Obj) -> None:
    """v1 LimitRange."""
    for item in obj["spec"].get("limits") or ():
        if item.get("type") != "Container":
            continue
        default, request = item.setdefault("default", {}), item.setdefault("defaultRequest", {})
        for name, amount in (item.get("max") or {}).items():
            default.setdefault(name, amount)
        for source in (default, item.get("min") or {}):
            for name, amount in source.items():
                request.setdefault(name, amount)
        for name in ("default", "defaultRequest"):
            if not item[name]:
                del item[name]


def binding(obj: Obj) -> None:
    """RoleBinding and ClusterRoleBinding."""
    reference = obj["roleRef"]
    if not reference.get("apiGroup"):
        reference["apiGroup"] = _RBAC
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = _RBAC


def priority_class(obj: Obj) -> None:
    """scheduling.k8s.io/v1 PriorityClass."""
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def custom_resource_definition(obj: Obj) -> None:
    """apiextensions.k8s.io/v1 CustomResourceDefinition."""
    spec = obj["spec"]
    names = spec["names"]
    kind = names.get("kind") or ""
    if kind and not names.get("singular"):
        names["singular"] = kind.lower()
    if kind and not names.get("listKind"):
        names["listKind"] = f"{kind}List"
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service:
        service.setdefault("port", 443)
    status = obj["status"]
    if not status.get("storedVersions"):
        stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
        status["storedVersions"] = stored or None


def webhooks(obj: Obj) -> None:
    """Webhook configurations of both sorts."""
    mutating = obj.get("kind") == "MutatingWebhookConfiguration"
    for webhook in obj.get("webhooks") or ():
        webhook.setdefault("failurePolicy", "Fail")
        webhook.setdefault("matchPolicy", "Equivalent")
        webhook.setdefault("namespaceSelector", {})
        webhook.setdefault("objectSelector", {})
        webhook.setdefault("timeoutSeconds", 10)
        if mutating:
            webhook.setdefault("reinvocationPolicy", "Never")
        service = (webhook.get("clientConfig") or {}).get("service")
        if service:
            service.setdefault("port", 443)
        for rule in webhook.get("rules") or ():
            rule.setdefault("scope", "*")


def _match(resources: Obj | None) -> None:
    if resources is None:
        return
    resources.setdefault("matchPolicy", "Equivalent")
    resources.setdefault("namespaceSelector", {})
    resources.setdefault("objectSelector", {})
    for name in ("resourceRules", "excludeResourceRules"):
        for rule in resources.get(name) or ():
            rule.setdefault("scope", "*")


def admission_policy(obj: Obj) -> None:
    """ValidatingAdmissionPolicy and MutatingAdmissionPolicy."""
    spec = obj["spec"]
    spec.setdefault("failurePolicy", "Fail")
    if obj.get("kind") == "MutatingAdmissionPolicy":
        spec["reinvocationPolicy"] = spec.get("reinvocationPolicy") or "Never"
    _match(spec.get("matchConstraints"))


def admission_binding(obj: Obj) -> None:
    """The bindings of admission policies."""
    _match(obj["spec"].get("matchResources"))


def token_request(obj: Obj) -> None:
    """authentication.k8s.io/v1 TokenRequest."""
    obj["spec"].setdefault("expirationSeconds", 3600)


def api_service(obj: Obj) -> None:
    """apiregistration.k8s.io/v1 APIService."""
    service = obj["spec"].get("service")
    if service is not None:
        service.setdefault("port", 443)
