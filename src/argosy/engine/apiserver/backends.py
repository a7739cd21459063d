"""What the API server needs from the rest of the engine: access to what runs on nodes.

The engine plugs in a `NodeAccess` (the node agent); without one, logs and proxies answer that no node can be reached.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
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


@dataclass(frozen=True, slots=True)
class Streams:
    """Which standard streams a client is joined to. With a terminal there is no standard error of its own."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class Process(Protocol):
    """The standard streams of a command, or of a container. Not for more than one client."""

    def output(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield ("stdout" or "stderr", bytes) until it has ended and everything was read."""
        ...

    async def write(self, data: bytes) -> None:
        """Feed standard input; what nobody reads any more is dropped."""
        ...

    def close_stdin(self) -> None:
        """Standard input ends here."""
        ...

    def resize(self, rows: int, columns: int) -> None:
        """The terminal's size; nothing happens without one."""
        ...

    async def wait(self) -> int:
        """The exit code, 128 + signal for what was killed. Raises ArgosyError for what could not be started."""
        ...

    def close(self) -> None:
        """Let go; a command that still runs is killed. Idempotent."""
        ...


Opener = Callable[[], Awaitable[Process]]


class NodeAccess(Protocol):
    """The way to running pods."""

    def exec(self, pod: Obj, container: str, command: Sequence[str], streams: Streams) -> Opener:
        """What starts a command in a container. Raises ApiError at once for a container that does not run."""
        ...

    def attach(self, pod: Obj, container: str, streams: Streams) -> Opener:
        """What joins a container's own streams. Raises ApiError at once for a container that does not run."""
        ...

    async def dial(self, pod: Obj, port: int) -> socket.socket:
        """A connection to a port of a pod, from inside it. Non-blocking. Raises OSError, ArgosyError."""
        ...

    def logs(self, pod: Obj, container: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """Yield a container's log. Raises ApiError when the container has none."""
        ...

    def socket(self, family: int, type: int) -> socket.socket:
        """A socket in the cluster's network, from which pods and Services can be reached."""
        ...

    async def usage(self) -> Sequence[PodUsage]:
        """What every running pod uses now."""
        ...
