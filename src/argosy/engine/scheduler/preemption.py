"""Which pods of lower priority would have to go so that a pod fits. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from argosy.engine.scheduler.budgets import violating
from argosy.engine.scheduler.filters import Fit
from argosy.engine.scheduler.nodeinfo import NodeInfo
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.meta.json import dig
from argosy.meta.objects import is_deleting

_CANDIDATES_MAX = 100


@dataclass(frozen=True, slots=True)
class Preemption:
    """A pod is to have a node once its victims are gone."""

    pod: PodInfo
    node: str
    victims: tuple[PodInfo, ...]


def may_preempt(pod: PodInfo, snapshot: Snapshot) -> bool:
    """Whether the pod may, and anybody is lower."""
    if dig(pod.obj, "spec", "preemptionPolicy") == "Never":
        return False
    return any(priority < pod.priority for priority in snapshot.priorities)


def preempt(pod: PodInfo, snapshot: Snapshot) -> Preemption | None:
    """The cheapest way to make room: nobody whom a budget protects, victims of the lowest priority, as few as can be, the
    youngest first.
    """
    fit = Fit(pod, snapshot)
    if fit.blocked:
        return None
    found: list[Preemption] = []
    for node in list(snapshot.nodes.values()):
        if fit.enters(node) or not any(p.priority < pod.priority for p in node.pods.values()):
            continue
        victims = _victims(pod, node, snapshot)
        if victims is not None:
            found.append(Preemption(pod, node.name, tuple(victims)))
            if len(found) >= _CANDIDATES_MAX:
                break
    return min(found, key=lambda each: (len(violating(each.victims, snapshot.budgets)), *_cost(each)), default=None)


def _victims(pod: PodInfo, node: NodeInfo, snapshot: Snapshot) -> list[PodInfo] | None:
    """Who must leave one node; None when even all the lower ones leaving would not help."""
    lower = sorted((p for p in node.pods.values() if p.priority < pod.priority), key=_importance)
    with snapshot.trial():
        for each in lower:
            snapshot.forget(each.uid)
        if Fit(pod, snapshot).why_not(node):
            return None
        victims: list[PodInfo] = []
        protected = violating(lower, snapshot.budgets)
        # Whom a budget protects is spared first, then the most important.
        important = list(reversed(lower))
        guarded = [each for each in important if each.uid in protected]
        for each in (*guarded, *(each for each in important if each.uid not in protected)):
            snapshot.assume(each, node.name)
            if Fit(pod, snapshot).why_not(node):
                snapshot.forget(each.uid)
                victims.append(each)
        return victims


def _importance(pod: PodInfo) -> tuple[int, int, str]:
    """Least important first: lower priority, then younger; who is leaving anyway before all."""
    started = str(dig(pod.obj, "status", "startTime", default="") or "")
    return (-1 if is_deleting(pod.obj) else 0, pod.priority, _later_first(started))


def _later_first(stamp: str) -> str:
    return "".join(chr(0x10FF - ord(letter)) for letter in stamp)


def _cost(preemption: Preemption) -> tuple[int, int, int, str]:
    staying = [victim for victim in preemption.victims if not is_deleting(victim.obj)]
    priorities = [victim.priority for victim in staying]
    return (max(priorities, default=-(2**31)), sum(_shifted(priorities)), len(staying), preemption.node)


def _shifted(priorities: Iterable[int]) -> Iterable[int]:
    return (priority + 2**31 for priority in priorities)
