"""A PodDisruptionBudget's numbers. Pure; the eviction subresource reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from argosy.engine.controllers.pods import is_finished, moment, resolve_int_or_percent, soonest
from argosy.intent import Observed, Plan
from argosy.kinds import POD, REPLICA_SET, STATEFUL_SET
from argosy.meta.conditions import Condition, with_stamped
from argosy.meta.json import Obj, dig
from argosy.meta.objects import controller_of, is_deleting, labels_of, name_of, namespace_of, pod_is_ready, uid_of
from argosy.meta.selectors import matches

_DELETION_SECONDS = 120.0
"""An eviction that was granted and did not lead to a deletion within this time is forgotten."""


def wants_pod(budget: Obj, pod: Obj) -> bool:
    """Whether the budget speaks of a pod; an empty selector means all of the namespace."""
    selector = dig(budget, "spec", "selector")
    return namespace_of(pod) == namespace_of(budget) and selector is not None and matches(selector, labels_of(pod))


def wants_workload(budget: Obj, workload: Obj) -> bool:
    """A workload tells how many pods there should be, if its pods are the budget's."""
    selector = dig(budget, "spec", "selector")
    labels = dig(workload, "spec", "template", "metadata", "labels", default={})
    return namespace_of(workload) == namespace_of(budget) and selector is not None and matches(selector, labels)


def plan(seen: Observed) -> Plan:
    """Count."""
    budget = seen.subject
    if is_deleting(budget):
        return Plan()
    pods = [pod for pod in seen.related.get(POD, ()) if not is_finished(pod)]
    workloads = [*seen.related.get(REPLICA_SET, ()), *seen.related.get(STATEFUL_SET, ())]
    expected, desired = _wanted(budget, pods, workloads)
    disrupted, wait = _disrupted(budget, pods, seen.now)
    healthy = sum(pod_is_ready(pod) and not is_deleting(pod) and name_of(pod) not in disrupted for pod in pods)
    allowed = max(0, healthy - desired) if expected else 0
    sufficient = allowed > 0
    condition = Condition(
        "DisruptionAllowed", "True" if sufficient else "False", "SufficientPods" if sufficient else "InsufficientPods"
    )
    conditions = dig(budget, "status", "conditions", default=[])
    status: Obj = {
        "observedGeneration": budget["metadata"].get("generation", 0),
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "conditions": with_stamped(conditions, condition, seen.now),
    }
    if disrupted:
        status["disruptedPods"] = disrupted
    return Plan(status=status, again_in_seconds=wait)


def _wanted(budget: Obj, pods: Sequence[Obj], workloads: Sequence[Obj]) -> tuple[int, int]:
    """(expected pods, how many must stay healthy)."""
    spec = budget["spec"]
    minimum, maximum = spec.get("minAvailable"), spec.get("maxUnavailable")
    if maximum is not None:
        expected = _expected(pods, workloads)
        down = resolve_int_or_percent(maximum, expected, round_up=True, default=1)
        return expected, max(0, expected - down)
    if isinstance(minimum, str) and minimum.endswith("%"):
        expected = _expected(pods, workloads)
        return expected, resolve_int_or_percent(minimum, expected, round_up=True, default=1)
    return len(pods), int(minimum or 0)


def _expected(pods: Sequence[Obj], workloads: Sequence[Obj]) -> int:
    """The sum of the scales of the pods' controllers; a pod of another controller counts as itself."""
    owners = {str((controller_of(pod) or {}).get("uid") or uid_of(pod)) for pod in pods}
    scales = {uid_of(w): int(w["spec"].get("replicas", 1)) for w in workloads}
    loose = sum(str((controller_of(pod) or {}).get("uid") or uid_of(pod)) not in scales for pod in pods)
    return loose + sum(scales[owner] for owner in owners if owner in scales)


def _disrupted(budget: Obj, pods: Sequence[Obj], now: datetime) -> tuple[Obj, float | None]:
    """The evictions that were granted and are not carried out yet."""
    present = {name_of(pod): pod for pod in pods}
    kept: Obj = {}
    wait: float | None = None
    for name, stamp in dig(budget, "status", "disruptedPods", default={}).items():
        pod = present.get(name)
        left = ((moment(stamp) or now) + timedelta(seconds=_DELETION_SECONDS) - now).total_seconds()
        if pod is not None and not is_deleting(pod) and left > 0:
            kept[name] = stamp
            wait = soonest(wait, left)
    return kept, wait
