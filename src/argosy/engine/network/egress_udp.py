"""The way out for datagrams: name servers, clocks, QUIC; as `egress` is for TCP, and governed by the same policies.

The kernel leads a pod's datagrams for the outside to one of a row of doors here (`egress_rules`): as many as there are places
that one socket of a pod may speak to at a time, since the kernel tells such conversations apart by the door alone. Where a
conversation was meant to go is asked of the kernel once (`conntrack`); then it has a socket of its own on the host.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import NoReturn, cast

from argosy.engine.network import conntrack
from argosy.engine.network.egress_rules import DOOR, DOORS
from argosy.engine.network.reach import host_socket
from argosy.engine.network.udp import Flow
from argosy.engine.node.runtime.spec import Network

_IDLE_SECONDS = 25.0
"""Less than the kernel remembers (30): what it leads to a door afterwards may be meant for somebody else."""
_FLOWS_MAX = 256
"""For each door."""


class UdpEgress:
    """The listeners behind the doors."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def run(self) -> NoReturn:
        """Serve until cancelled. Raises OSError when a door cannot be opened."""
        kernel = self._network.socket(socket.AF_NETLINK, socket.SOCK_RAW, conntrack.NETFILTER)
        doors: list[_Door] = []
        try:
            for port in DOORS:
                line = self._network.socket(socket.AF_INET, socket.SOCK_DGRAM)
                line.bind((DOOR[0], port))
                door = _Door((DOOR[0], port), kernel)
                await asyncio.get_running_loop().create_datagram_endpoint(lambda door=door: door, sock=line)  # type: ignore[misc]
                doors.append(door)
            await asyncio.Event().wait()
        finally:
            for door in doors:
                door.close()
            kernel.close()
        raise AssertionError("it serves until cancelled")


class _Door(asyncio.DatagramProtocol):
    """One of them, with the conversations that came through it."""

    def __init__(self, here: tuple[str, int], kernel: socket.socket) -> None:
        self._here, self._kernel = here, kernel
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: dict[tuple[str, int], Flow] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: the door is open."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Called by asyncio: a pod speaks."""
        with suppress(OSError):  # a lost datagram
            flow = self._flows.get(addr) or self._open(addr)
            if flow is not None:
                flow.send(data)

    def answer(self, data: bytes, client: tuple[str, int]) -> None:
        """Somebody outside answers; the kernel makes it come from where the pod spoke to."""
        if self._transport is not None:
            self._transport.sendto(data, client)

    def idle(self, client: tuple[str, int]) -> None:
        """Nothing was said for a while."""
        if flow := self._flows.pop(client, None):
            flow.close()

    def close(self) -> None:
        """Close it."""
        for client in list(self._flows):
            self.idle(client)
        if self._transport is not None:
            self._transport.close()

    def _open(self, client: tuple[str, int]) -> Flow | None:
        """Raises OSError."""
        destination = conntrack.ask(self._kernel, self._here, client)
        if destination is None or destination[0] == self._here[0]:  # somebody knocked at the door itself
            return None
        if len(self._flows) >= _FLOWS_MAX:
            self.idle(next(iter(self._flows)))
        upstream = host_socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            flow = Flow(self, client, destination, upstream, _IDLE_SECONDS)
        except OSError:
            upstream.close()
            raise
        self._flows[client] = flow
        return flow
