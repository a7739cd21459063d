"""How well a pod would sit on a node that it fits. Pure; higher is better.

The least used node wins, cpu and memory in balance; pods of one owner are spread; preferences and soft constraints count by
their weights.
"""

from __future__ import annotations

from argosy.engine.scheduler.nodeinfo import NodeInfo
from argosy.engine.scheduler.podinfo import CPU, MEMORY, PodInfo
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.engine.scheduler.terms import matches_term, tolerates
from argosy.meta.json import dig

_OWNER_WEIGHT = 20.0
_SPREAD_WEIGHT = 40.0
_TAINT_WEIGHT = 300.0
_AFFINITY_WEIGHT = 2.0


def score(pod: PodInfo, node: NodeInfo, snapshot: Snapshot, owner: str) -> float:
    """The sum of all. `owner` is whose pods are spread; empty where none of them is placed yet."""
    total = _use(pod, node)
    if owner:
        total -= _OWNER_WEIGHT * node.owners[owner]
    if node.taints:
        total -= _TAINT_WEIGHT * _soft_taints(pod, node)
    if pod.obj["spec"].get("affinity"):
        total += _AFFINITY_WEIGHT * _preferred_nodes(pod, node)
    for weighted in pod.preferred:
        value = node.labels.get(weighted.term.topology_key)
        if value is not None:
            total += weighted.weight * min(10, snapshot.matching(weighted.term)[value])
    for spread in pod.spread:
        if not spread.hard:
            value = node.labels.get(spread.term.topology_key)
            total -= _SPREAD_WEIGHT * (snapshot.matching(spread.term)[value] if value is not None else 10)
    return total


def _use(pod: PodInfo, node: NodeInfo) -> float:
    """0..200: half for what is left free, half for cpu and memory being used alike."""
    cpu = _fraction(node.weight[0] + pod.weight[0], node.allocatable.get(CPU, 0))
    memory = _fraction(node.weight[1] + pod.weight[1], node.allocatable.get(MEMORY, 0))
    least = ((1 - cpu) + (1 - memory)) / 2
    balance = 1 - abs(cpu - memory) / 2
    return 100 * least + 100 * balance


def _fraction(used: int, of: int) -> float:
    return min(1.0, used / of) if of else 1.0


def _soft_taints(pod: PodInfo, node: NodeInfo) -> int:
    tolerations = pod.obj["spec"].get("tolerations") or ()
    return sum(
        taint.get("effect") == "PreferNoSchedule" and not any(tolerates(t, taint) for t in tolerations)
        for taint in node.taints
    )


def _preferred_nodes(pod: PodInfo, node: NodeInfo) -> float:
    terms = dig(
        pod.obj, "spec", "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", default=()
    )
    met = sum(
        int(t["weight"])
        for t in terms
        if not (t["preference"].get("matchExpressions") or t["preference"].get("matchFields"))
        or matches_term(t["preference"], node.labels, node.name)
    )
    return float(met)
