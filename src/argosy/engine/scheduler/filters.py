"""Whether a pod fits a node, and if not why, in kube-scheduler's words. Pure.

`Fit` is made once for a pod, or for many with the same signature, and then asked about nodes. What depends only on the node's
object (`enters`) comes before what depends on the pods there (`lacks`), and that before what depends on pods elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from argosy.engine.scheduler.affinity import Spread, Term
from argosy.engine.scheduler.nodeinfo import NodeInfo
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.engine.scheduler.storage import read_storage
from argosy.engine.scheduler.terms import fits_node_labels, matches_node_selector, untolerated
from argosy.meta.json import Obj, dig

TOO_MANY_PODS = "Too many pods"
INSUFFICIENT = "Insufficient "
EXCLUSIVE = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
TIED = "node(s) were not where the pod's ReadWriteOnce volume is in use"
"""Kubernetes leaves this one to whoever attaches volumes; here nodes share a disk, and nobody does."""


class Fit:
    """The filters, set up for one pod at one moment."""

    def __init__(self, pod: PodInfo, snapshot: Snapshot) -> None:
        self.pod = pod
        self._snapshot = snapshot
        self._spec: Obj = pod.obj["spec"]
        storage = read_storage(pod, snapshot)
        self._volume_selectors, self._offers = storage.selectors, storage.offers
        self._exclusive, self._tied = storage.exclusive, storage.tied
        self.blocked = storage.trouble
        """What keeps the pod out of every node."""
        self.delayed = storage.delayed
        """Claims that are bound only once the pod has a node."""
        self._repelling = [
            (term, counts)
            for term, counts in snapshot.repelled().items()
            if term.matches(pod.key.namespace, pod.labels, snapshot.namespaces)
        ]
        self._spreads = [_SpreadState(spread, self, snapshot) for spread in pod.spread if spread.hard]
        self.looks_around = bool(pod.required or pod.anti or self._spreads or self._repelling)

    def why_not(self, node: NodeInfo) -> tuple[str, ...]:
        """Empty when the pod fits, else every reason of the first filter that keeps it out."""
        return self.enters(node) or self.finds_room(node) or self.finds_company(node)

    def enters(self, node: NodeInfo) -> tuple[str, ...]:
        """What the node's own object decides."""
        spec = self._spec
        if spec.get("nodeName") and spec["nodeName"] != node.name:
            return ("node(s) didn't match the requested node name",)
        if node.taints:
            taint = untolerated(spec.get("tolerations") or (), node.taints)
            if taint is not None:
                if taint["key"] == "node.kubernetes.io/unschedulable":
                    return ("node(s) were unschedulable",)
                return (f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}",)
        if not fits_node_labels(spec, node.labels, node.name):
            return ("node(s) didn't match Pod's node affinity/selector",)
        if any(not matches_node_selector(s, node.labels, node.name) for s in self._volume_selectors):
            return ("node(s) had volume node affinity conflict",)
        if any(not self._offered(volumes, node) for volumes in self._offers):
            return ("node(s) didn't find available persistent volumes to bind",)
        return ()

    def _offered(self, volumes: Sequence[Obj], node: NodeInfo) -> bool:
        selectors = [dig(volume, "spec", "nodeAffinity", "required") for volume in volumes]
        return any(not s or matches_node_selector(s, node.labels, node.name) for s in selectors)

    def finds_room(self, node: NodeInfo) -> tuple[str, ...]:
        """What the pods on the node decide."""
        if self.pod.ports and node.clashes(self.pod.ports):
            return ("node(s) didn't have free ports for the requested pod ports",)
        users = self._snapshot.claim_users
        if any(key in users for key in self._exclusive):
            return (EXCLUSIVE,)
        if any(key in users and node.name not in users[key] for key in self._tied):
            return (TIED,)
        lacking = node.lacks(self.pod.requests)
        reasons = [f"{INSUFFICIENT}{resource}" for resource in lacking]
        if node.is_full():
            reasons.insert(0, TOO_MANY_PODS)
        return tuple(reasons)

    def finds_company(self, node: NodeInfo) -> tuple[str, ...]:
        """What pods anywhere decide: spreading, affinity, anti-affinity, and the anti-affinity of others."""
        if not self.looks_around:
            return ()
        for spread in self._spreads:
            reason = spread.why_not(node)
            if reason:
                return (reason,)
        for term in self.pod.required:
            if not self._is_near(term, node):
                return ("node(s) didn't match pod affinity rules",)
        for term in self.pod.anti:
            value = node.labels.get(term.topology_key)
            if value is not None and self._snapshot.matching(term)[value]:
                return ("node(s) didn't match pod anti-affinity rules",)
        for term, counts in self._repelling:
            value = node.labels.get(term.topology_key)
            if value is not None and counts[value]:
                return ("node(s) didn't satisfy existing pods anti-affinity rules",)
        return ()

    def _is_near(self, term: Term, node: NodeInfo) -> bool:
        value = node.labels.get(term.topology_key)
        if value is None:
            return False
        counts = self._snapshot.matching(term)
        if counts[value]:
            return True
        # The first of a group that wants to be together has nobody to join yet.
        pod = self.pod
        return not counts and all(
            not self._snapshot.matching(t) and t.matches(pod.key.namespace, pod.labels, self._snapshot.namespaces)
            for t in pod.required
        )


class _SpreadState:
    """One hard spread constraint at one moment: pods by domain, among the domains that count."""

    def __init__(self, spread: Spread, fit: Fit, snapshot: Snapshot) -> None:
        self._spread = spread
        self._fit = fit
        self._snapshot = snapshot
        self._domains: set[str] | None = None

    def why_not(self, node: NodeInfo) -> str:
        term = self._spread.term
        value = node.labels.get(term.topology_key)
        if value is None:
            return "node(s) didn't match pod topology spread constraints (missing required label)"
        counts = self._snapshot.matching(term)
        domains = self._eligible()
        fewest = min((counts[domain] for domain in domains), default=0)
        if len(domains) < self._spread.min_domains:
            fewest = 0
        pod = self._fit.pod
        own = int(term.matches(pod.key.namespace, pod.labels, self._snapshot.namespaces))
        if counts[value] + own - fewest > self._spread.max_skew:
            return "node(s) didn't match pod topology spread constraints"
        return ""

    def _eligible(self) -> set[str]:
        if self._domains is None:
            key = self._spread.term.topology_key
            self._domains = {
                node.labels[key] for node in self._snapshot.nodes.values() if key in node.labels and self._counts(node)
            }
        return self._domains

    def _counts(self, node: NodeInfo) -> bool:
        spec = self._fit.pod.obj["spec"]
        if self._spread.honours_affinity and not fits_node_labels(spec, node.labels, node.name):
            return False
        return not self._spread.honours_taints or untolerated(spec.get("tolerations") or (), node.taints) is None


def tally(fit: Fit, nodes: Mapping[str, NodeInfo]) -> Counter[str]:
    """How many nodes are kept out by each reason."""
    counts: Counter[str] = Counter()
    why: Callable[[NodeInfo], tuple[str, ...]] = fit.why_not
    for node in nodes.values():
        counts.update(why(node))
    return counts
