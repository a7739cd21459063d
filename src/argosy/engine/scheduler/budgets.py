"""What PodDisruptionBudgets say about preemption: whom it would rather not take. Pure.

As in Kubernetes they are respected as far as possible and no further: a pod of higher priority that fits nowhere else takes
the room of one that a budget protects.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from argosy.engine.scheduler.podinfo import PodInfo
from argosy.meta.json import Obj, dig
from argosy.meta.objects import namespace_of
from argosy.meta.selectors import Selector, from_object


@dataclass(frozen=True, slots=True)
class Budget:
    """How many more pods of a sort may be disrupted."""

    namespace: str
    selector: Selector
    allowed: int


def read_budget(obj: Obj) -> Budget:
    """The budget as its controller left it. Raises BadRequest for a selector that makes no sense."""
    allowed = int(dig(obj, "status", "disruptionsAllowed", default=0))
    return Budget(namespace_of(obj), from_object(dig(obj, "spec", "selector", default={})), allowed)


def violating(victims: Iterable[PodInfo], budgets: Iterable[Budget]) -> frozenset[str]:
    """The uids of those who would exceed a budget if all of them left, the most important (the last) protected first."""
    left = [(budget, budget.allowed) for budget in budgets]
    found: set[str] = set()
    for victim in victims:
        for number, (budget, allowed) in enumerate(left):
            if budget.namespace == victim.key.namespace and budget.selector.matches(victim.labels):
                left[number] = (budget, allowed - 1)
                if allowed <= 0:
                    found.add(victim.uid)
    return frozenset(found)
