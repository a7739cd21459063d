"""Whose processes a container lives among: its own, another container's, all of its pod's, or the host's.

Used by `local`. A pod whose containers share their processes (`shareProcessNamespace`) has a first process that none of
them is (`holder.pause`). It outlives the engine and ends with the pod; who it is stands in a file of the pod's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from argosy.engine.node.runtime.cleaning import remake, remove_root
from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.keeper import Keeper

Who = tuple[int, int]
"""A process: the host's pid, and when it started (ticks)."""
NOBODY: Who = (0, 0)


class Pauses:
    """The first processes of pods that share theirs, by the pods' runtime directories."""

    def __init__(self) -> None:
        self._making = asyncio.Lock()

    async def get(self, keeper: Keeper, uid: str, directory: Path) -> Who:
        """The pod's first process, made if there is none any more. Raises HolderRefused, HolderGone."""
        async with self._making:
            found = recorded(directory)
            if processes.is_alive(*found) and _in_namespaces(found[0]):
                return found
            root = directory / "pause.root"
            await asyncio.to_thread(remake, root)
            record = str(directory / "pause")
            answer = await keeper.ask({"op": "pause", "pod": uid, "root": str(root), "record": record})
            return int(answer["pid"]), int(answer["start_time"])


def recorded(directory: Path) -> Who:
    """Who a pod's first process was, by its file."""
    try:
        pid, started = (directory / "pause").read_text().split()
    except (OSError, ValueError):
        return NOBODY
    return int(pid), int(started)


async def end(directory: Path) -> None:
    """End a pod's first process, and with it everything that still lives in the pod; nothing happens without one."""
    pid, started = recorded(directory)
    if not pid:
        return
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            if processes.is_alive(pid, started):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                await _readable(fd)
        finally:
            os.close(fd)
    await asyncio.to_thread(remove_root, directory / "pause.root")


def _in_namespaces(pid: int) -> bool:
    """A process that is dying leaves its namespaces first, then ends what lives in them, and is gone last."""
    try:
        return Path(f"/proc/{pid}/ns/mnt").stat().st_ino > 0
    except OSError:
        return False


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(fd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(fd)
