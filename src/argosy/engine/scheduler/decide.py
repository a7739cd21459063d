"""The scheduler's one question: given the cluster and the pods that wait, what should happen? Pure.

Higher priority first, then whoever has waited longest. A gang is tried as one: each member is assumed on its node, and if they
cannot all be placed the assumptions are taken back. What does not fit comes back with its reason; what may take room from
lower priorities comes back with its victims, a gang only if that lets all of it in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from argosy.engine.scheduler import messages
from argosy.engine.scheduler.filters import Fit, tally
from argosy.engine.scheduler.gangs import GangName, size_of
from argosy.engine.scheduler.messages import Unfit
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.engine.scheduler.preemption import Preemption, may_preempt, preempt
from argosy.engine.scheduler.ranking import Ranking
from argosy.engine.scheduler.scores import score
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.meta.objects import created_of

_RANKINGS_MAX = 128
_SCAN_ALL_BELOW = 100


@dataclass(frozen=True, slots=True)
class Binding:
    """A pod goes to a node."""

    pod: PodInfo
    node: str


@dataclass(slots=True)
class Decision:
    """What to do, and why not for the rest."""

    bindings: list[Binding] = field(default_factory=list)
    unfit: dict[str, Unfit] = field(default_factory=dict)
    """By pod uid."""
    preemptions: list[Preemption] = field(default_factory=list)


class Rankings:
    """Orders of nodes that are kept from one decision to the next; the oldest go first."""

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes, str], Ranking] = {}

    def of(self, pod: PodInfo, snapshot: Snapshot) -> Ranking:
        """The order for a pod. Pods whose claims matter get one of their own, since claims change."""
        owner = pod.owner if snapshot.owners[pod.owner] else ""
        if pod.claims:
            return Ranking(pod, snapshot, owner)
        place = (pod.signature, owner)
        found = self._kept.pop(place, None)
        if found is None:
            found = Ranking(pod, snapshot, owner)
        self._kept[place] = found
        if len(self._kept) > _RANKINGS_MAX:
            self._kept.pop(next(iter(self._kept)))
        return found


def decide(snapshot: Snapshot, pods: Iterable[PodInfo], rankings: Rankings | None = None) -> Decision:
    """Place what can be placed. The snapshot is left as it was; `rankings` only make the next decision faster."""
    with snapshot.trial():
        round_ = _Round(snapshot, rankings or Rankings())
        for unit in _units(pods):
            if unit[0].gang is None:
                round_.place_one(unit[0])
            else:
                round_.place_gang(unit)
    return round_.decision


def _units(pods: Iterable[PodInfo]) -> list[list[PodInfo]]:
    """Pods and gangs in the order in which they are tried."""
    gangs: dict[GangName, list[PodInfo]] = {}
    units: list[list[PodInfo]] = []
    for pod in sorted(pods, key=_turn):
        if pod.gang is None:
            units.append([pod])
        elif pod.gang.name in gangs:
            gangs[pod.gang.name].append(pod)
        else:
            gangs[pod.gang.name] = [pod]
            units.append(gangs[pod.gang.name])
    return units


def _turn(pod: PodInfo) -> tuple[int, str, str, str]:
    return (-pod.priority, created_of(pod.obj), pod.key.namespace, pod.key.name)


class _Round:
    """One decision being made."""

    def __init__(self, snapshot: Snapshot, rankings: Rankings) -> None:
        self.decision = Decision()
        self._snapshot = snapshot
        self._rankings = rankings
        self._refused: dict[bytes, Unfit] = {}
        """Signatures that did not fit; since nodes only fill up in the course of a decision, their kin do not either."""

    def place_one(self, pod: PodInfo) -> None:
        """An ordinary pod."""
        known = self._refused.get(pod.signature)
        if known is not None:
            self.decision.unfit[pod.uid] = known
            return
        fit = Fit(pod, self._snapshot)
        node = self._find(pod, fit)
        if node is not None:
            self._snapshot.assume(pod, node)
            self.decision.bindings.append(Binding(pod, node))
            return
        self._refuse(pod, fit)

    def place_gang(self, pods: Sequence[PodInfo]) -> None:
        """All of a gang, or none of it."""
        member = pods[0].gang
        assert member is not None, "a gang's pods name it"
        size = size_of(member, self._snapshot.gangs, self._snapshot.gang_families)
        if size is None:
            message = f"waiting for PodGroup {member.name.group}; create it, or label the pods argosy.dev/gang-size"
            self._keep_waiting(pods, Unfit(message))
            return
        placed = self._snapshot.gang_members[member.name]
        if placed + len(pods) < size:
            there = placed + len(pods)
            message = f"gang {member.name.group} waits for its members: {there} of {size} pods exist; create the others"
            self._keep_waiting(pods, Unfit(message))
            return
        mark = self._snapshot.mark()
        bindings: list[Binding] = []
        failed: list[tuple[PodInfo, Unfit]] = []
        for pod in pods:
            fit = Fit(pod, self._snapshot)
            node = self._find(pod, fit)
            if node is None:
                failed.append((pod, self._explain(pod, fit)))
                if placed + len(pods) - len(failed) < size:
                    break
                continue
            self._snapshot.assume(pod, node)
            bindings.append(Binding(pod, node))
        if placed + len(bindings) >= size:
            self.decision.bindings += bindings
            for pod, unfit in failed:
                self.decision.unfit[pod.uid] = unfit
            return
        self._snapshot.rewind(mark)
        reason = failed[0][1]
        message = f"gang {member.name.group} needs {size} pods placed together, {placed + len(bindings)} fit: {reason.message}"
        made_room = self._make_room_for(pods, size - placed) if may_preempt(pods[0], self._snapshot) else []
        if made_room:
            leaving = sum(len(each.victims) for each in made_room)
            message = f"{message} {leaving} pod(s) of lower priority leave to make room for the whole gang."
        self.decision.preemptions += made_room
        self._keep_waiting(pods, Unfit(message, reason.never))

    def _make_room_for(self, pods: Sequence[PodInfo], wanted: int) -> list[Preemption]:
        """Who has to leave so that `wanted` of a gang's pods fit together; nobody leaves for a part of it."""
        mark = self._snapshot.mark()
        found: list[Preemption] = []
        places: list[Binding] = []
        for pod in pods:
            node = self._find(pod, Fit(pod, self._snapshot))
            if node is None:
                room = preempt(pod, self._snapshot)
                if room is None:
                    continue
                for victim in room.victims:
                    self._snapshot.forget(victim.uid)
                found.append(room)
                node = room.node
            self._snapshot.assume(pod, node)
            places.append(Binding(pod, node))
        self._snapshot.rewind(mark)
        if len(places) < wanted:
            return []
        for place in places:  # set aside, as for a single pod
            self._snapshot.assume(place.pod, place.node)
        return found

    def _keep_waiting(self, pods: Iterable[PodInfo], why: Unfit) -> None:
        for pod in pods:
            self.decision.unfit[pod.uid] = why

    def _find(self, pod: PodInfo, fit: Fit) -> str | None:
        if fit.blocked:
            return None
        if fit.looks_around or pod.preferred or pod.spread:
            return self._scan(pod, fit)
        return self._rankings.of(pod, self._snapshot).best()

    def _scan(self, pod: PodInfo, fit: Fit) -> str | None:
        """Look at nodes one by one, for what no order can be kept of; in a large cluster at enough of them."""
        nodes = list(self._snapshot.nodes.values())
        start = self._snapshot.puts % len(nodes) if nodes else 0
        enough = _enough(len(nodes))
        best: tuple[float, str] | None = None
        found = 0
        for node in (*nodes[start:], *nodes[:start]):
            if fit.why_not(node):
                continue
            rank = (-score(pod, node, self._snapshot, pod.owner), node.name)
            best = rank if best is None or rank < best else best
            found += 1
            if found >= enough:
                break
        return best[1] if best else None

    def _refuse(self, pod: PodInfo, fit: Fit) -> None:
        made_room = None if fit.blocked or not may_preempt(pod, self._snapshot) else preempt(pod, self._snapshot)
        if made_room is None:
            unfit = self._explain(pod, fit)
            self._refused[pod.signature] = unfit
            self.decision.unfit[pod.uid] = unfit
            return
        unfit = self._explain(
            pod, fit, f"{len(made_room.victims)} pod(s) of lower priority leave node {made_room.node}."
        )
        # The victims are still there: what they leave is set aside, and nobody else is let in before.
        self._snapshot.assume(pod, made_room.node)
        self.decision.preemptions.append(made_room)
        self.decision.unfit[pod.uid] = unfit

    def _explain(self, pod: PodInfo, fit: Fit, preemption: str = "") -> Unfit:
        nodes = self._snapshot.nodes
        if fit.blocked:
            return Unfit(messages.blocked(len(nodes), fit.blocked))
        counts = tally(fit, nodes)
        hopeless = sum(bool(fit.enters(node)) for node in nodes.values())
        hint = messages.too_large(pod, fit, nodes)
        if not preemption and nodes:
            tried = may_preempt(pod, self._snapshot)
            preemption = messages.not_helpful(len(nodes), hopeless if tried else len(nodes))
        said = messages.available(len(nodes), counts, preemption)
        return Unfit(f"{said} {hint}" if hint else said, never=bool(hint))


def _enough(nodes: int) -> int:
    """How many fitting nodes are compared: all of a small cluster, a falling share of a large one."""
    if nodes < _SCAN_ALL_BELOW:
        return nodes
    return max(_SCAN_ALL_BELOW, nodes * max(5, 50 - nodes // 125) // 100)
