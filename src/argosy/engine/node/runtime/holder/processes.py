"""What /proc says about processes: who a pid really is, and which processes belong together.

Used on both sides: by the engine to recognise a shim after a restart, by the shim to watch and end what it supervises.
Everything here tolerates processes that vanish while being looked at.
"""

from __future__ import annotations

import os
import signal
import time

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK_AGAIN_SECONDS = 0.002


def boot_id() -> str:
    """The kernel's id of this boot: pids mean nothing across boots."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def fields(pid: int | str, proc: str = "/proc") -> list[str] | None:
    """`/proc/<pid>/stat` after the name: index 0 is the state (field 3 of proc(5)). None when it has gone."""
    try:
        with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    return text[text.rfind(")") + 2 :].split()


def start_time(pid: int | str) -> int:
    """When the process started, in clock ticks since boot; 0 when it has gone or is a zombie."""
    stat = fields(pid)
    return int(stat[19]) if stat and stat[0] not in {"Z", "X"} else 0


def own_pid() -> int:
    """The calling process's pid as the host sees it, also from within a pid namespace (while /proc is the host's)."""
    return int(os.readlink("/proc/self"))


def is_alive(pid: int, started: int) -> bool:
    """Whether the very process that had this pid and start time still runs."""
    return pid > 0 and started != 0 and start_time(pid) == started


def children(pid: int | str) -> list[int]:
    """Pids of direct children."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def descendants(pid: int) -> list[int]:
    """Pids of everything below a process, nearest first."""
    found: list[int] = []
    level = children(pid)
    while level:
        found += level
        level = [child for each in level for child in children(each)]
    return found


def in_mounts(inode: int) -> list[int]:
    """Pids of everything in a mount namespace, as far as one may look.

    Left out is who merely stepped in to execute something there, and waits for it outside of the pid namespace.
    """
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                ns = f"/proc/{name}/ns"
                if os.stat(f"{ns}/mnt").st_ino != inode:
                    continue
                if os.stat(f"{ns}/pid").st_ino == os.stat(f"{ns}/pid_for_children").st_ino:
                    found.append(int(name))
            except OSError:
                pass
    return found


def end_in_mounts(inode: int) -> None:
    """Kill everything in a mount namespace, and see it gone. Nothing new can come to be in one whose processes end."""
    while rest := in_mounts(inode):
        for pid in rest:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(_LOOK_AGAIN_SECONDS)


def container_proc(command_pid: int) -> str:
    """The container's own /proc, where only its processes are listed."""
    return f"/proc/{command_pid}/root/proc"


def members(shim_pid: int, command_pid: int, *, own_pids: bool, mounts: int = 0) -> tuple[str, list[str]]:
    """The /proc to look in and the pids in it of everything in a container but its shim.

    `mounts` is its mount namespace, where the container lives among other processes than its own.
    """
    if mounts:
        return "/proc", [str(pid) for pid in in_mounts(mounts)]
    if own_pids:
        proc = container_proc(command_pid)
        try:
            return proc, [name for name in os.listdir(proc) if name.isdigit() and name != "1"]
        except OSError:
            return proc, []
    return "/proc", [str(pid) for pid in descendants(shim_pid)]


def resident_bytes(proc: str, pid: str) -> int:
    """Resident memory without what is shared with files: what an over-eager process can be blamed for."""
    try:
        with open(f"{proc}/{pid}/statm", encoding="ascii") as file:
            _, resident, shared, *_ = file.read().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * PAGE


def cpu_seconds(proc: str, pid: str) -> float:
    """CPU time of a process and of its children that have ended."""
    stat = fields(pid, proc)
    return sum(map(int, stat[11:15])) / TICKS if stat else 0.0
