"""What a container uses, and what stands in for limits that the kernel does not enforce here.

Used by `local`. `cgroups` enforces where control groups may be written; elsewhere the shim watches memory, the CPUs that a
container may run on are narrowed, and what it uses is added up from /proc.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from typing import Protocol

from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.spec import Limits, Usage


class Enforcer(Protocol):
    """Limits enforced by the kernel, as far as `enforces` says."""

    enforces: frozenset[str]

    def create(self, run_id: str, limits: Limits) -> tuple[list[str], str]:
        """Prepare for a run: the files into which its command writes itself, and the file that counts OOM kills."""
        ...

    def remove(self, run_id: str) -> None:
        """Forget a run that has ended."""
        ...

    def keep(self, run_ids: Iterable[str]) -> None:
        """Forget every run but these: an engine that was killed may have left others."""
        ...

    def retry(self) -> None:
        """Try again what could not be removed because its last process was still dying."""
        ...

    def usage(self, run_id: str) -> Usage | None:
        """What the kernel has counted for a run, if it does."""
        ...

    def close(self) -> None:
        """Remove everything that was made."""
        ...


class NoEnforcer:
    """No control groups may be written here."""

    enforces: frozenset[str] = frozenset()

    def create(self, run_id: str, limits: Limits) -> tuple[list[str], str]:
        """Nothing to enter, nothing to count."""
        return [], ""

    def remove(self, run_id: str) -> None:
        """Nothing was made."""

    def keep(self, run_ids: Iterable[str]) -> None:
        """Nothing was made."""

    def retry(self) -> None:
        """Nothing was made."""

    def usage(self, run_id: str) -> Usage | None:
        """Nothing is counted."""
        return None

    def close(self) -> None:
        """Nothing was made."""


def choose_cpus(run_id: str, cpu_millis: int | None, available: list[int] | None = None) -> list[int]:
    """The CPUs a limited container may use, spread over the machine by its id; empty for all of them."""
    cpus = sorted(os.sched_getaffinity(0)) if available is None else available
    if not cpu_millis:
        return []
    wanted = -(-cpu_millis // 1000)
    if wanted >= len(cpus):
        return []
    first = zlib.crc32(run_id.encode()) % len(cpus)
    return [cpus[(first + i) % len(cpus)] for i in range(wanted)]


def measure(shim_pid: int, command_pid: int, *, own_pids: bool, mounts: int = 0) -> Usage | None:
    """Sum over the container's processes, from /proc. None when it has ended."""
    proc, pids = processes.members(shim_pid, command_pid, own_pids=own_pids, mounts=mounts)
    if not pids:
        return None
    cpu = sum(processes.cpu_seconds(proc, pid) for pid in pids)
    return Usage(cpu, sum(processes.resident_bytes(proc, pid) for pid in pids))
