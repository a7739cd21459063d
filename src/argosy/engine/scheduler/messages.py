"""Why a pod waits, as kube-scheduler says it, and as a person would like to hear it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argosy.engine.scheduler.filters import Fit
from argosy.engine.scheduler.nodeinfo import NodeInfo
from argosy.engine.scheduler.podinfo import CPU, PodInfo

_BYTES = ("memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a pod is not placed. `never` tells that no waiting helps: no node, however empty, would do."""

    message: str
    never: bool = False


def available(nodes: int, counts: Mapping[str, int], preemption: str = "") -> str:
    """`0/3 nodes are available: 1 Insufficient cpu, 2 node(s) …. preemption: …`."""
    if not nodes:
        return "no nodes available to schedule pods"
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    said = f"0/{nodes} nodes are available: {reasons}."
    return f"{said} preemption: {preemption}" if preemption else said


def blocked(nodes: int, why: str) -> str:
    """The form for what concerns the pod alone, whatever the nodes."""
    return f"0/{nodes} nodes are available: {why}."


def not_helpful(nodes: int, hopeless: int) -> str:
    """Why nothing was preempted: on `hopeless` nodes it would not help, on the others there is nobody lower."""
    parts = []
    if hopeless < nodes:
        parts.append(f"{nodes - hopeless} No preemption victims found for incoming pod")
    if hopeless:
        parts.append(f"{hopeless} Preemption is not helpful for scheduling")
    return f"0/{nodes} nodes are available: {', '.join(parts)}."


def too_large(pod: PodInfo, fit: Fit, nodes: Mapping[str, NodeInfo]) -> str:
    """The sentence for a pod that asks for more than any node has, empty when some node would do when empty."""
    entered = [node for node in nodes.values() if not fit.enters(node)]
    candidates = entered or list(nodes.values())
    if not candidates or any(_could_hold(node, pod) for node in candidates):
        return ""
    complaints = []
    for resource, amount in sorted(pod.requests.items()):
        largest = max(node.allocatable.get(resource, 0) for node in candidates)
        if amount > largest:
            has = f"the largest node has {readable(resource, largest)}" if largest else "no node has any"
            complaints.append(f"it asks for {readable(resource, amount)} {resource} and {has}")
    if not complaints:
        return "No single node has all that it asks for; lower its requests or add a larger node."
    return f"The pod can never fit: {'; '.join(complaints)}; lower its requests or add a larger node."


def _could_hold(node: NodeInfo, pod: PodInfo) -> bool:
    return all(amount <= node.allocatable.get(resource, 0) for resource, amount in pod.requests.items())


def readable(resource: str, millis: int) -> str:
    """An amount for people: `500m`, `1.5Gi`, `8`."""
    if resource in _BYTES or resource.startswith("hugepages-"):
        value = millis / 1000
        for unit in ("", "Ki", "Mi", "Gi", "Ti", "Pi"):
            if value < 1024 or unit == "Pi":
                return f"{value:.1f}{unit}".replace(".0", "")
            value /= 1024
    if millis % 1000 and resource == CPU:
        return f"{millis}m"
    return str(millis // 1000) if millis % 1000 == 0 else str(millis / 1000)
