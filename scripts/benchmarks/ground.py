"""What the machine itself can do, to hold the figures against, and how busy it is with other things."""

from __future__ import annotations

import os
import time
from pathlib import Path

KUBERNETES = "measured on 2 cores, Kubernetes 1.36 with kubelet and containerd"
SLURM = "measured on 2 cores, Slurm 22.05 tuned"

_QUIET_SHARE = 0.25
_QUIET_SECONDS_MAX = 20.0
_SAMPLE_SECONDS = 0.5


def description() -> str:
    """The machine in one line."""
    system = os.uname()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {system.sysname} {system.release}; load average {load}"


def wait_until_quiet() -> str:
    """Wait a while for other work to end; says how busy the machine still is, for a line of a report."""
    end = time.monotonic() + _QUIET_SECONDS_MAX
    busy = _busy_share()
    while busy > _QUIET_SHARE and time.monotonic() < end:
        busy = _busy_share()
    warning = "" if busy <= _QUIET_SHARE else ": other work slows these figures down"
    return f"{busy:.0%} of the machine busy beforehand, load average {os.getloadavg()[0]:.1f}{warning}"


def _busy_share() -> float:
    before = _cpu_ticks()
    time.sleep(_SAMPLE_SECONDS)
    after = _cpu_ticks()
    return 1 - (after[0] - before[0]) / max(1, after[1] - before[1])


def _cpu_ticks() -> tuple[int, int]:
    """(idle, all), since boot and over all cores."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def process_starts_per_second(count: int = 300) -> float:
    """fork, exec and wait of /bin/true, one after the other: no pod can start faster."""
    began = time.perf_counter()
    for _ in range(count):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return count / (time.perf_counter() - began)


def syncs_per_second(directory: Path, count: int = 100) -> float:
    """4 KiB written and fsynced, one after the other: no single commit can be faster."""
    path = directory / "sync"
    block = os.urandom(4096)
    with path.open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(count):
            file.write(block)
            os.fsync(file.fileno())
        seconds = time.perf_counter() - began
    path.unlink()
    return count / seconds


def resident_bytes(pid: int) -> int:
    """The resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
