"""What an engine takes of the machine before it has any parts: its two ports, and a runtime for pods.

`main` takes it while the parts are still being imported. Finding out what the machine allows and starting the process
that holds the pods' namespaces are mostly waiting, and the importing is all computing.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from argosy.cluster import ports
from argosy.cluster.process import EngineState, last_state
from argosy.cluster.settings import Layout, Settings
from argosy.engine.node.runtime.local import LocalRuntime
from argosy.engine.node.runtime.probe import start_runtime

_API_PORT, _INGRESS_PORT = 6443, 8080


@dataclass(frozen=True, slots=True)
class Ground:
    """Listening sockets, and a runtime that has started."""

    api_socket: socket.socket
    ingress_socket: socket.socket
    runtime: LocalRuntime

    @property
    def api_port(self) -> int:
        """The API server's port on the host."""
        return int(self.api_socket.getsockname()[1])

    @property
    def ingress_port(self) -> int:
        """Ingress's port on the host."""
        return int(self.ingress_socket.getsockname()[1])

    async def leave(self) -> None:
        """Let go of what an engine that could not start has taken; pods of an earlier one run on."""
        runs = await self.runtime.adopt()
        await self.runtime.close(kill=all(run.exit is not None for run in runs))
        self.api_socket.close()
        self.ingress_socket.close()


async def take(settings: Settings, layout: Layout) -> Ground:
    """Take it. Raises UserError for a port that is in use and for an isolation level that is not to be had."""
    remembered = last_state(layout)
    api_socket = ports.listen(settings.api_port, _port(remembered, "server"), _API_PORT, what="the API server")
    ingress_socket = ports.listen(settings.ingress_port, _port(remembered, "ingress"), _INGRESS_PORT, what="Ingress")
    runtime = await start_runtime(layout.home, settings.isolation)
    return Ground(api_socket, ingress_socket, runtime)


def _port(state: EngineState | None, field: str) -> int:
    port = (getattr(state, field, "") or "").rpartition(":")[2]
    return int(port) if port.isdigit() else 0
