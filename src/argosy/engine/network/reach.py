"""From which network an address can be reached: pods from the cluster's, everything else from the host's.

Asked by whoever connects to a Service's backends: those of an EndpointSlice that a person wrote may lie anywhere.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Network, ip_address

from argosy.engine.node.runtime.spec import Level, Network


class Reach:
    """Sockets by destination."""

    def __init__(self, network: Network, pod_cidr: str) -> None:
        self._network = network
        self.pods = IPv4Network(pod_cidr)

    def socket(self, address: str, type: int) -> socket.socket:
        """A new non-blocking socket that reaches an address. Raises OSError."""
        if self._network.level is not Level.L2 or ip_address(address) in self.pods:
            return self._network.socket(socket.AF_INET, type)
        return host_socket(socket.AF_INET, type)


def host_socket(family: int, type: int) -> socket.socket:
    """A new non-blocking socket in the host's network."""
    made = socket.socket(family, type)
    made.setblocking(False)
    return made
