"""The engine as a process of this machine: found, started in the background, ended.

The command line is the only caller. An engine is identified by its pid together with the kernel's start time of that
pid, so that a recycled pid is never taken for it, and by the lock it holds, so that two never share a home.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from argosy.cluster.settings import Layout, Settings
from argosy.engine.node.runtime.holder.processes import start_time
from argosy.errors import UserError
from argosy.meta.json import decode, encode

_READY_SECONDS = 60.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.05
HELD_STATUS = 3
"""How an engine's process ends that finds another in its home."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """What a running engine writes into `engine.json` when it is ready."""

    pid: int
    start_time: int
    """Field 22 of /proc/PID/stat, in clock ticks since boot."""
    server: str
    ingress: str
    kubeconfig: str
    isolation: str
    version: str
    started_at: str
    notes: tuple[str, ...] = ()
    """What a person should know: recovery at start, why a better isolation level is not available."""
    nodes: int = 1
    """How many it was told to appear as."""

    def differs(self, settings: Settings) -> str:
        """What it runs with that is not what these settings ask for, in words; empty where it is."""
        ways = (
            (settings.isolation not in (None, self.isolation), f"isolation {self.isolation}"),
            (settings.nodes not in (1, self.nodes), f"{self.nodes} node{'s' if self.nodes > 1 else ''}"),
            (settings.api_port not in (0, _port(self.server)), f"port {_port(self.server)}"),
            (settings.ingress_port not in (0, _port(self.ingress)), f"ingress port {_port(self.ingress)}"),
        )
        return " and ".join(words for differs, words in ways if differs)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].strip("/") or 0)


def find(layout: Layout) -> EngineState | None:
    """The engine that runs in this home, if one does."""
    state = last_state(layout)
    return state if state is not None and start_time(state.pid) == state.start_time else None


def last_state(layout: Layout) -> EngineState | None:
    """What the last engine of this home said of itself, whether or not it still runs."""
    try:
        fields = decode(layout.state.read_bytes())
        return EngineState(**{**fields, "notes": tuple(fields.get("notes", ()))})
    except (OSError, ValueError, TypeError):
        return None


def write_state(layout: Layout, state: EngineState) -> None:
    """Say that the engine is ready; atomically, for readers may be waiting."""
    draft = layout.state.with_suffix(".tmp")
    draft.write_bytes(encode(asdict(state)))
    draft.replace(layout.state)


class HomeHeldError(UserError):
    """Another engine has this home."""


def hold_lock(layout: Layout) -> int:
    """Take the home's lock for as long as this process lives. Raises HomeHeldError when another engine holds it."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise HomeHeldError(
            f"another engine holds {layout.home}", "use it, end it with: argosy down, or set another ARGOSY_HOME"
        ) from None
    return descriptor


def start(settings: Settings, layout: Layout) -> EngineState:
    """Start an engine in the background and return when it is ready; where somebody starts one at the same time, that one.
    Raises UserError with the engine's own words when it cannot start.
    """
    read_end, write_end = os.pipe()
    command = [sys.executable, "-m", "argosy.cluster.main", *_arguments(settings), "--ready-fd", str(write_end)]
    with layout.log.open("ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(write_end,), start_new_session=True,
            cwd="/", env={**os.environ, "ARGOSY_HOME": str(settings.home), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    os.close(write_end)
    said = _read_until_ready(read_end, time.monotonic() + _READY_SECONDS)
    if said.startswith(b"ready"):
        state = find(layout)
        if state is not None:
            return state
    if not said and child.poll() is None:
        child.kill()
        child.wait()
        raise UserError(f"the engine was not ready after {_READY_SECONDS:.0f} s", f"its log is {layout.log}")
    if child.wait() == HELD_STATUS and (other := _appears(layout)) is not None:
        return other
    message = said.decode(errors="replace").strip() or _last_words(layout.log)
    first, _, next_step = message.partition("\n")
    raise UserError(first or "the engine ended while starting", next_step or f"its log is {layout.log}")


def _appears(layout: Layout) -> EngineState | None:
    """The engine that holds this home, once it is ready."""
    deadline = time.monotonic() + _READY_SECONDS
    while (state := find(layout)) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return state


def stop(layout: Layout, state: EngineState, waiting: Callable[[float], None] = lambda _: None) -> None:
    """End an engine and all it started; `waiting` is called with the seconds waited so far, for progress."""
    began = time.monotonic()
    _signal(state.pid, signal.SIGTERM)
    while start_time(state.pid) == state.start_time:
        waited = time.monotonic() - began
        if waited > _STOP_SECONDS:
            _signal(state.pid, signal.SIGKILL)
            raise UserError(
                f"the engine did not end within {_STOP_SECONDS:.0f} s and was killed", "run argosy down again"
            )
        waiting(waited)
        _wait_for_exit(state.pid, 0.2)
    layout.state.unlink(missing_ok=True)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _arguments(settings: Settings) -> list[str]:
    arguments = ["--home", str(settings.home), "--nodes", str(settings.nodes)]
    if settings.isolation:
        arguments += ["--isolation", settings.isolation]
    if settings.token_auth_file:
        arguments += ["--token-auth-file", str(settings.token_auth_file)]
    return [*arguments, "--api-port", str(settings.api_port), "--ingress-port", str(settings.ingress_port)]


def _read_until_ready(descriptor: int, deadline: float) -> bytes:
    """What the child wrote until it closed its end: `ready`, or a sentence and the next step."""
    said = b""
    try:
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([descriptor], [], [], left)[0]:
                break
            chunk = os.read(descriptor, 4096)
            said += chunk
            if not chunk or said.startswith(b"ready"):
                break
        return said
    finally:
        os.close(descriptor)


def _wait_for_exit(pid: int, seconds: float) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise UserError(f"the engine (pid {pid}) belongs to another user", "ask that user to end it") from None


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    return lines[-1][:300] if lines else ""
