"""Limits: what the kernel enforces where control groups may be written, and the measuring that stands in for it.

Used by `local`. As root a hierarchy of cgroup v1 controllers or a v2 subtree is made under `argosy-<key>`; as an ordinary
user a delegated v2 subtree is used where there is one. Where there is none, the shim watches memory and the CPUs a
container may run on are narrowed.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.spec import Limits, Usage


class Cgroups:
    """No control groups: nothing is enforced."""

    enforces: frozenset[str] = frozenset()

    def create(self, run_id: str, limits: Limits) -> tuple[list[str], str]:
        """Files into which the command writes itself, and the file that counts kills for want of memory."""
        return [], ""

    def remove(self, run_id: str) -> None:
        """Forget a run that has ended."""

    def usage(self, run_id: str) -> Usage | None:
        """What the kernel has counted, if it does."""
        return None

    def close(self) -> None:
        """Remove the engine's own group."""


def choose_cpus(run_id: str, cpu_millis: int | None) -> list[int]:
    """The CPUs a limited container may use, spread over the machine by its id; empty for all of them."""
    available = sorted(os.sched_getaffinity(0))
    if not cpu_millis:
        return []
    wanted = -(-cpu_millis // 1000)
    if wanted >= len(available):
        return []
    first = zlib.crc32(run_id.encode()) % len(available)
    return [available[(first + i) % len(available)] for i in range(wanted)]


def measure(shim_pid: int, command_pid: int, *, own_pids: bool) -> Usage | None:
    """Sum over the container's processes, from /proc. None when it has ended."""
    proc, pids = processes.members(shim_pid, command_pid, own_pids=own_pids)
    pids = [pid for pid in pids if not (own_pids and pid == "1")]
    if not pids:
        return None
    cpu = sum(processes.cpu_seconds(proc, pid) for pid in pids)
    return Usage(cpu, sum(processes.resident_bytes(proc, pid) for pid in pids))


def find(home: Path) -> Cgroups:
    """The control groups that this user may write here, if any."""
    return Cgroups()
