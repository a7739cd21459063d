"""What a DaemonSet needs: a pod on each node where one belongs, none elsewhere, replaced node by node. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from argosy.engine.controllers.claims import claim
from argosy.engine.controllers.daemonset.placement import belongs, make_pod, node_of
from argosy.engine.controllers.history import POD_LABEL, History, expired, hash_of, history
from argosy.engine.controllers.pods import (
    BURST,
    availability,
    created,
    fresh_names,
    is_active,
    is_finished,
    resolve_int_or_percent,
    soonest,
)
from argosy.intent import Action, Delete, Observed, Plan, Reason
from argosy.kinds import CONTROLLER_REVISION, DAEMON_SET, NODE, POD
from argosy.meta.json import Obj, dig
from argosy.meta.objects import created_of, is_deleting, key_of, labels_of, name_of, pod_is_ready, uid_of


def plan(seen: Observed) -> Plan:
    """One step of the set."""
    subject = seen.subject
    if is_deleting(subject):
        return Plan()
    claimed = claim(subject, DAEMON_SET, seen.of(POD), seen.related.get(POD, ()))
    told = history(subject, DAEMON_SET, seen.of(CONTROLLER_REVISION))
    draft = _Draft(seen, claimed.items, told)
    draft.actions += [*claimed.actions, *told.actions]
    draft.place()
    draft.roll()
    draft.make()
    in_use = {f"{name_of(subject)}-{labels_of(pod).get(POD_LABEL, '')}" for pod in claimed.items}
    draft.actions += expired(told, int(subject["spec"].get("revisionHistoryLimit", 10)), in_use)
    return Plan(tuple(draft.actions), draft.status(), tuple(draft.reasons), draft.wait_seconds)


class _Draft:
    """A plan being written; lives for one call of `plan`."""

    def __init__(self, seen: Observed, pods: Sequence[Obj], told: History) -> None:
        self.set = seen.subject
        self.now = seen.now
        self.told = told
        self.actions: list[Action] = []
        self.reasons: list[Reason] = []
        self.wait_seconds: float | None = None
        self._min_ready = int(self.set["spec"].get("minReadySeconds") or 0)
        self._by_node: dict[str, list[Obj]] = defaultdict(list)
        for pod in pods:
            self._by_node[node_of(pod)].append(pod)
        self._belongs = {name_of(node): belongs(self.set, node) for node in seen.related.get(NODE, ())}
        self._missing: list[str] = []

    def place(self) -> None:
        """Find where pods lack, end those that are where none belongs, that have ended, or that are doubled."""
        for node, (wanted, may_stay) in self._belongs.items():
            pods = self._by_node.get(node, [])
            living = [pod for pod in pods if not is_deleting(pod)]
            if not may_stay:
                self._end(living)
                continue
            self._end([pod for pod in living if is_finished(pod)])
            active = sorted((p for p in living if is_active(p)), key=_keep_first)
            self._end(active[1:] if not self._surges() else active[2:])
            if wanted and not pods:
                self._missing.append(node)
        for node, pods in self._by_node.items():
            if node not in self._belongs:
                self._end([pod for pod in pods if not is_deleting(pod)])

    def roll(self) -> None:
        """Replace pods of older templates: within `maxUnavailable`, or with `maxSurge` the new one first."""
        strategy = self.set["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        rolling = strategy.get("rollingUpdate") or {}
        total = sum(wanted for wanted, _ in self._belongs.values())
        surge = resolve_int_or_percent(rolling.get("maxSurge"), total, round_up=True, default=0)
        limit = resolve_int_or_percent(rolling.get("maxUnavailable"), total, round_up=True, default=1)
        down = sum(not self._has_available(node) for node, (wanted, _) in self._belongs.items() if wanted)
        for node, (wanted, _) in self._belongs.items():
            active = [pod for pod in self._by_node.get(node, ()) if is_active(pod)]
            old = [pod for pod in active if not self._is_new(pod)]
            if not wanted or not old:
                continue
            new = [pod for pod in active if self._is_new(pod)]
            if surge:
                surge = self._surge(node, old, new, surge)
            elif not any(self._is_available(pod) for pod in old):
                self._end(old)
            elif down < limit:
                self._end(old)
                down += 1

    def make(self) -> None:
        """Make what `place` and `roll` found missing."""
        nodes = self._missing[:BURST]
        names = fresh_names(self.set, self.now, len(nodes), [p for pods in self._by_node.values() for p in pods])
        for name, node in zip(names, nodes, strict=True):
            action, reason = created(make_pod(self.set, name, node, self.told.update))
            self.actions.append(action)
            self.reasons.append(reason)

    def status(self) -> Obj:
        """The whole status."""
        desired = current = ready = available = updated = astray = 0
        for node, (wanted, _) in self._belongs.items():
            active = [pod for pod in self._by_node.get(node, ()) if is_active(pod)]
            desired += wanted
            if not wanted:
                astray += bool(active)
                continue
            current += bool(active)
            ready += any(pod_is_ready(pod) for pod in active)
            available += self._has_available(node)
            updated += any(self._is_new(pod) for pod in active)
        status: Obj = {
            "currentNumberScheduled": current,
            "desiredNumberScheduled": desired,
            "numberMisscheduled": astray,
            "numberReady": ready,
            "observedGeneration": self.set["metadata"].get("generation", 0),
        }
        counts: Mapping[str, int] = {
            "numberAvailable": available,
            "numberUnavailable": desired - available,
            "updatedNumberScheduled": updated,
        }
        return status | {name: count for name, count in counts.items() if count}

    def _surge(self, node: str, old: list[Obj], new: list[Obj], left: int) -> int:
        if any(self._is_available(pod) for pod in new) or not any(self._is_available(pod) for pod in old):
            self._end(old)
            return left
        if not new and left > 0:
            self._missing.append(node)
        return left - 1

    def _surges(self) -> bool:
        surge = dig(self.set, "spec", "updateStrategy", "rollingUpdate", "maxSurge", default=0)
        return surge not in (0, "0%", "0")

    def _has_available(self, node: str) -> bool:
        return any(self._is_available(pod) for pod in self._by_node.get(node, ()))

    def _is_available(self, pod: Obj) -> bool:
        if is_deleting(pod):
            return False
        state = availability(pod, self._min_ready, self.now)
        self.wait_seconds = soonest(self.wait_seconds, state.wait_seconds)
        return state.available

    def _is_new(self, pod: Obj) -> bool:
        return labels_of(pod).get(POD_LABEL) == hash_of(self.told.update)

    def _end(self, pods: Sequence[Obj]) -> None:
        for pod in pods:
            self.actions.append(Delete(POD, key_of(pod), uid=uid_of(pod)))
            self.reasons.append(Reason("SuccessfulDelete", f"Deleted pod: {name_of(pod)}"))


def _keep_first(pod: Obj) -> tuple[bool, str, str]:
    return (not dig(pod, "spec", "nodeName"), created_of(pod), name_of(pod))
