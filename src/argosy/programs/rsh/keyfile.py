"""Where the job's SSH key lies in this pod."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from argosy.programs import pod
from argosy.programs.rsh import wire

_NAME = "id_rsa"


def secret(named: str = "", environ: Mapping[str, str] = os.environ) -> bytes:
    """What both sides make of the key. Raises FileNotFoundError with a sentence, or OSError."""
    looked = []
    for directory in _places(named, environ):
        try:
            return wire.secret((directory / _NAME).read_bytes())
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            looked.append(str(directory))
    raise FileNotFoundError(
        f"there is no {_NAME} in {', '.join(dict.fromkeys(looked))}: mount the job's SSH secret at one of them "
        f"(sshAuthMountPath), or name its file with -i"
    )


def _places(named: str, environ: Mapping[str, str]) -> Iterator[Path]:
    if named:
        yield Path(named).parent
    root = environ.get("ARGOSY_ROOT")
    for home in dict.fromkeys((environ.get("HOME") or "/root", "/root", "/home/mpiuser")):
        yield pod.path(f"{home}/.ssh", environ)
    for base in (Path("/home"), *((Path(root) / "home",) if root else ())):
        yield from sorted(base.glob("*/.ssh"))
