"""hostPorts: a port of a node that leads to a port of a pod, for as long as the pod is here.

Opened by `worker` when a pod is prepared, closed when it is removed. What a hostPort cannot be here is told as an event.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from argosy.engine.network.proxy import TcpPort
from argosy.engine.network.services import Backend, Frontend, Listen, Place
from argosy.engine.network.udp import UdpPort
from argosy.engine.node.runtime.spec import Level, Network
from argosy.engine.node.settings import NodePlace
from argosy.meta.json import Obj


def wanted(pod: Obj, node: NodePlace) -> Iterator[tuple[Listen, int]]:
    """Where a pod wants to be reached on its node, from this machine and from other pods, and its own port there."""
    if pod["spec"].get("hostNetwork"):
        return
    for container in (*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ())):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                protocol = str(port.get("protocol") or "TCP")
                for place, address in _addresses(str(port.get("hostIP") or ""), node):
                    yield Listen(place, address, int(port["hostPort"]), protocol), int(port["containerPort"])


def _addresses(asked: str, node: NodePlace) -> Iterator[tuple[Place, str]]:
    if asked in ("", "0.0.0.0", node.external):
        yield Place.HOST, node.external
    elif asked != node.internal:
        yield Place.HOST, asked
    if asked in ("", "0.0.0.0", node.internal) and node.internal != node.external:
        yield Place.CLUSTER, node.internal


class HostPorts:
    """Those of one pod."""

    def __init__(self) -> None:
        self._open: list[TcpPort | UdpPort] = []

    async def open(self, pod: Obj, address: str, network: Network, node: NodePlace) -> list[str]:
        """Listen on a node for a pod that has this address; what could not be done, a sentence each."""
        self.close()
        problems = []
        for listen, port in wanted(pod, node):
            if listen.protocol not in {"TCP", "UDP"}:
                problems.append(f"hostPort {listen}: only TCP and UDP are forwarded; use one of them")
                continue
            if network.level is not Level.L2 and listen.port == port:
                continue  # pods have the machine's own ports there: whoever listens on all addresses is reached already
            proxy = UdpPort if listen.protocol == "UDP" else TcpPort
            listener = socket.socket if listen.place is Place.HOST else network.socket
            forward = proxy(listen, listener, lambda _, kind: network.socket(socket.AF_INET, kind))
            try:
                if listen.place is Place.CLUSTER:
                    network.add_local_address(listen.address)
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
