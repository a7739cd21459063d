"""What a program needs to know about the pod it runs in: its address, its share of the CPU, where its last words go.

Used by every program in this package, so that each behaves the same in a pod with a network of its own and in one that
shares the host's ports and owns a 127.x.y.z address only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

_QUOTA_FILES = (
    (Path("/sys/fs/cgroup/cpu.max"), None),
    (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")),
)
_TERMINATION_LOG = "/dev/termination-log"
_SENTENCE_MAX = 4000


def address(environ: Mapping[str, str] = os.environ) -> str:
    """The address to listen on: the pod's own; in a pod that does not know it, all; outside of pods, loopback."""
    return environ.get("POD_IP") or ("0.0.0.0" if environ.get("KUBERNETES_SERVICE_HOST") else "127.0.0.1")


def threads(environ: Mapping[str, str] = os.environ) -> int:
    """How many threads arithmetic should use: `OMP_NUM_THREADS`, else the container's CPU limit, else one.

    More threads than CPUs are worse than slow: OpenMP's threads spin while they wait for each other.
    """
    asked = environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    for quota_file, period_file in _QUOTA_FILES:
        try:
            text = quota_file.read_text() + (f" {period_file.read_text()}" if period_file else "")
        except OSError:
            continue
        return whole_cpus(text)
    return 1


def whole_cpus(quota: str) -> int:
    """The CPUs that a cgroup's `quota period` in microseconds allows, at least one; one when it is unlimited."""
    fields = quota.split()
    if len(fields) < 2 or not fields[0].isdigit() or not fields[1].isdigit() or int(fields[1]) == 0:
        return 1
    return max(1, int(fields[0]) // int(fields[1]))


def path(text: str | Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where a path that a manifest names really is.

    Where pods have no mounts of their own, links to their volumes lie below `$ARGOSY_ROOT`; elsewhere a path is what it
    says.
    """
    named, root = Path(text), environ.get("ARGOSY_ROOT")
    if not root or not named.is_absolute():
        return named
    below = Path(root, *named.parts[1:])
    mounted = any(place.is_symlink() for place in (below, *below.parents) if place.is_relative_to(root))
    return below if mounted else named


def leave_word(message: str, log: str = _TERMINATION_LOG) -> None:
    """Write the container's termination message, which `kubectl describe` and `argosy why` show.

    Only into a file that is there already: outside a pod nothing is made in /dev.
    """
    try:
        descriptor = os.open(path(log), os.O_WRONLY | os.O_TRUNC)
    except OSError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(message[-_SENTENCE_MAX:])


def give_up(message: str, code: int = 1) -> NoReturn:
    """End the program with one sentence, on stderr and as the termination message."""
    leave_word(message)
    os.write(2, f"{message}\n".encode())
    raise SystemExit(code)
