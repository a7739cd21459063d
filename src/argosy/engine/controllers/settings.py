"""What the controllers are told when they start; the composition root makes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Settings of the engine's controllers."""

    volumes_dir: Path
    """Where claims of class `standard` get their directories: `<volumes_dir>/<namespace>/<claim>-<uid8>`."""
    ca_pem: str = ""
    """The certificate authority that every namespace's `kube-root-ca.crt` holds."""
    workers: int = 8
    """Subjects of one kind that are worked on at the same time."""
