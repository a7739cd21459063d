"""What the composition root tells the node agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from argosy.engine.node.hardware import Room, room_at
from argosy.meta.json import Obj


class NodePlace(NamedTuple):
    """Where one node is met."""

    internal: str
    """From pods: its InternalIP, and `status.hostIP` of its pods."""
    external: str
    """From this machine; the same where pods share its network."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One machine's settings; every Node object it presents shares them."""

    home: Path
    """`$ARGOSY_HOME`: pods live in `<home>/pods`."""
    pod_cidr: str
    api_host: str
    """What pods are told as KUBERNETES_SERVICE_HOST."""
    api_port: int
    nodes: int = 1
    dns_address: str = ""
    """The cluster's DNS server, for pods that have a network of their own."""
    cluster_domain: str = "cluster.local"
    host_address: str = "127.0.0.1"
    """Where this machine is met: the first node's address there, and that of pods with `hostNetwork`."""
    inner_address: str = ""
    """The first node's address in the pods' network; empty where that is this machine's own."""
    extra_resources: Mapping[str, str] = field(default_factory=dict)
    """Extended resources that each node has (or pretends to have), `nvidia.com/gpu: "2"`."""
    node_labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Obj, ...] = ()
    pods_max: int = 1000
    allowed: frozenset[str] = frozenset()
    """What pods may demand beyond the ordinary, see `demands.ALLOWABLE`."""
    asks_registries: bool = False
    """An image that nothing maps is asked of the registry that it names, where images can run as themselves."""

    disk_room: Callable[[Path], Room] = room_at
    """Tells how much room the disk of a directory has."""

    @property
    def lease_seconds(self) -> int:
        """How long a node may be silent before it counts as dead. Kubernetes' forty, unless there are other nodes here
        to take its pods: then a dead one is noticed quickly.
        """
        return 40 if self.nodes == 1 else 3

    @property
    def node_names(self) -> tuple[str, ...]:
        """`argosy-1`, `argosy-2`, …"""
        return tuple(f"argosy-{n}" for n in range(1, self.nodes + 1))

    def place_of(self, node: str) -> NodePlace:
        """Where a node is met: `argosy-2` one address behind `argosy-1`."""
        number = node.rpartition("-")[2]
        offset = int(number) - 1 if number.isdecimal() else 0
        external = str(ip_address(self.host_address) + offset)
        return NodePlace(str(ip_address(self.inner_address) + offset) if self.inner_address else external, external)
