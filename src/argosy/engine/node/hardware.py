"""What this machine is and has: read once when the engine starts, and again where it may change. Called by `nodes`."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from argosy import __version__

KUBELET_VERSION = "v1.36.0"
_DISK_FREE_MIN = 0.03


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine has."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    host_name: str
    info: Mapping[str, str]


def measure(home: Path) -> Machine:
    """Look at the machine."""
    disk = os.statvfs(home)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    info = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": f"argosy://{__version__}",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET_VERSION,
        "machineID": _read("/etc/machine-id"),
        "operatingSystem": "linux",
        "osImage": _os_image(),
        "systemUUID": _read("/etc/machine-id"),
    }
    cpus = len(os.sched_getaffinity(0))
    return Machine(cpus, _limited(memory), disk.f_blocks * disk.f_frsize, platform.node(), info)


def _limited(memory: int) -> int:
    """The memory of the cgroup that the engine itself lives in, where that is less than the machine's."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _read(path)
        if text.isdigit():
            return min(memory, int(text))
    return memory


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image() -> str:
    for line in _read("/etc/os-release").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip('"')
    return "Linux"


@dataclass(frozen=True, slots=True)
class Room:
    """A disk, in bytes."""

    total: int
    available: int

    @property
    def full(self) -> bool:
        """Whether so little is left that pods would fail."""
        return self.available < self.total * _DISK_FREE_MIN

    @property
    def wanted(self) -> int:
        """How much has to be left."""
        return int(self.total * _DISK_FREE_MIN)


def room_at(home: Path) -> Room:
    """The disk that a home lies on. Raises OSError."""
    disk = os.statvfs(home)
    return Room(disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize)
