"""What objects count for in a ResourceQuota. Pure: the API server charges by it, operators ask by it whether a gang fits."""

from __future__ import annotations

from argosy import kinds
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.quantity import Quantity, parse

SHORT = {"cpu": "requests.cpu", "memory": "requests.memory", "ephemeral-storage": "requests.ephemeral-storage"}
_NAMED = {
    kinds.POD: "pods", kinds.SERVICE: "services", kinds.SECRET: "secrets", kinds.CONFIG_MAP: "configmaps",
    kinds.PERSISTENT_VOLUME_CLAIM: "persistentvolumeclaims", kinds.RESOURCE_QUOTA: "resourcequotas",
    kinds.REPLICATION_CONTROLLER: "replicationcontrollers",
}  # fmt: skip


def usage(kind: Kind, obj: Obj) -> dict[str, Quantity]:
    """What an object counts for, by the names that quotas use; nothing for a pod that has ended."""
    if kind is kinds.POD and dig(obj, "status", "phase") in ("Succeeded", "Failed"):
        return {}
    one = parse("1")
    used = {f"count/{kind.resource}": one}
    if kind in _NAMED:
        used[_NAMED[kind]] = one
    if kind is kinds.POD:
        used |= _pod(obj)
    elif kind is kinds.SERVICE:
        type = dig(obj, "spec", "type", default="")
        if type == "LoadBalancer":
            used["services.loadbalancers"] = one
        if type in ("NodePort", "LoadBalancer"):
            used["services.nodeports"] = parse(str(len(dig(obj, "spec", "ports", default=()))))
    elif kind is kinds.PERSISTENT_VOLUME_CLAIM:
        storage = dig(obj, "spec", "resources", "requests", "storage")
        if storage:
            used["requests.storage"] = parse(storage)
            name = dig(obj, "spec", "storageClassName")
            if name:
                used[f"{name}.storageclass.storage.k8s.io/requests.storage"] = parse(storage)
                used[f"{name}.storageclass.storage.k8s.io/persistentvolumeclaims"] = one
    return used


def _pod(pod: Obj) -> dict[str, Quantity]:
    used: dict[str, Quantity] = {}
    for side in ("requests", "limits"):
        totals: dict[str, Quantity] = {}
        for container in dig(pod, "spec", "containers", default=()):
            for name, amount in dig(container, "resources", side, default={}).items():
                totals[name] = totals[name] + parse(amount) if name in totals else parse(amount)
        for container in dig(pod, "spec", "initContainers", default=()):
            for name, amount in dig(container, "resources", side, default={}).items():
                totals[name] = max(totals.get(name, parse("0")), parse(amount))
        used |= {f"{side}.{name}": amount for name, amount in totals.items()}
    return used


def covers(quota: Obj, kind: Kind, obj: Obj) -> bool:
    """Whether the quota's scopes take in the object."""
    scopes = list(dig(quota, "spec", "scopes", default=()))
    terms = [{"scopeName": scope, "operator": "Exists"} for scope in scopes]
    terms += dig(quota, "spec", "scopeSelector", "matchExpressions", default=[])
    if not terms:
        return True
    if kind is not kinds.POD:
        return False
    return all(_in_scope(term, obj) for term in terms)


def _in_scope(term: Obj, pod: Obj) -> bool:
    name, spec = term.get("scopeName"), pod.get("spec") or {}
    if name in ("Terminating", "NotTerminating"):
        return bool((spec.get("activeDeadlineSeconds") is not None) == (name == "Terminating"))
    if name in ("BestEffort", "NotBestEffort"):
        return bool((dig(pod, "status", "qosClass") == "BestEffort") == (name == "BestEffort"))
    if name == "PriorityClass":
        value, values = spec.get("priorityClassName") or "", term.get("values") or ()
        operator = term.get("operator")
        if operator in ("In", "NotIn"):
            return bool((value in values) == (operator == "In"))
        return bool(value) == (operator == "Exists")
    return False
