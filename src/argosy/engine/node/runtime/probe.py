"""Which isolation level this machine allows, and the runtime for it.

The engine calls `open_runtime` once at start; `best_level` also serves `argosy doctor`-like reports. The trial is real: it
makes the namespaces and mounts that a pod needs, in a short-lived process, because settings alone do not tell.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import argosy
from argosy.engine.node.runtime import cgroups
from argosy.engine.node.runtime.connection import Connection
from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.holder import trial as holder_trial
from argosy.engine.node.runtime.limits import NoEnforcer
from argosy.engine.node.runtime.local import LocalRuntime, holder_directory
from argosy.engine.node.runtime.spec import Level
from argosy.errors import ArgosyError, UserError

TRIAL_SECONDS = 10.0
HELLO_SECONDS = 2.0
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from argosy.engine.node.runtime.holder import trial; trial.main()"
)


def best_level() -> tuple[Level, dict[Level, str]]:
    """The strongest level that works here, and for each stronger one a sentence saying what the machine refuses."""
    source = Path(argosy.__file__).parent.parent
    with tempfile.TemporaryDirectory(prefix="argosy-trial-") as directory:
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(source), directory]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                cwd="/", env={}, timeout=TRIAL_SECONDS,
            )  # fmt: skip
            said, complaint = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            said, complaint = "", f"the trial of namespaces did not end within {TRIAL_SECONDS:.0f} s"
    lines = said.splitlines()
    if lines[-1:] != ["end"]:
        reason = complaint.strip().rsplit("\n", 1)[-1] or "the trial of namespaces was killed"
        return Level.L0, {Level.L2: reason, Level.L1: reason}
    reasons = {Level(level): reason for level, _, reason in (line.partition(" ") for line in lines[:-1])}
    if Level.L2 not in reasons:
        return Level.L2, {}
    return (Level.L0 if Level.L1 in reasons else Level.L1), reasons


Trial = Callable[[], tuple[Level, dict[Level, str]]]


def open_runtime(
    home: Path, level: Level | None = None, *, enforce: bool = True, trial: Trial = best_level
) -> LocalRuntime:
    """The runtime whose state lies in `<home>/run`, at the best level or the one asked for.

    Without `enforce` no control groups are used; `trial` finds out what the machine can do. Raises UserError when the machine cannot do the level asked for. Call
    `start` on what comes back.
    """
    if level is None:
        level = _running_level(home) or _best_level_of(home, trial)
    elif level is not Level.L0 and not _is_proven(home):
        best, reasons = trial()
        if level in reasons:
            raise UserError(
                f"isolation level {level} is not available here: {reasons[level]}",
                f"run with --isolation {best}, or without the option",
            )
    return LocalRuntime(home, level, cgroups.find(home) if enforce else NoEnforcer())


async def start_runtime(
    home: Path, level: Level | None = None, *, opened: Callable[[Path, Level | None], LocalRuntime] = open_runtime
) -> LocalRuntime:
    """Open a runtime and start it; tries the machine again when the level that it had last time does not come up."""
    runtime = await asyncio.to_thread(opened, home, level)
    try:
        await runtime.start()
    except UserError:
        if not _is_proven(home):
            raise
        _proof(home).unlink(missing_ok=True)
        runtime = await asyncio.to_thread(opened, home, level)
        await runtime.start()
    return runtime


def _running_level(home: Path) -> Level | None:
    """That of the pods which an earlier engine left, None when there are none."""
    try:
        found = Connection(holder_directory(home), Level.L0).ask_now({"op": "hello"}, HELLO_SECONDS)
        return Level(found["level"])
    except ArgosyError:
        return None


def _best_level_of(home: Path, trial: Trial) -> Level:
    """The best level, tried once: a machine that could do everything can still do it as long as nothing has changed. One
    that could not is tried at every start, for somebody may have mended it.
    """
    if _is_proven(home):
        return Level.L2
    level, _ = trial()
    if level is Level.L2:
        _proof(home).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _proof(home).write_text(_circumstances())
    return level


def _is_proven(home: Path) -> bool:
    """Whether everything worked at a trial under the same circumstances."""
    try:
        return _proof(home).read_text() == _circumstances()
    except OSError:
        return False


def _proof(home: Path) -> Path:
    return home / "run" / "proven-level"


def _circumstances() -> str:
    """What the outcome of a trial depends on: this boot's kernel and its settings, who asks and from within what."""
    status = Path("/proc/self/status").read_text().splitlines()
    confined = [line for line in status if line.startswith(("CapEff", "CapBnd", "NoNewPrivs", "Seccomp:"))]
    settings = [path.read_text().strip() if path.exists() else "" for path in map(Path, holder_trial.SETTINGS_FILES)]
    namespaces = [str(Path(f"/proc/self/ns/{name}").readlink()) for name in ("user", "mnt", "net")]
    parts = [argosy.__version__, processes.boot_id(), str(os.geteuid()), *namespaces, *confined, *settings]
    return "\n".join(parts)
