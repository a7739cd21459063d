"""Which pod has which IP: pure allocation from the pod range.

Addresses go round the range, so that one that was just given back is not given out again at once: connections and caches
still point at it. The agent writes each pod's address into the pod's directory and claims them again after a restart.
"""

from __future__ import annotations

import ipaddress

from argosy.errors import ArgosyError


class Addresses:
    """The pod range of this engine. The first ten addresses and the last stay free for the node's own use."""

    def __init__(self, cidr: str) -> None:
        network = ipaddress.ip_network(cidr)
        self._first = int(network.network_address) + 10
        self._count = network.num_addresses - 11
        if self._count < 1:
            raise ValueError(f"the pod range {cidr} is too small")
        self._next = 0
        self._taken: dict[str, str] = {}
        self._owners: dict[str, str] = {}

    def claim(self, owner: str, address: str) -> bool:
        """Take back an address that `owner` (a pod's uid) had before; False when another has it or it is out of range."""
        offset = int(ipaddress.ip_address(address)) - self._first
        if not 0 <= offset < self._count or self._taken.get(address, owner) != owner:
            return False
        self._taken[address] = owner
        self._owners[owner] = address
        self._next = max(self._next, (offset + 1) % self._count)
        return True

    def give(self, owner: str) -> str:
        """The owner's address, a new one if it has none. Raises ArgosyError when the range is used up."""
        known = self._owners.get(owner)
        if known is not None:
            return known
        for _ in range(self._count):
            address = str(ipaddress.ip_address(self._first + self._next))
            self._next = (self._next + 1) % self._count
            if address not in self._taken:
                self._taken[address] = owner
                self._owners[owner] = address
                return address
        raise ArgosyError("no pod address is free; delete pods, or choose a larger pod range")

    def take_back(self, owner: str) -> None:
        """The pod is gone."""
        address = self._owners.pop(owner, None)
        if address is not None:
            del self._taken[address]
