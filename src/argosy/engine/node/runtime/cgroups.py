"""Control groups: limits that the kernel enforces, where this user may write them.

`probe.open_runtime` calls `find` once. Groups are made below the one the engine itself is in (v1: in each controller's
hierarchy; v2: beside it, since a v2 group with processes cannot have limited children), so whatever limits the engine
hold for its pods too. A run gets a group only for what it has a limit on: entering one costs milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

from argosy.engine.node.runtime.limits import Enforcer, NoEnforcer
from argosy.engine.node.runtime.spec import Limits, Usage

_CPU_PERIOD = 100_000
_REMOVE_SECONDS = 1.0

Settings = tuple[tuple[str, str], ...]
"""File name and value, in the order of writing."""


def v1_settings(limits: Limits) -> dict[str, Settings]:
    """What to write into which controller's group."""
    found: dict[str, Settings] = {}
    if limits.memory_bytes:
        value = str(limits.memory_bytes)
        found["memory"] = (("memory.limit_in_bytes", value), ("memory.memsw.limit_in_bytes", value))
    if limits.cpu_millis:
        quota = max(limits.cpu_millis * _CPU_PERIOD // 1000, 1000)
        found["cpu"] = (("cpu.cfs_period_us", str(_CPU_PERIOD)), ("cpu.cfs_quota_us", str(quota)))
    if limits.pids:
        found["pids"] = (("pids.max", str(limits.pids)),)
    return found


def v2_settings(limits: Limits) -> Settings:
    """What to write into the run's group."""
    found: list[tuple[str, str]] = []
    if limits.memory_bytes:
        found += [("memory.max", str(limits.memory_bytes)), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
    if limits.cpu_millis:
        quota = max(limits.cpu_millis * _CPU_PERIOD // 1000, 1000)
        found.append(("cpu.max", f"{quota} {_CPU_PERIOD}"))
    if limits.pids:
        found.append(("pids.max", str(limits.pids)))
    return tuple(found)


_OPTIONAL = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max", "memory.oom.group"})


class _Groups:
    """The directories made, and how they go away again."""

    def __init__(self) -> None:
        self._stale: list[Path] = []

    def _write(self, directory: Path, settings: Settings) -> None:
        directory.mkdir(exist_ok=True)
        for name, value in settings:
            try:
                (directory / name).write_text(value)
            except OSError:
                if name not in _OPTIONAL:
                    raise

    def _sweep(self, *more: Path) -> None:
        """Remove groups; one whose last process is still dying is tried again with the next."""
        left = []
        for path in (*self._stale, *more):
            try:
                path.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                left.append(path)
        self._stale = left

    def retry(self) -> None:
        """Try again what was left."""
        self._sweep()

    def _keep(self, run_ids: Iterable[str], *bases: Path) -> None:
        kept = {_file_name(run_id) for run_id in run_ids}
        for base in bases:
            with contextlib.suppress(OSError):
                self._sweep(*(path for path in base.iterdir() if path.is_dir() and path.name not in kept))

    def _finish(self, *bases: Path) -> None:
        deadline = time.monotonic() + _REMOVE_SECONDS
        for base in bases:
            with contextlib.suppress(OSError):
                self._sweep(*(path for path in base.iterdir() if path.is_dir()))
        self._sweep(*bases)
        while self._stale and time.monotonic() < deadline:
            time.sleep(0.01)
            self._sweep()


class GroupsV1(_Groups):
    """One directory per controller. `bases` maps memory, cpu, pids to where the engine's groups lie."""

    def __init__(self, bases: dict[str, Path]) -> None:
        super().__init__()
        self.bases = bases
        self.enforces = frozenset(bases)

    def create(self, run_id: str, limits: Limits) -> tuple[list[str], str]:
        """Raises OSError when the kernel refuses a limit."""
        entries = []
        oom = ""
        for controller, settings in v1_settings(limits).items():
            base = self.bases.get(controller)
            if base is None:
                continue
            directory = base / _file_name(run_id)
            self._write(directory, settings)
            entries.append(str(directory / "cgroup.procs"))
            if controller == "memory":
                oom = str(directory / "memory.oom_control")
        return entries, oom

    def remove(self, run_id: str) -> None:
        """Its processes have ended, or are about to."""
        self._sweep(*(base / _file_name(run_id) for base in self.bases.values()))

    def keep(self, run_ids: Iterable[str]) -> None:
        """Remove the groups of all other runs."""
        self._keep(run_ids, *self.bases.values())

    def usage(self, run_id: str) -> Usage | None:
        """Cpu time has a hierarchy of its own in v1, so /proc says it all."""
        return None

    def close(self) -> None:
        """Remove the engine's groups."""
        self._finish(*self.bases.values())


class GroupsV2(_Groups):
    """One directory per run in `base`, which has the controllers `enforces` enabled for its children."""

    def __init__(self, base: Path, enforces: frozenset[str]) -> None:
        super().__init__()
        self.base = base
        self.enforces = enforces

    def create(self, run_id: str, limits: Limits) -> tuple[list[str], str]:
        """Raises OSError when the kernel refuses a limit."""
        settings = tuple(s for s in v2_settings(limits) if s[0].partition(".")[0] in self.enforces)
        if not settings:
            return [], ""
        directory = self.base / _file_name(run_id)
        self._write(directory, settings)
        return [str(directory / "cgroup.procs")], str(directory / "memory.events") if limits.memory_bytes else ""

    def remove(self, run_id: str) -> None:
        """Its processes have ended, or are about to."""
        self._sweep(self.base / _file_name(run_id))

    def keep(self, run_ids: Iterable[str]) -> None:
        """Remove the groups of all other runs."""
        self._keep(run_ids, self.base)

    def usage(self, run_id: str) -> Usage | None:
        """Counted by the kernel when the run has a group with both."""
        directory = self.base / _file_name(run_id)
        try:
            memory = int((directory / "memory.current").read_text())
            lines = (directory / "cpu.stat").read_text().splitlines()
        except (OSError, ValueError):
            return None
        micros = next((int(line.split()[1]) for line in lines if line.startswith("usage_usec")), 0)
        return Usage(micros / 1e6, memory)

    def close(self) -> None:
        """Remove the engine's groups."""
        self._finish(self.base)


def find(home: Path, mountinfo: str | None = None, own: str | None = None) -> Enforcer:
    """The groups that this user may make for the engine of `home`; none is an answer too.

    The last two arguments are the texts of /proc/self/mountinfo and /proc/self/cgroup, given by tests.
    """
    mountinfo = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    own = Path("/proc/self/cgroup").read_text() if own is None else own
    name = f"argosy-{zlib.crc32(str(home.resolve()).encode()):08x}"
    hierarchies = _hierarchies(mountinfo, own)
    unified = hierarchies.pop("", None)
    bases = {}
    for controller in ("memory", "cpu", "pids"):
        group = hierarchies.get(controller)
        if group is not None and _make(group[1] / name):
            bases[controller] = group[1] / name
    if bases:
        return GroupsV1(bases)
    if unified is not None:
        root, group_path = unified
        candidates = [group_path.parent] if group_path != root else []
        if os.geteuid() == 0:
            candidates.append(root)
        for parent in candidates:
            enabled = _delegate(parent, parent / name)
            if enabled:
                return GroupsV2(parent / name, enabled)
    return NoEnforcer()


def _hierarchies(mountinfo: str, own: str) -> dict[str, tuple[Path, Path]]:
    """Per controller ("" for v2): the mount point, and the directory of the engine's own group in it."""
    mounts: dict[str, tuple[str, Path]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split()[:3]
        if kind == "cgroup2":
            mounts[""] = (root, Path(point))
        elif kind == "cgroup":
            for controller in options.split(","):
                mounts[controller] = (root, Path(point))
    found: dict[str, tuple[Path, Path]] = {}
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                mounted, at = mounts[controller]
                inner = path.removeprefix(mounted.rstrip("/")) if path.startswith(mounted.rstrip("/")) else "/"
                found[controller] = (at, at / inner.strip("/"))
    return found


def _make(directory: Path) -> bool:
    try:
        directory.mkdir(exist_ok=True)
    except OSError:
        return False
    return os.access(directory / "cgroup.procs", os.W_OK)


def _delegate(parent: Path, base: Path) -> frozenset[str]:
    """Make a v2 group whose children can be limited; what they can be limited in."""
    wanted = ("memory", "cpu", "pids")
    enabled = []
    try:
        base.mkdir(exist_ok=True)
    except OSError:
        return frozenset()
    for controller in wanted:
        try:
            if controller not in (base / "cgroup.controllers").read_text().split():
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")
            (base / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            continue
        enabled.append(controller)
    # A process may only be moved in by whoever may write the common ancestor's list of processes.
    if enabled and os.access(parent / "cgroup.procs", os.W_OK):
        return frozenset(enabled)
    with contextlib.suppress(OSError):
        base.rmdir()
    return frozenset()


def _file_name(run_id: str) -> str:
    return run_id.replace("/", "_")
