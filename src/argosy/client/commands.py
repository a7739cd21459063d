"""Commands in containers, as `kubectl exec` runs them: what a client asks and what it hears, over any transport.

`Client.execute` uses it. In process the API server's session is joined directly; over HTTP it is a WebSocket that speaks
Kubernetes' channel frames.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from argosy.client.requests import Request
from argosy.meta.kind import Kind
from argosy.meta.objects import Key

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
UPGRADE = {
    "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "sec-websocket-protocol": ", ".join(PROTOCOLS),
}  # fmt: skip
"""The key is of use only against proxies that cache; a transport that opens a connection makes its own."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How a command ended, and what it said."""

    code: int
    stdout: bytes
    stderr: bytes


class Running(Protocol):
    """A command that runs; both transports' sessions open one."""

    def output(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield ("stdout" or "stderr", bytes) until it has ended."""
        ...

    async def wait(self) -> int:
        """The exit code. Raises ApiError or ConnectionError for a command that could not be run, or was lost."""
        ...

    def close(self) -> None:
        """Let go of it; one that still runs is ended."""
        ...


class Session(Protocol):
    """What an answer with status 101 carries."""

    async def open(self) -> Running:
        """Start the command."""
        ...


def request(pods: Kind, key: Key, command: Sequence[str], container: str = "") -> Request:
    """The request for a command without input."""
    query = {"stdout": "true", "stderr": "true", "command": command[0]}
    if container:
        query["container"] = container
    many = {"command": tuple(command)} if len(command) > 1 else {}
    return Request("GET", pods.path(key.namespace, key.name, "exec"), query, dict(UPGRADE), multi_query=many)


async def finish(session: Session) -> Execution:
    """Run it to its end. Cancelling ends the command. Raises ApiError, ConnectionError."""
    running = await session.open()
    said: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    try:
        async with aclosing(running.output()) as parts:
            async for stream, data in parts:
                said[stream].append(data)
        return Execution(await running.wait(), b"".join(said["stdout"]), b"".join(said["stderr"]))
    finally:
        running.close()


def asks_for_session(asked: Request) -> bool:
    """Whether the answer is a session rather than a body."""
    return asked.headers.get("upgrade", "") == "websocket"
