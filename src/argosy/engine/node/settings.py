"""What the composition root tells the node agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from argosy.engine.node.hardware import Room, room_at
from argosy.meta.json import Obj


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
    """The nodes' InternalIP, and `status.hostIP` of their pods."""
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
