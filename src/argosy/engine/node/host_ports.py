"""hostPorts: a port of this machine that leads to a port of a pod, for as long as the pod is here.

Opened by `worker` when a pod is prepared, closed when it is removed. What a hostPort cannot be here is told as an event.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from argosy.engine.network.proxy import TcpPort
from argosy.engine.network.services import Backend, Frontend, Listen, Place
from argosy.engine.network.udp import UdpPort
from argosy.engine.node.runtime.spec import Level, Network
from argosy.meta.json import Obj


def wanted(pod: Obj, host_address: str) -> Iterator[tuple[Listen, int]]:
    """Where a pod wants to be reached on this machine, and its own port there."""
    if pod["spec"].get("hostNetwork"):
        return
    for container in (*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ())):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = str(port.get("hostIP") or host_address)
                protocol = str(port.get("protocol") or "TCP")
                yield Listen(Place.HOST, address, int(port["hostPort"]), protocol), int(port["containerPort"])


class HostPorts:
    """Those of one pod."""

    def __init__(self) -> None:
        self._open: list[TcpPort | UdpPort] = []

    async def open(self, pod: Obj, address: str, network: Network, host_address: str) -> list[str]:
        """Listen on this machine for a pod that has this address; what could not be done, a sentence each."""
        self.close()
        problems = []
        for listen, port in wanted(pod, host_address):
            if listen.protocol not in {"TCP", "UDP"}:
                problems.append(f"hostPort {listen}: only TCP and UDP are forwarded; use one of them")
                continue
            if network.level is not Level.L2 and listen.port == port:
                continue  # pods have the machine's own ports there: whoever listens on all addresses is reached already
            proxy = UdpPort if listen.protocol == "UDP" else TcpPort
            forward = proxy(listen, socket.socket, lambda _, kind: network.socket(socket.AF_INET, kind))
            try:
                await forward.update(Frontend(listen, (Backend(address, port),)))
            except OSError as error:
                problems.append(f"hostPort {listen} cannot be had: {error.strerror or error}; choose another")
            else:
                self._open.append(forward)
        return problems

    def close(self) -> None:
        """Listen no more."""
        for forward in self._open:
            forward.close()
        self._open.clear()
