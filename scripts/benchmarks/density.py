"""A thousand pods on one machine: how soon they run, what each costs in memory, how soon they are gone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from argosy import kinds
from benchmarks.engines import engine, following, pod
from benchmarks.figures import Figure
from benchmarks.pods import all_running, create, remove_all

_PODS = 1000
_SECONDS_MAX = 600.0
_MIB = 1 << 20


async def density() -> list[Figure]:
    """1,000 pods of `sleep`."""
    async with engine() as (place, client), following(client, kinds.POD) as copy:
        engine_before = _proportional([place.pid()])
        memory_before = _available()
        began = time.perf_counter()
        await create(client, [pod(f"many-{number}", ["sleep", "100000"]) for number in range(_PODS)])
        await all_running(copy, _PODS, _SECONDS_MAX)
        running = time.perf_counter() - began
        shims = _named("argosy-shim", place.path)
        small = sum(Path(f"/proc/{pid}/exe").resolve().name == "argosy-shim" for pid in shims)
        a_shim = _proportional(shims) / max(len(shims), 1)
        taken = (memory_before - _available()) / _PODS
        grown = (_proportional([place.pid()]) - engine_before) / _PODS
        began = time.perf_counter()
        await remove_all(client, copy, _SECONDS_MAX)
        gone = time.perf_counter() - began
    return [
        Figure(f"{_PODS} pods of sleep, all Running", f"{running:.1f} s ({_PODS / running:.0f}/s)"),
        Figure(
            "memory a pod: its shim (PSS)",
            f"{a_shim / _MIB:.2f} MiB",
            "0.5 MB with a compiler, else 1.5 MB",
            f"{len(shims)} shims, {small} of them the compiled one, the others forks of the holder",
        ),
        Figure("memory a pod: the engine", f"{grown / _MIB:.2f} MiB"),
        Figure(
            "memory a pod: all that the machine lacks",
            f"{taken / _MIB:.2f} MiB",
            "",
            "MemAvailable, kernel's part included",
        ),
        Figure(f"{_PODS} pods deleted, all gone", f"{gone:.1f} s ({_PODS / gone:.0f}/s)"),
    ]


def _named(name: str, home: Path) -> list[int]:
    """Processes of that name that belong to a home."""
    mark = os.fsencode(home)
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == name and mark in _command(entry):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _command(process: Path) -> bytes:
    return (process / "cmdline").read_bytes()


def _proportional(pids: Iterable[int]) -> int:
    """Bytes of memory, what is shared counted in shares."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024


def _available() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024
