"""ResourceQuotas: a create that would use more than is left is refused, one that fits is counted.

Usage is counted here, in the turn of the event loop in which the create is decided, so that two creates never spend the
same; the quota controller corrects the count when things go.
"""

from __future__ import annotations

from collections.abc import Mapping

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden
from argosy.engine.store import Put, Record
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.quantity import Quantity, parse

_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory", "ephemeral-storage": "requests.ephemeral-storage"}
_NAMED = {
    kinds.POD: "pods", kinds.SERVICE: "services", kinds.SECRET: "secrets", kinds.CONFIG_MAP: "configmaps",
    kinds.PERSISTENT_VOLUME_CLAIM: "persistentvolumeclaims", kinds.RESOURCE_QUOTA: "resourcequotas",
    kinds.REPLICATION_CONTROLLER: "replicationcontrollers",
}  # fmt: skip


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Hold a create against the namespace's quotas. Raises Forbidden."""
    if old is not None or not call.kind.namespaced:
        return
    quotas = call.api.store.list(kinds.RESOURCE_QUOTA.resource, call.target.namespace)
    if not quotas:
        return
    asked = usage(call, obj)
    for record in quotas:
        newest = call.api.store.newest(kinds.RESOURCE_QUOTA.resource, record.key) or record
        if _covers(newest.obj, call, obj):
            _check(call, obj, newest, asked)


def usage(call: Call, obj: Obj) -> dict[str, Quantity]:
    """What an object counts for, by the names that quotas use."""
    kind = call.served.storage
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


def _covers(quota: Obj, call: Call, obj: Obj) -> bool:
    """Whether the quota's scopes take in the object."""
    scopes = list(dig(quota, "spec", "scopes", default=()))
    terms = [{"scopeName": scope, "operator": "Exists"} for scope in scopes]
    terms += dig(quota, "spec", "scopeSelector", "matchExpressions", default=[])
    if not terms:
        return True
    if call.served.storage is not kinds.POD:
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


def _check(call: Call, obj: Obj, record: Record, asked: Mapping[str, Quantity]) -> None:
    quota = record.obj
    name = quota["metadata"]["name"]
    hard = dig(quota, "spec", "hard", default={})
    used = dig(quota, "status", "used", default={})
    told = obj["metadata"].get("name", "")
    needed = {resource: asked.get(_SHORT.get(resource, resource)) for resource in hard}
    missing = [r for r, amount in needed.items() if amount is None and _must_say(call, r)]
    if missing:
        raise forbidden(call.kind, told, f"failed quota: {name}: must specify {_unsaid(obj, sorted(missing))}")
    counted = {resource: amount for resource, amount in needed.items() if amount is not None}
    if not counted:
        return
    known = {resource: parse(used.get(resource, "0")) for resource in counted}
    over = [r for r in sorted(counted) if known[r].nanos + counted[r].nanos > parse(hard[r]).nanos]
    if over:
        shown = [
            ",".join(f"{r}={table[r]}" for r in over)
            for table in (counted, known, hard)
        ]  # fmt: skip
        why = f"exceeded quota: {name}, requested: {shown[0]}, used: {shown[1]}, limited: {shown[2]}"
        raise forbidden(call.kind, told, why)
    if not call.dry_run:
        call.charges.append(_charge(record, {r: known[r] + counted[r] for r in counted}))


def _charge(record: Record, used: Mapping[str, Quantity]) -> Put:
    quota: Obj = thaw(record.obj)
    quota["metadata"].pop("resourceVersion", None)
    status = quota.setdefault("status", {})
    status["hard"] = thaw(dig(quota, "spec", "hard", default={}))
    status["used"] = {**(status.get("used") or {}), **{name: str(amount) for name, amount in used.items()}}
    return Put(kinds.RESOURCE_QUOTA.resource, record.key, quota, expect=record.revision)


def _must_say(call: Call, resource: str) -> bool:
    """Whether a pod that says nothing about a resource is refused where it is limited."""
    full = _SHORT.get(resource, resource)
    return call.served.storage is kinds.POD and full in (
        "requests.cpu",
        "requests.memory",
        "limits.cpu",
        "limits.memory",
    )


def _unsaid(pod: Obj, missing: list[str]) -> str:
    """`cpu for: a; memory for: a,b`: which containers do not say what."""
    parts = []
    for resource in missing:
        side, _, name = _SHORT.get(resource, resource).partition(".")
        names = [
            container["name"]
            for container in dig(pod, "spec", "containers", default=())
            if name not in dig(container, "resources", side, default={})
        ]
        parts.append(f"{resource} for: {','.join(names)}")
    return "; ".join(parts)
