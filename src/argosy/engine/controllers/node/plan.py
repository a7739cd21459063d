"""Whether a node is alive, and the taints that say so. Pure.

A node that gives no sign of life for as long as its lease lasts, forty seconds by default, becomes `Ready: Unknown` and is tainted; what tolerates neither leaves it
(`evictions`). A node annotated `kwok.x-k8s.io/node: fake` is only pretended and left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argosy.clock import rfc3339
from argosy.engine.controllers.pods import moment
from argosy.engine.scheduler.terms import tolerates
from argosy.intent import Action, Observed, Patch, Plan, Reason
from argosy.kinds import LEASE, NODE
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, is_deleting, key_of, name_of, uid_of

GRACE_SECONDS = 40
FAKE = "kwok.x-k8s.io/node"
UNREACHABLE = "node.kubernetes.io/unreachable"
_NOT_READY = "node.kubernetes.io/not-ready"
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_PRESSURE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS = frozenset({UNREACHABLE, _NOT_READY, _UNSCHEDULABLE, *_PRESSURE.values()})


def plan(seen: Observed) -> Plan:
    """Judge a node by its lease and its own report."""
    node = seen.subject
    if is_deleting(node):
        return Plan()
    leases = seen.related.get(LEASE, ())
    status: Obj | None = None
    wait: float | None = None
    reasons: tuple[Reason, ...] = ()
    if annotations_of(node).get(FAKE) != "fake":
        left = (_last_sign(node, leases, seen.now) + timedelta(seconds=_grace(leases)) - seen.now).total_seconds()
        if left > 0:
            wait = left
        elif (find(node, "Ready") or {}).get("status") != "Unknown":
            status = _unknown(node, seen.now)
            message = f"Node {name_of(node)} status is now: NodeNotReady; see that its agent runs."
            reasons = (Reason("NodeNotReady", message),)
    told = {**node, "status": status} if status else node
    return Plan(tuple(_taints(node, told, seen.now)), status, reasons, wait)


def _grace(leases: Sequence[Obj]) -> int:
    return min(
        (int(dig(lease, "spec", "leaseDurationSeconds", default=GRACE_SECONDS)) for lease in leases),
        default=GRACE_SECONDS,
    )


def _last_sign(node: Obj, leases: Sequence[Obj], now: datetime) -> datetime:
    signs = [dig(lease, "spec", "renewTime") for lease in leases]
    signs.append((find(node, "Ready") or {}).get("lastHeartbeatTime"))
    signs.append(node["metadata"].get("creationTimestamp"))
    return max((sign for sign in map(moment, signs) if sign is not None), default=now)


def _unknown(node: Obj, now: datetime) -> Obj:
    stamp = rfc3339(now)
    conditions: list[Obj] = []
    present = {c.get("type") for c in dig(node, "status", "conditions", default=())}
    missing = [
        {"type": type} for type in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure") if type not in present
    ]
    for condition in [*dig(node, "status", "conditions", default=()), *missing]:
        if condition["type"] not in {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}:
            conditions.append(condition)
            continue
        never = "lastHeartbeatTime" not in condition
        changed = {
            **condition,
            "status": "Unknown",
            "reason": "NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
            "message": "Kubelet never posted node status." if never else "Kubelet stopped posting node status.",
        }
        if condition.get("status") != "Unknown":
            changed["lastTransitionTime"] = stamp
        conditions.append(changed)
    return {**(node.get("status") or {}), "conditions": conditions}


def _taints(node: Obj, told: Obj, now: datetime) -> list[Action]:
    wanted = {(taint["key"], taint["effect"]): taint for taint in _wanted(told)}
    present: list[Obj] = list(dig(node, "spec", "taints", default=[]))
    kept = [t for t in present if t.get("key") not in _OURS or (t["key"], t["effect"]) in wanted]
    had = {(t["key"], t["effect"]) for t in kept}
    for place, taint in wanted.items():
        if place not in had:
            kept.append({**taint, "timeAdded": rfc3339(now)})
    if kept == present:
        return []
    return [Patch(NODE, key_of(node), {"spec": {"taints": kept or None}}, uid=uid_of(node))]


def _wanted(node: Obj) -> Iterable[Obj]:
    ready = (find(node, "Ready") or {}).get("status", "Unknown" if find(node, "Ready") else None)
    key = {"Unknown": UNREACHABLE, "False": _NOT_READY}.get(str(ready))
    if key:
        yield {"key": key, "effect": "NoSchedule"}
        yield {"key": key, "effect": "NoExecute"}
    if dig(node, "spec", "unschedulable"):
        yield {"key": _UNSCHEDULABLE, "effect": "NoSchedule"}
    for type, taint in _PRESSURE.items():
        if (find(node, type) or {}).get("status") == "True":
            yield {"key": taint, "effect": "NoSchedule"}


_NOBODY: Mapping[str, datetime] = {}


@dataclass(frozen=True, slots=True)
class Eviction:
    """A pod that has to leave a tainted node, in so many seconds."""

    pod: Obj
    in_seconds: float


def evictions(node: Obj, pods: Iterable[Obj], now: datetime, seen: Mapping[str, datetime] = _NOBODY) -> list[Eviction]:
    """The pods that the node's NoExecute taints turn out. `seen` tells since when each pod, by uid, was known to be there
    under a taint; it counts for taints that do not say themselves when they were added, as those that people add.
    """
    taints = [t for t in dig(node, "spec", "taints", default=()) if t.get("effect") == "NoExecute"]
    found: list[Eviction] = []
    if not taints:
        return found
    for pod in pods:
        if is_deleting(pod):
            continue
        tolerations = dig(pod, "spec", "tolerations", default=())
        since = seen.get(pod["metadata"].get("uid", ""), now)
        due = [_stays_for(tolerations, taint, now, since) for taint in taints]
        limited = [seconds for seconds in due if seconds is not None]
        if limited:
            found.append(Eviction(pod, max(0.0, min(limited))))
    return found


def _stays_for(tolerations: Iterable[Obj], taint: Obj, now: datetime, seen: datetime) -> float | None:
    """Seconds until the taint turns the pod out, None for ever."""
    matching = [t for t in tolerations if tolerates(t, taint)]
    if not matching:
        return 0.0
    limits = [float(t["tolerationSeconds"]) for t in matching if t.get("tolerationSeconds") is not None]
    if not limits:
        return None
    since = moment(taint.get("timeAdded")) or seen
    return (since + timedelta(seconds=min(limits)) - now).total_seconds()
