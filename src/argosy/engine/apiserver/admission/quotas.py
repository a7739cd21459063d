"""ResourceQuotas: a write that would use more than is left is refused, one that fits is counted.

Usage is counted here, in the turn of the event loop in which the write is decided, so that two writes never spend the
same; `apiserver.quotas` counts anew when things go or a quota changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden
from argosy.engine.store import Put, Record
from argosy.kinds.usage import SHORT, covers, usage
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.quantity import Quantity, parse

_GROWING = frozenset({kinds.POD, kinds.SERVICE, kinds.PERSISTENT_VOLUME_CLAIM})
"""Kinds whose objects may come to count for more than they did."""


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Hold a write against the namespace's quotas. Raises Forbidden."""
    if not call.kind.namespaced or (old is not None and call.served.storage not in _GROWING):
        return
    quotas = call.api.store.list(kinds.RESOURCE_QUOTA.resource, call.target.namespace)
    if not quotas:
        return
    kind = call.served.storage
    asked = usage(kind, obj) if old is None else _more(usage(kind, obj), usage(kind, old))
    for record in quotas if asked else ():
        newest = call.api.store.newest(kinds.RESOURCE_QUOTA.resource, record.key) or record
        if covers(newest.obj, kind, obj):
            _check(call, obj, newest, asked, new=old is None)


def _more(now: Mapping[str, Quantity], before: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """By how much an object counts for more than it did."""
    zero = parse("0")
    grown = {name: amount - before.get(name, zero) for name, amount in now.items()}
    return {name: amount for name, amount in grown.items() if amount.nanos > 0}


def _check(call: Call, obj: Obj, record: Record, asked: Mapping[str, Quantity], *, new: bool) -> None:
    quota = record.obj
    name = quota["metadata"]["name"]
    hard = dig(quota, "spec", "hard", default={})
    used = dig(quota, "status", "used", default={})
    told = obj["metadata"].get("name", "")
    needed = {resource: asked.get(SHORT.get(resource, resource)) for resource in hard}
    missing = [r for r, amount in needed.items() if amount is None and _must_say(call, r)]
    if missing and new:
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
    full = SHORT.get(resource, resource)
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
        side, _, name = SHORT.get(resource, resource).partition(".")
        names = [
            container["name"]
            for container in dig(pod, "spec", "containers", default=())
            if name not in dig(container, "resources", side, default={})
        ]
        parts.append(f"{resource} for: {','.join(names)}")
    return "; ".join(parts)
