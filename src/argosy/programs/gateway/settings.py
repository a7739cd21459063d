"""What the gateway may be told, from its command line and environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Times are seconds."""

    host: str = "127.0.0.1"
    port: int = 8000
    queue_seconds: float = 120.0
    """How long a request is held while its model has no replica for it; a model that wakes from zero loads this long."""
    queue_length: int = 1000
    """How many requests are held per model; more are told to come back."""
    connect_seconds: float = 2.0
    body_bytes_max: int = 64 * 1024 * 1024
    drain_seconds: float = 25.0
    """How long requests may take to end once the gateway is told to."""
    api_keys: tuple[str, ...] = ()
    api_keys_path: Path | None = None
    """A file with a key a line, or a directory of such files: a mounted Secret. Read again when it changes."""
