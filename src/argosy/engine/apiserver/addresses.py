"""ClusterIPs and NodePorts: which are taken, and the next free one.

Taken when a Service is admitted, given back when its create fails or it goes. Everything happens within one turn of the
event loop, so two Services never get the same; at start the set is read from the store.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from argosy.meta.json import Obj

_RESERVED_AT_MOST = 256


class Pool:
    """Numbers from `first` to `last`, handed out in order from `start` on, each at most once."""

    def __init__(self, first: int, last: int, start: int) -> None:
        self.first, self.last = first, last
        self._next = max(first, min(start, last))
        self.taken: set[int] = set()

    def take(self) -> int | None:
        """A free number, None when there is none."""
        if len(self.taken) > self.last - self.first:
            return None
        number = self._next
        while number in self.taken:
            number = number + 1 if number < self.last else self.first
        self._next = number + 1 if number < self.last else self.first
        self.taken.add(number)
        return number

    def claim(self, number: int) -> bool:
        """Take this very number; False when somebody has it."""
        if number in self.taken:
            return False
        self.taken.add(number)
        return True

    def holds(self, number: int) -> bool:
        """Whether the number belongs to the pool at all."""
        return self.first <= number <= self.last


class ServiceAddresses:
    """The pools of one cluster."""

    def __init__(self, service_cidr: str, node_ports: tuple[int, int]) -> None:
        self.network = ipaddress.ip_network(service_cidr)
        first, last = int(self.network[1]), int(self.network[-2])
        # As Kubernetes does, the lowest addresses are left to Services that ask for one by number.
        band = min(max(16, (last - first) // 16), _RESERVED_AT_MOST)
        self.ips = Pool(first, last, first + band)
        self.ports = Pool(node_ports[0], node_ports[1], node_ports[0])

    def ip(self, text: str) -> int | None:
        """A ClusterIP as a number, None for headless Services and for none at all."""
        try:
            return int(ipaddress.ip_address(text))
        except ValueError:
            return None

    def take_ip(self) -> str | None:
        """A free ClusterIP."""
        number = self.ips.take()
        return None if number is None else str(ipaddress.ip_address(number))

    def held_by(self, service: Obj) -> tuple[set[int], set[int]]:
        """The addresses and node ports of a Service."""
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            return set(), set()
        ips = {number for text in (spec.get("clusterIP") or "",) if (number := self.ip(text)) is not None}
        if spec.get("type") not in ("NodePort", "LoadBalancer"):
            return ips, set()  # ports that it may not have are those of others
        ports = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
        if spec.get("healthCheckNodePort"):
            ports.add(spec["healthCheckNodePort"])
        return ips, ports

    def keep(self, services: Iterable[Obj]) -> None:
        """Mark what stored Services have as taken."""
        for service in services:
            ips, ports = self.held_by(service)
            self.ips.taken |= ips
            self.ports.taken |= ports

    def give_back(self, service: Obj, keep: Obj | None = None) -> None:
        """A Service went, or changed into `keep`."""
        ips, ports = self.held_by(service)
        kept_ips, kept_ports = self.held_by(keep) if keep is not None else (set(), set())
        self.ips.taken -= ips - kept_ips
        self.ports.taken -= ports - kept_ports
