"""Deleting what runs have written: the writable layer of one that has ended, a pod's whole directory.

Used by `local`. A run that ends is often the last of its pod, whose directory goes a moment later with everything in it;
so a single layer is deleted only when that moment has passed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

PATIENCE_SECONDS = 2.0


class Cleaner:
    """Deletes ended runs' layers in the background, by run id, `patience_seconds` after it was asked to."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience = patience_seconds
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def soon(self, run_id: str, root: Path) -> None:
        """Delete a layer before long."""
        loop = asyncio.get_running_loop()
        self._timers[run_id] = loop.call_later(self._patience, self._begin, run_id, root)

    async def settled(self, run_id: str) -> None:
        """Leave that run's layer alone from now on; waits while it is being deleted."""
        timer = self._timers.pop(run_id, None)
        if timer is not None:
            timer.cancel()
        task = self._tasks.get(run_id)
        if task is not None:
            await asyncio.wait({task})

    async def close(self) -> None:
        """Finish what has begun; what has not is found by whoever uses the directory next."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    def _begin(self, run_id: str, root: Path) -> None:
        del self._timers[run_id]
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(remove_root, root))
        self._tasks[run_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(run_id, None))


def remove_root(root: Path) -> None:
    """Delete a run's writable layer and the directory that overlayfs works in."""
    remove_tree(root)
    remove_tree(root.with_name(f"{root.name}.work"))


def remake(root: Path) -> None:
    """An empty writable layer in the place of whatever an interrupted start has left."""
    remove_root(root)
    root.mkdir()


def remove_tree(path: Path) -> None:
    """Delete a directory whatever modes its owner has put on what is in it; symlinks are never followed."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except OSError:
        path.chmod(0o700)
        for directory, names, _ in os.walk(path):
            for name in names:
                inner = Path(directory, name)
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)
