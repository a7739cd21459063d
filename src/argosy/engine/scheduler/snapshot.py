"""The state of the cluster that decisions are made on: nodes with their sums, and counts of pods by topology.

Fed by informers one change at a time, so nothing is ever added up anew. Inside a decision pods are assumed on nodes and the
assumptions taken back at its end (`trial`); the loop assumes for good what it is about to bind. `journal` names the nodes
that changed, which is how rankings of nodes keep up without looking at all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from argosy.engine.scheduler.affinity import Term
from argosy.engine.scheduler.budgets import Budget
from argosy.engine.scheduler.gangs import GangName
from argosy.engine.scheduler.nodeinfo import NodeInfo
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.meta.json import Obj
from argosy.meta.objects import Key, name_of

_JOURNAL_MAX = 65_536


class Snapshot:
    """All nodes, and all pods that are on one."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeInfo] = {}
        self.places: dict[str, str] = {}
        """Pod uid -> node name, of counted pods."""
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self.claims: dict[Key, Obj] = {}
        self.volumes: dict[str, Obj] = {}
        self.claim_users: dict[Key, Counter[str]] = {}
        """How many pods on which nodes use a claim, of claims that are used."""
        self.delayed_classes: Mapping[str, bool] = {}
        """Storage classes whose claims wait for a pod to be given a node, and whether volumes are made for them."""
        self.budgets: tuple[Budget, ...] = ()
        self.gangs: dict[GangName, int] = {}
        """How many members must be placed together, of the gangs that a PodGroup announces."""
        self.gang_families: frozenset[str] = frozenset()
        """The sorts of PodGroup that the cluster serves."""
        self.gang_members: Counter[GangName] = Counter()
        """Members that are placed."""
        self.owners: Counter[str] = Counter()
        self.priorities: Counter[int] = Counter()
        self.journal: list[str] = []
        self.journal_start = 0
        """Index that the first entry of the journal has had since the beginning."""
        self.gains = 0
        """Counts the changes that may let a pod in that did not fit before."""
        self.puts = 0
        """Counts the pods placed: what looks around for company may fit now."""
        self._known: dict[str, NodeInfo] = {}
        self._counts: dict[Term, Counter[str]] = {}
        self._repelled: dict[Term, Counter[str]] = {}
        self._undo: list[tuple[bool, PodInfo, str]] | None = None

    # -- what informers tell

    def set_node(self, node: Obj) -> None:
        """A node is there, or changed."""
        name = name_of(node)
        info = self._known.setdefault(name, NodeInfo(name))
        before = (info.labels, info.taints, info.allocatable, info.pods_max)
        new = name not in self.nodes
        old_labels = info.labels if not new else None
        info.describe(node)
        self.nodes[name] = info
        if old_labels is not None and old_labels != info.labels:
            self._recount()
        elif new:
            self._recount_node(info)
        if new or before != (info.labels, info.taints, info.allocatable, info.pods_max):
            self.gains += 1
        self._note(name)

    def drop_node(self, name: str) -> None:
        """A node is gone. Its pods stay counted until they go too."""
        info = self.nodes.pop(name, None)
        if info is not None:
            info.describe(None)
            self._recount()
            self._note(name)
            self.gains += 1  # spreading and affinity may be easier now
            if not info.pods:
                del self._known[name]

    def assume(self, pod: PodInfo, node: str) -> None:
        """A pod is on a node, or is about to be."""
        known = self.places.get(pod.uid)
        if known == node:
            return
        if known is not None:
            self.forget(pod.uid)
        self._put(pod, node)
        if self._undo is not None:
            self._undo.append((True, pod, node))
        else:
            self.puts += 1

    def forget(self, uid: str) -> None:
        """A pod is gone, or was never bound after all."""
        node = self.places.get(uid)
        if node is None:
            return
        pod = self._take(uid, node)
        if self._undo is not None:
            self._undo.append((False, pod, node))
        else:
            self.gains += 1

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What is assumed and forgotten inside is undone at the end. Trials nest."""
        outer, self._undo = self._undo, []
        try:
            yield
        finally:
            for was_put, pod, node in reversed(self._undo):
                if was_put:
                    self._take(pod.uid, node)
                else:
                    self._put(pod, node)
            self._undo = outer

    def mark(self) -> int:
        """Inside a trial: a place to `rewind` to."""
        assert self._undo is not None, "marks are for trials"
        return len(self._undo)

    def rewind(self, mark: int) -> None:
        """Undo what came after `mark`."""
        assert self._undo is not None, "marks are for trials"
        while len(self._undo) > mark:
            was_put, pod, node = self._undo.pop()
            if was_put:
                self._take(pod.uid, node)
            else:
                self._put(pod, node)

    # -- counting by topology

    def matching(self, term: Term) -> Counter[str]:
        """Pods that a term means, by the value of its topology label. Kept up to date from the first question on."""
        found = self._counts.get(term)
        if found is None:
            found = self._counts[term] = Counter()
            for info in self.nodes.values():
                self._count_node(term, found, info)
        return found

    def repelled(self) -> Mapping[Term, Counter[str]]:
        """The terms that pods which are here keep others away by, with the domains where such pods are."""
        return self._repelled

    def _put(self, pod: PodInfo, node: str) -> None:
        info = self._known.setdefault(node, NodeInfo(node))
        info.add(pod)
        self.places[pod.uid] = node
        self._account(pod, info, 1)

    def _take(self, uid: str, node: str) -> PodInfo:
        info = self._known[node]
        pod = info.pods[uid]
        info.remove(pod)
        del self.places[uid]
        self._account(pod, info, -1)
        if info.obj is None and not info.pods:
            self._known.pop(node, None)
        return pod

    def _account(self, pod: PodInfo, info: NodeInfo, sign: int) -> None:
        self._note(info.name)
        for name in pod.claims:
            key = Key(pod.key.namespace, name)
            users = self.claim_users.setdefault(key, Counter())
            _shift(users, info.name, sign)
            if not users:
                del self.claim_users[key]
        _shift(self.priorities, pod.priority, sign)
        if pod.owner:
            _shift(self.owners, pod.owner, sign)
        if pod.gang is not None:
            self.gang_members[pod.gang.name] += sign
            if not self.gang_members[pod.gang.name]:
                del self.gang_members[pod.gang.name]
        if info.name not in self.nodes:
            return
        for term, counts in self._counts.items():
            value = info.labels.get(term.topology_key)
            if value is not None and term.matches(pod.key.namespace, pod.labels, self.namespaces):
                _shift(counts, value, sign)
        for term in pod.anti:
            value = info.labels.get(term.topology_key)
            if value is not None:
                counts = self._repelled.setdefault(term, Counter())
                _shift(counts, value, sign)
                if not counts:
                    del self._repelled[term]

    def _recount(self) -> None:
        """Labels of a node changed: rare, so all counts begin anew."""
        self._counts.clear()
        self._repelled.clear()
        for info in self.nodes.values():
            self._repel(info)

    def _recount_node(self, info: NodeInfo) -> None:
        """A node appeared under pods that were there before it."""
        if info.pods:
            for term, counts in self._counts.items():
                self._count_node(term, counts, info)
            self._repel(info)

    def _count_node(self, term: Term, counts: Counter[str], info: NodeInfo) -> None:
        value = info.labels.get(term.topology_key)
        if value is not None:
            for pod in info.pods.values():
                if term.matches(pod.key.namespace, pod.labels, self.namespaces):
                    counts[value] += 1

    def _repel(self, info: NodeInfo) -> None:
        for pod in info.pods.values():
            for term in pod.anti:
                value = info.labels.get(term.topology_key)
                if value is not None:
                    self._repelled.setdefault(term, Counter())[value] += 1

    def _note(self, name: str) -> None:
        self.journal.append(name)
        if len(self.journal) > _JOURNAL_MAX:
            cut = _JOURNAL_MAX // 2
            del self.journal[:cut]
            self.journal_start += cut

    # -- the rest of what filters read

    def set_namespaces(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        """Labels of namespaces, for terms that choose by them."""
        if labels != self.namespaces:
            self.namespaces = dict(labels)
            self._recount()
            self.gains += 1

    def set_budgets(self, budgets: Iterable[Budget]) -> None:
        """What may be disrupted; asked only when somebody has to leave."""
        self.budgets = tuple(budgets)

    def set_gangs(self, gangs: Mapping[GangName, int], families: frozenset[str]) -> None:
        """What PodGroups announce."""
        if gangs != self.gangs or families != self.gang_families:
            self.gangs, self.gang_families = dict(gangs), families
            self.gains += 1

    def set_storage(self, claims: Iterable[tuple[Key, Obj]] = (), volumes: Iterable[tuple[str, Obj]] = ()) -> None:
        """Claims and volumes that changed."""
        self.claims.update(claims)
        self.volumes.update(volumes)
        self.gains += 1

    def set_delayed_classes(self, classes: Mapping[str, bool]) -> None:
        """The storage classes that wait for their first consumer, and whether somebody makes volumes for each."""
        if classes != self.delayed_classes:
            self.delayed_classes = classes
            self.gains += 1

    def drop_claim(self, key: Key) -> None:
        """A claim is gone."""
        self.claims.pop(key, None)

    def drop_volume(self, name: str) -> None:
        """A volume is gone."""
        self.volumes.pop(name, None)


def _shift(counts: Counter[str] | Counter[int], key: str | int, sign: int) -> None:
    counter: Counter[str | int] = counts  # type: ignore[assignment]
    counter[key] += sign
    if not counter[key]:
        del counter[key]
