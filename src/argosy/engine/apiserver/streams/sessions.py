"""What an upgraded connection is joined to, and how its end is told. Values; the edge carries them out.

The subresources (`subresources.streams`) make a session once it is known that the client may; `websocket` and `upgrade`
join it to the client's connection.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from argosy.engine.apiserver.backends import Process, Streams
from argosy.errors import ApiError
from argosy.meta.json import Obj


@dataclass(frozen=True, slots=True)
class Joining:
    """A command, or a running container, and which of its streams the client wants (exec, attach)."""

    streams: Streams
    open: Callable[[], Awaitable[Process]]


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Connections to a pod's ports (port-forward)."""

    pod: str
    ports: tuple[int, ...]
    """Those of the request; only the channel protocols need them."""
    dial: Callable[[int], Awaitable[socket.socket]]
    """Raises OSError."""


Session: TypeAlias = Joining | Forwarding


def ended(code: int) -> Obj:
    """The Status that ends the error stream of a command."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed(error: Exception) -> Obj:
    """The same for a command that could not be run, or was lost."""
    if isinstance(error, ApiError):
        return error.status()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: error executing command in container: {error}",
        "reason": "InternalError",
        "details": {"causes": [{"message": f"error executing command in container: {error}"}]},
        "code": 500,
    }


def in_words(status: Obj) -> str:
    """A Status for protocols that know a sentence only; empty for success."""
    return "" if status["status"] == "Success" else str(status["message"])


def window(data: bytes, decode: Callable[[bytes], object]) -> tuple[int, int] | None:
    """(rows, columns) of a resize message; None for what is none."""
    try:
        size = decode(data)
    except ValueError:
        return None
    if not isinstance(size, dict):
        return None
    rows, columns = size.get("Height"), size.get("Width")
    if not isinstance(rows, int) or not isinstance(columns, int):
        return None
    return (rows, columns) if 0 < rows < 1 << 16 and 0 < columns < 1 << 16 else None
