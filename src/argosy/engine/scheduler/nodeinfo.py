"""A node as the scheduler sees it: what it has, what is taken, what keeps pods out. Changed by the snapshot alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from argosy.engine.scheduler.podinfo import PODS, HostPort, PodInfo
from argosy.engine.scheduler.terms import UNSCHEDULABLE_TAINT
from argosy.meta.json import Obj, dig
from argosy.meta.objects import labels_of
from argosy.meta.quantity import millis_of

_ANY_ADDRESS = ("0.0.0.0", "::")


class NodeInfo:
    """One node with the sum of its pods. Amounts are in thousandths of the resource's unit."""

    __slots__ = (
        "allocatable", "labels", "name", "obj", "owners", "pods", "pods_max", "ports", "taints", "unschedulable",
        "used", "version", "weight",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.obj: Obj | None = None
        self.labels: Mapping[str, str] = {}
        self.taints: Sequence[Obj] = ()
        self.unschedulable = False
        self.allocatable: dict[str, int] = {}
        self.pods_max = 0
        self.used: dict[str, int] = {}
        self.weight = [0, 0]
        self.pods: dict[str, PodInfo] = {}
        self.ports: Counter[HostPort] = Counter()
        self.owners: Counter[str] = Counter()
        self.version = 0
        """Moves with every change."""

    def describe(self, node: Obj | None) -> None:
        """Take what the Node object says; None when it is gone (its pods may still be counted)."""
        self.version += 1
        self.obj = node
        if node is None:
            return
        self.labels = {**labels_of(node)}
        self.unschedulable = bool(dig(node, "spec", "unschedulable"))
        taints = list(dig(node, "spec", "taints", default=()))
        if self.unschedulable and all(t.get("key") != UNSCHEDULABLE_TAINT["key"] for t in taints):
            taints.append(UNSCHEDULABLE_TAINT)
        self.taints = taints
        said = dig(node, "status", "allocatable", default=None) or dig(node, "status", "capacity", default={})
        self.allocatable = {resource: millis_of(amount) for resource, amount in said.items()}
        self.pods_max = self.allocatable.pop(PODS, 0) // 1000

    def add(self, pod: PodInfo) -> None:
        """A pod is here, or is about to be."""
        self.version += 1
        self.pods[pod.uid] = pod
        self._count(pod, 1)

    def remove(self, pod: PodInfo) -> None:
        """A pod is gone."""
        self.version += 1
        del self.pods[pod.uid]
        self._count(pod, -1)

    def _count(self, pod: PodInfo, sign: int) -> None:
        for resource, amount in pod.requests.items():
            self.used[resource] = self.used.get(resource, 0) + sign * amount
        self.weight[0] += sign * pod.weight[0]
        self.weight[1] += sign * pod.weight[1]
        for port in pod.ports:
            self.ports[port] += sign
            if not self.ports[port]:
                del self.ports[port]
        if pod.owner:
            self.owners[pod.owner] += sign
            if not self.owners[pod.owner]:
                del self.owners[pod.owner]

    def lacks(self, requests: Mapping[str, int]) -> list[str]:
        """The resources that do not suffice."""
        return [
            resource
            for resource, amount in requests.items()
            if amount > self.allocatable.get(resource, 0) - self.used.get(resource, 0)
        ]

    def is_full(self) -> bool:
        """Whether no more pods are let in, whatever they ask for."""
        return len(self.pods) >= self.pods_max

    def clashes(self, ports: Sequence[HostPort]) -> bool:
        """Whether a host port is taken; an unspecified address clashes with every other."""
        for wanted in ports:
            for taken in self.ports:
                same = taken.port == wanted.port and taken.protocol == wanted.protocol
                if same and (
                    taken.address == wanted.address or taken.address in _ANY_ADDRESS or wanted.address in _ANY_ADDRESS
                ):
                    return True
        return False
