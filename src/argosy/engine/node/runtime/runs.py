"""What the engine knows of container runs: their state files read, their ends awaited.

A run is followed by a pidfd on its shim, so its end is an event of the loop whether this engine started it, an earlier one
did, or the holder has died since. The state file says how it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.holder.shim import STDIN_ENDS
from argosy.engine.node.runtime.spec import Exit, Run
from argosy.meta.json import Obj, decode


class StateFile(msgspec.Struct, frozen=True):
    """A run's state as its shim writes it."""

    id: str
    pod: str
    container: str
    attempt: int
    boot: str
    pid: int
    start_time: int
    started_at: float
    confinement: Obj
    command_pid: int = 0
    command_start_time: int = 0
    mounts: int = 0
    """The mount namespace of its processes, where they are known by it alone."""
    finished_at: float = 0.0
    code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""

    def exit(self) -> Exit | None:
        """How it ended, if its shim could say."""
        if not self.finished_at:
            return None
        return Exit(self.code, self.signal, self.started_at, self.finished_at, self.reason, self.message)

    def lost(self, finished_at: float) -> Exit:
        """The end of a run whose shim was killed before it could say anything."""
        return Exit(128 + signal.SIGKILL, int(signal.SIGKILL), self.started_at, finished_at, "", "")


def read_state(path: Path) -> StateFile | None:
    """A state file, or None when there is none or it is not one."""
    found: Obj = {}
    try:
        for line in path.read_bytes().splitlines():
            found |= decode(line)
        return msgspec.convert(found, StateFile)
    except (OSError, ValueError):
        return None


def state_of(answer: Obj) -> StateFile:
    """The same, as the shim answers it."""
    return msgspec.convert(answer, StateFile)


class Followed:
    """A run under the engine's eye."""

    def __init__(self, state: StateFile, path: Path, boot: str) -> None:
        self.state = state
        self.path = path
        self.ended: asyncio.Event = asyncio.Event()
        self.exit: Exit | None = state.exit()
        self._pidfd = -1
        self._command_fd = -1
        same_boot = state.boot == boot
        if self.exit is None and same_boot:
            self._pidfd = _open_pidfd(state.pid, state.start_time)
            self._command_fd = _open_pidfd(state.command_pid, state.command_start_time)
        if self._pidfd < 0:
            self._conclude(_modified(path))

    @property
    def alive(self) -> bool:
        """Whether the shim still runs."""
        return self._pidfd >= 0

    def follow(self, then: Callable[[Followed], None]) -> None:
        """Call `then` once the run has ended (at once, if it has)."""
        if self._pidfd < 0:
            self.ended.set()
            then(self)
            return
        loop = asyncio.get_running_loop()

        def on_end() -> None:
            self.let_go()
            self._conclude(time.time())
            self.ended.set()
            then(self)

        loop.add_reader(self._pidfd, on_end)

    def let_go(self) -> None:
        """Stop following; the run itself goes on."""
        if self._pidfd >= 0:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        if self._command_fd >= 0:
            os.close(self._command_fd)
            self._command_fd = -1

    def signal(self, number: int) -> None:
        """Signal the container's first process; no-op when it has ended."""
        if self._command_fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._command_fd, number)

    def end_stdin(self) -> None:
        """Have the shim let go of the command's standard input, which it keeps open; no-op when it has ended."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, STDIN_ENDS)

    def kill(self) -> None:
        """End the shim itself, and with it (L1, L2) all of the container."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def gone(self) -> None:
        """Block until the shim has ended, and let go. Only for a run that is not being followed."""
        if self._pidfd >= 0:
            select.select([self._pidfd], [], [])
        for fd in (self._pidfd, self._command_fd):
            if fd >= 0:
                os.close(fd)
        self._pidfd = self._command_fd = -1

    def run(self) -> Run:
        """The run as the agent sees it."""
        state = self.state
        return Run(state.id, state.pod, state.container, state.attempt, state.pid, state.started_at, self.exit)

    def _conclude(self, now: float) -> None:
        if self.exit is None:
            self.state = read_state(self.path) or self.state
            self.exit = self.state.exit() or self.state.lost(now)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _open_pidfd(pid: int, started: int) -> int:
    """A pidfd of that very process, or -1."""
    if not pid:
        return -1
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return -1
    if processes.is_alive(pid, started):
        return fd
    os.close(fd)
    return -1


def images_in_use(home: Path) -> frozenset[str]:
    """The names of the images' root file systems that a home's containers were made of, by their state files.

    Those that have ended count as long as their pod is there: it may start them again, with pull policy Never too.
    """
    found = set()
    for path in (home / "pods").glob("*/runtime/*.json"):
        state = read_state(path)
        layer = str(state.confinement.get("layer") or "") if state is not None else ""
        if layer:
            found.add(Path(layer).name)
    for path in (home / "pods").glob("*/volumes/*"):
        if path.is_symlink():  # a volume that is an image
            found.add(path.readlink().name)
    return frozenset(found)
