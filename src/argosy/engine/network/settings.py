"""What the network is told when it starts; the composition root makes it."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

from argosy.engine.node.runtime.spec import Level


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Settings of one cluster's network."""

    level: Level
    pod_cidr: str = "10.64.0.0/16"
    """Where pods have their addresses (L2); what lies outside is reached from the host."""
    service_cidr: str = "10.96.0.0/16"
    node_cidr: str = ""
    """Where pods meet the nodes (L2)."""
    dns_address: str = ""
    """Where the cluster's DNS answers, port 53 (L2; below that, names stand in hosts files)."""
    cluster_domain: str = "cluster.local"
    ingress_socket: socket.socket | None = field(default=None, compare=False)
    """A bound socket on the host for Ingress; None: no Ingress. The network closes it at the end."""
    ingress_classes: frozenset[str] = frozenset({"argosy"})
    """Ingresses of these classes are served, and those without a class."""
    host_address: str = "127.0.0.1"
    """Where load balancers listen on the host, and NodePorts while no Node tells its address."""
    resolv_conf: Path = Path("/etc/resolv.conf")
    """The host's resolver, for names outside the cluster."""
