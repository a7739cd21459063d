"""The runtime of this machine: `spec.Runtime` at every level, through the holder.

The node agent calls it; `probe.open_runtime` makes it. It owns no process itself: the holder and the shims live on when
the engine dies, and the next engine finds them by `<home>/run` and by the state files in the pods' directories.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from argosy.engine.node.runtime import executing, limits, orders, pauses, runs
from argosy.engine.node.runtime.cleaning import Cleaner, remake, remove_tree
from argosy.engine.node.runtime.compiling import small_shim
from argosy.engine.node.runtime.connection import Connection, HolderGone, HolderRefused
from argosy.engine.node.runtime.holder import processes, rootfs
from argosy.engine.node.runtime.holder.order import StartOrder
from argosy.engine.node.runtime.keeper import Keeper, Sandbox
from argosy.engine.node.runtime.network import HolderNetwork, HostNetwork
from argosy.engine.node.runtime.spec import ContainerSpec, ExecResult, Exit, Level, PodSpec, Run, Usage
from argosy.errors import NotFound
from argosy.meta.json import Obj

KILL_SECONDS = 2.0
"""How long a killed command's shim may take to write down its end before it is killed too."""

GROUP_SECONDS = 1.0
"""How long after a run's end the last of its processes has surely left its control groups."""

DESCRIPTORS_MAX = 1 << 20

MANY = 16
"""With so many runs it is worth while to have a small supervisor compiled for those that come."""


class PodRecord(msgspec.Struct):
    """A pod's sandbox as `<home>/run/pods/<uid>.json` keeps it for the next engine."""

    uid: str
    directory: str
    hostname: str
    address: str
    host_network: bool = False
    share_processes: bool = False
    tmpfs: list[tuple[str, int]] = []
    """Volumes in memory, and their bytes."""
    sysctls: list[tuple[str, str]] = []

    def order(self) -> Obj:
        """How the holder is to make it."""
        return {
            "op": "pod",
            "uid": self.uid,
            "hostname": self.hostname,
            "address": self.address,
            "tmpfs": self.tmpfs,
            "sysctls": self.sysctls,
        }


class LocalRuntime:
    """Processes on this machine, set apart as strongly as `level` says."""

    def __init__(self, home: Path, level: Level, enforcer: limits.Enforcer) -> None:
        self.level = level
        self._own_pids = level is not Level.L0 and rootfs.own_pid_max()
        self.enforces = enforcer.enforces | ({"pids"} if self._own_pids else frozenset())
        self._enforcer = enforcer
        self._run_directory = home / "run"
        self._index = self._run_directory / "pods"
        main = Connection(holder_directory(home), level)
        on_host = Connection(self._run_directory / "holder-host", Level.L1)
        self.network: HolderNetwork | HostNetwork = HolderNetwork(main) if level is Level.L2 else HostNetwork(level)
        self._boot = processes.boot_id()
        self._pods: dict[str, PodRecord] = {}
        self._leaving: set[str] = set()
        """Pods that are being removed: no new holder needs to have them."""
        self._runs: dict[str, runs.Followed] = {}
        self._main = Keeper(main, lambda: self._sandboxes(self._main), self.network.restore)
        self._on_host = Keeper(on_host, lambda: self._sandboxes(self._on_host), lambda: None)
        self._cleaner = Cleaner()
        self._pauses = pauses.Pauses()
        self._shim = ""
        self._compiling: asyncio.Task[None] | None = None

    # -- life

    async def start(self) -> None:
        """Find the holder, or start one; read what earlier engines left. Raises UserError."""
        self._run_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._index.mkdir(exist_ok=True)
        _raise_descriptor_limit()
        self.recall()
        self._enforcer.keep([run_id for run_id, followed in self._runs.items() if followed.alive])
        asyncio.get_running_loop().call_later(GROUP_SECONDS, self._enforcer.retry)
        await self._main.ensure()

    async def shrink(self) -> None:
        """Have supervisors that start from now on be small ones, where this machine can compile them."""
        self._shim = await asyncio.to_thread(small_shim, self._run_directory.parent / "shim")

    def recall(self) -> None:
        """Read what earlier engines left, and nothing else: enough to end it with `close`."""
        for path in self._index.glob("*.json"):
            try:
                record = msgspec.json.decode(path.read_bytes(), type=PodRecord)
            except OSError:
                continue
            except msgspec.DecodeError:
                path.unlink()  # an engine died while it wrote this: nothing of the pod had been started yet
                continue
            self._pods[record.uid] = record
        for record in self._pods.values():
            for path in (Path(record.directory) / "runtime").glob("*.json"):
                state = runs.read_state(path)
                if state is not None and state.id not in self._runs:
                    self._follow(runs.Followed(state, path, self._boot))

    async def close(self, *, kill: bool) -> None:
        """Let go of everything; with `kill` end it first."""
        if kill:
            await asyncio.gather(*(self.remove_pod(uid) for uid in list(self._pods)))
            await asyncio.to_thread(shutil.rmtree, self._index, ignore_errors=True)
            await asyncio.to_thread(self._enforcer.close)
        for keeper in (self._main, self._on_host):
            await keeper.close(kill=kill)
        await self._cleaner.close()
        if self._compiling is not None:
            await self._compiling
        for followed in self._runs.values():
            followed.let_go()
        self.network.close()

    async def adopt(self) -> Sequence[Run]:
        """Every run that is known, running or ended."""
        return [followed.run() for followed in self._runs.values()]

    # -- pods

    async def create_pod(self, spec: PodSpec) -> None:
        """Make the sandbox. Raises HolderRefused with the kernel's reason."""
        orders.runtime_directory(spec).mkdir(parents=True, exist_ok=True, mode=0o700)
        shares = spec.share_processes and self.level is not Level.L0
        record = PodRecord(
            spec.uid,
            str(spec.directory),
            spec.hostname,
            spec.address,
            spec.host_network,
            shares,
            [(str(path), size) for path, size in spec.memory_volumes],
            list(spec.sysctls),
        )
        path = self._index / f"{spec.uid}.json"
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(record))  # first: whoever comes after a crash must know what to remove
        part.replace(path)
        self._pods[spec.uid] = record
        keeper = self._keeper(record)
        await keeper.ask(record.order())
        if shares:
            await self._pauses.get(keeper, spec.uid, orders.runtime_directory(spec))

    async def remove_pod(self, uid: str) -> None:
        """End its runs, drop its namespaces, delete its runtime directory."""
        record = self._pods.get(uid)
        if record is None:
            return
        mine = [followed for followed in self._runs.values() if followed.state.pod == uid]
        await asyncio.gather(*(self._kill(followed) for followed in mine))
        self._leaving.add(uid)
        await pauses.end(Path(record.directory) / "runtime")
        with contextlib.suppress(HolderGone):
            request = {"op": "unpod", "uid": uid, "tmpfs": [path for path, _ in record.tmpfs]}
            await self._keeper(record).connection.ask(request)
        for followed in mine:
            await self._cleaner.settled(followed.state.id)
        await asyncio.to_thread(remove_tree, Path(record.directory) / "runtime")
        for followed in mine:
            self._leave_groups(followed)
            self._runs.pop(followed.state.id, None)
        (self._index / f"{uid}.json").unlink(missing_ok=True)
        self._pods.pop(uid, None)
        self._leaving.discard(uid)

    # -- containers

    async def start_container(self, spec: ContainerSpec) -> Run:
        """Start a run; an attempt that exists already is returned as it is. Raises HolderRefused, HolderGone."""
        known = self._runs.get(spec.id)
        if known is not None:
            return known.run()
        record = self._pods.get(spec.pod.uid)
        if record is None:
            raise NotFound(f"pod {spec.pod.uid} has no sandbox; create it first")
        level = Level.L1 if record.host_network and self.level is Level.L2 else self.level
        _, root, termination = orders.run_paths(spec)
        try:
            root.mkdir()
        except FileExistsError:  # an engine died between making it and the start
            await asyncio.to_thread(remake, root)
        termination.touch(mode=0o666)
        termination.chmod(0o666)
        if spec.stdin and not (stdin := orders.stdin_path(spec)).exists():
            os.mkfifo(stdin, 0o600)
        by_namespace = self._own_pids and not spec.pod.host_processes and (spec.limits.pids or 0) >= rootfs.PIDS_MIN
        grouped = replace(spec.limits, pids=None) if by_namespace else spec.limits
        entries, oom = self._enforcer.create(spec.id, grouped)
        watch = 0 if "memory" in self.enforces else spec.limits.memory_bytes or 0
        cpus = [] if "cpu" in self.enforces else limits.choose_cpus(spec.id, spec.limits.cpu_millis)
        how = orders.confinement(spec, level, entries, cpus)
        order = orders.start_order(spec, level, how, oom, watch)
        order["shim"] = self._shim
        order["join"], order["join_time"] = await self._neighbours(record, spec)
        followed = await self._order(record, order)
        self._follow(followed)
        if len(self._runs) >= MANY and self._compiling is None and self.level is not Level.L0:
            self._compiling = asyncio.create_task(self.shrink())
        self._forget(f"{spec.pod.uid}/{spec.name}/{spec.attempt - 2}")
        return followed.run()

    async def _neighbours(self, record: PodRecord, spec: ContainerSpec) -> pauses.Who:
        """One of the processes that the run is to live among; nobody for a run that has its own, or the host's."""
        if self.level is Level.L0 or spec.pod.host_processes:
            return pauses.NOBODY
        if record.share_processes:
            return await self._pauses.get(self._keeper(record), record.uid, orders.runtime_directory(spec.pod))
        if not spec.joins:
            return pauses.NOBODY
        for followed in self._runs.values():
            state = followed.state
            if (state.pod, state.container) == (record.uid, spec.joins) and followed.alive and not state.mounts:
                return state.pid, state.start_time
        raise NotFound(f"container {spec.joins} is not running, so nobody can live among its processes; try again")

    async def _order(self, record: PodRecord, order: StartOrder) -> runs.Followed:
        """Have the holder start a run, whatever becomes of the holder meanwhile. Raises HolderRefused, HolderGone."""
        keeper = self._keeper(record)
        root, state_path = Path(order["root"]), Path(order["state"])
        while True:
            generation = keeper.generation
            try:
                answer = await keeper.ask({**order})
            except HolderRefused:
                # Perhaps this holder is new and could not have the pod's sandbox: a second refusal counts.
                await keeper.ask(self._sandboxes(keeper)[record.uid].request(record.uid))
                await asyncio.to_thread(remake, root)
                answer = await keeper.ask({**order})
            followed = runs.Followed(runs.state_of(answer), state_path, self._boot)
            if keeper.generation == generation:
                return followed
            # The holder died while its child was at work: the next one may have made the pod's namespaces anew.
            followed.kill()
            await asyncio.to_thread(followed.gone)
            state_path.unlink(missing_ok=True)
            await asyncio.to_thread(remake, root)

    async def wait(self, run_id: str) -> Exit:
        """How it ended, once it has. Raises NotFound."""
        followed = self._followed(run_id)
        await followed.ended.wait()
        assert followed.exit is not None
        return followed.exit

    async def signal(self, run_id: str, number: int) -> None:
        """Signal the command. Raises NotFound."""
        followed = self._followed(run_id)
        if number == signal.SIGKILL:
            await self._kill(followed)
        else:
            followed.signal(number)

    async def exec(self, run_id: str, argv: Sequence[str], *, timeout_seconds: float | None = None) -> ExecResult:
        """Run a command in the container to its end. Raises NotFound, HolderRefused."""
        state, connection = self._running(run_id)
        return await executing.collect(connection, state, argv, timeout_seconds)

    async def exec_stream(
        self, run_id: str, argv: Sequence[str], *, tty: bool = False, stdin: bool = False
    ) -> executing.ExecStream:
        """Start a command in the container with its ends open, for `kubectl exec`. Raises NotFound, HolderRefused."""
        state, connection = self._running(run_id)
        return await executing.stream(connection, state, argv, tty=tty, stdin=stdin)

    def open_stdin(self, run_id: str) -> int:
        """A descriptor that feeds the standard input of a container that has one, for `kubectl attach`.

        Non-blocking; the caller closes it. Raises NotFound.
        """
        followed = self._followed(run_id)
        try:
            return os.open(followed.path.with_suffix(".stdin"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise NotFound(f"container {run_id} has no standard input open") from None

    def resize(self, run_id: str, rows: int, columns: int) -> None:
        """Tell a container's terminal its size; nothing happens without one. Raises NotFound."""
        executing.resize_terminal(self._followed(run_id).state.command_pid, rows, columns)

    def end_stdin(self, run_id: str) -> None:
        """Let a container read the end of its standard input once nobody feeds it any more. Raises NotFound."""
        followed = self._followed(run_id)
        if followed.path.with_suffix(".stdin").exists():
            followed.end_stdin()

    async def pod_socket(self, uid: str, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM) -> socket.socket:
        """A non-blocking socket inside the pod's own network, for `kubectl port-forward`. Raises NotFound, OSError."""
        record = self._pods.get(uid)
        if record is None:
            raise NotFound(f"pod {uid} has no sandbox")
        if self.level is not Level.L2 or record.host_network:
            return self.network.socket(family, type) if self.level is not Level.L2 else _host_socket(family, type)
        request = {"op": "pod-socket", "pod": uid, "family": int(family), "type": int(type)}
        with contextlib.closing(await self._main.open(request)) as line:
            _, descriptors = await line.answer()
        made = socket.socket(family, type, fileno=descriptors[0])
        made.setblocking(False)
        return made

    async def usage(self, run_id: str) -> Usage | None:
        """CPU seconds and bytes used so far and now; None when it has ended. Raises NotFound."""
        followed = self._followed(run_id)
        if not followed.alive:
            return None
        measured = self._enforcer.usage(run_id)
        state, apart = followed.state, self.level != "L0"
        return measured or limits.measure(state.pid, state.command_pid, own_pids=apart, mounts=state.mounts)

    # -- inside

    def _followed(self, run_id: str) -> runs.Followed:
        followed = self._runs.get(run_id)
        if followed is None:
            raise NotFound(f"container {run_id} is not known")
        return followed

    def _running(self, run_id: str) -> tuple[runs.StateFile, Connection]:
        followed = self._followed(run_id)
        if not followed.alive:
            raise NotFound(f"container {run_id} is not running")
        return followed.state, self._keeper(self._pods[followed.state.pod]).connection

    def _follow(self, followed: runs.Followed) -> None:
        self._runs[followed.state.id] = followed
        followed.follow(self._ended)

    def _ended(self, followed: runs.Followed) -> None:
        """The writable layer of an ended run is of no use to anyone; nor is what outlived a killed shim."""
        if followed.state.mounts and not followed.state.finished_at and processes.in_mounts(followed.state.mounts):
            asyncio.get_running_loop().run_in_executor(None, processes.end_in_mounts, followed.state.mounts)
        self._leave_groups(followed)
        self._cleaner.soon(followed.state.id, followed.path.with_suffix(".root"))

    def _forget(self, run_id: str) -> None:
        """Only a container's present run and the one before are of interest: one that restarts for ever must not pile up."""
        followed = self._runs.get(run_id)
        if followed is None or followed.alive:
            return
        for suffix in (".json", ".termination", ".stdin"):
            followed.path.with_suffix(suffix).unlink(missing_ok=True)
        del self._runs[run_id]

    def _leave_groups(self, followed: runs.Followed) -> None:
        if followed.state.confinement.get("cgroups"):
            self._enforcer.remove(followed.state.id)
            # A group whose last process is still dying stays; it must not stay until the next run happens to end.
            asyncio.get_running_loop().call_later(GROUP_SECONDS, self._enforcer.retry)

    async def _kill(self, followed: runs.Followed) -> None:
        """Kill the command, so that the shim can still write down the end; failing that, the shim."""
        if not followed.alive:
            return
        followed.signal(signal.SIGKILL)
        try:
            await asyncio.wait_for(followed.ended.wait(), KILL_SECONDS)
        except TimeoutError:
            followed.kill()
            await followed.ended.wait()

    def _keeper(self, record: PodRecord) -> Keeper:
        return self._on_host if record.host_network and self.level is Level.L2 else self._main

    def _sandboxes(self, keeper: Keeper) -> dict[str, Sandbox]:
        pids = {followed.state.pod: followed.state.pid for followed in self._runs.values() if followed.alive}
        return {
            uid: Sandbox(record.order(), pids.get(uid, 0))
            for uid, record in self._pods.items()
            if self._keeper(record) is keeper and uid not in self._leaving
        }


def holder_directory(home: Path) -> Path:
    """Where the holder of a home has its socket, its log and its skeleton."""
    return home / "run" / "holder"


def _raise_descriptor_limit() -> None:
    """Two descriptors a run, and many sockets: the customary 1024 do not go far."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, DESCRIPTORS_MAX) if hard != resource.RLIM_INFINITY else DESCRIPTORS_MAX
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _host_socket(family: int, type: int) -> socket.socket:
    made = socket.socket(family, type)
    made.setblocking(False)
    return made
