"""What the API server needs from the rest of the engine: access to what runs on nodes.

The engine plugs in a `NodeAccess` (the node agent); without one, logs and proxies answer that no node can be reached.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from argosy.meta.json import Obj


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which part of a container's log is wanted; `PodLogOptions` without the container's name."""

    follow: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: str = ""
    """RFC 3339; takes the place of `since_seconds`."""
    previous: bool = False
    timestamps: bool = False
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """One container's use: cores and bytes."""

    name: str
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class PodUsage:
    """One pod's use, for metrics.k8s.io."""

    namespace: str
    name: str
    containers: Sequence[ContainerUsage]


class NodeAccess(Protocol):
    """The way to running pods."""

    def logs(self, pod: Obj, container: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """Yield a container's log. Raises ApiError when the container has none."""
        ...

    def socket(self, family: int, type: int) -> socket.socket:
        """A socket in the cluster's network, from which pods and Services can be reached."""
        ...

    async def usage(self) -> Sequence[PodUsage]:
        """What every running pod uses now."""
        ...
