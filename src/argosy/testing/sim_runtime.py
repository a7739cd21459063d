"""A runtime without processes: a container is a script of events on the loop's own time.

For tests of the node agent, of operators and of whole clusters on virtual time (`simloop`). What runs is decided by a
function from the container's spec to its `Life`; everything else (exit codes, signals, restarts that find nothing, an
engine that comes back and adopts) behaves as the real runtime does.
"""

from __future__ import annotations

import asyncio
import signal as signals
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from argosy.clock import Clock, rfc3339
from argosy.engine.node.runtime.spec import (
    ContainerSpec,
    ExecResult,
    Exit,
    Level,
    PodSpec,
    RulesRefused,
    Run,
    Usage,
)
from argosy.errors import NotFound


@dataclass(frozen=True, slots=True)
class Life:
    """What a simulated container does. Times in seconds of the loop."""

    seconds: float | None = None
    """How long it runs by itself; None: until it is told to end."""
    code: int = 0
    reason: str = ""
    """`OOMKilled` or `StartError`."""
    message: str = ""
    dies_in: float | None = 0.0
    """How long after its stop signal it ends, with 143; None: only SIGKILL ends it."""
    says: Sequence[tuple[float, str]] = ()
    """(seconds after the start, line): its log."""
    termination: str = ""
    """What it writes to its termination message file."""
    ran: Callable[[Sequence[str]], ExecResult] = field(default=lambda argv: ExecResult(0, b""))
    """Answers what is executed in it."""


Script = Callable[[ContainerSpec], Life]


def forever(_: ContainerSpec) -> Life:
    """Runs until it is ended."""
    return Life()


class SimNetwork:
    """The host's own network: simulated containers listen to nothing."""

    def __init__(self, level: Level) -> None:
        self.level = level

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> socket.socket:
        """A real socket of this machine."""
        made = socket.socket(family, type)
        made.setblocking(False)
        return made

    def add_local_address(self, address: str) -> None:
        """Nothing to do."""

    async def load_rules(self, script: str) -> None:
        """Nothing is enforced in pretence."""
        raise RulesRefused("a simulated network takes no rules")

    async def forget_flows(self, services: Mapping[tuple[str, int], Sequence[tuple[str, int]]]) -> None:
        """Nothing is led anywhere."""


@dataclass(slots=True)
class _Container:
    run: Run
    life: Life
    spec: ContainerSpec
    ended: asyncio.Event
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class SimRuntime:
    """Implements `runtime.spec.Runtime`. `pods` and `signals` tell a test what the agent asked for."""

    def __init__(
        self, clock: Clock, script: Script = forever, *, level: Level = Level.L1, start_seconds: float = 0.0
    ) -> None:
        self.level = level
        self.network = SimNetwork(level)
        self.enforces: frozenset[str] = frozenset({"memory", "cpu", "pids"})
        self.pods: dict[str, PodSpec] = {}
        self.specs: dict[str, ContainerSpec] = {}
        """Every run that was started, by id."""
        self.signals: list[tuple[str, int]] = []
        self._clock = clock
        self._script = script
        self._start_seconds = start_seconds
        self._containers: dict[str, _Container] = {}

    async def start(self) -> None:
        """Nothing to bring up."""

    async def close(self, *, kill: bool) -> None:
        """Let go; with `kill` end everything."""
        if kill:
            for uid in list(self.pods):
                await self.remove_pod(uid)

    async def adopt(self) -> Sequence[Run]:
        """Every run that is known."""
        return [container.run for container in self._containers.values()]

    async def create_pod(self, spec: PodSpec) -> None:
        """Remember the sandbox."""
        (spec.directory / "runtime").mkdir(parents=True, exist_ok=True)
        self.pods[spec.uid] = spec

    async def remove_pod(self, uid: str) -> None:
        """End its runs and forget them."""
        for run_id, container in list(self._containers.items()):
            if container.run.pod_uid == uid:
                self._end(run_id, 137, int(signals.SIGKILL))
                del self._containers[run_id]
        self.pods.pop(uid, None)

    async def start_container(self, spec: ContainerSpec) -> Run:
        """Begin a life."""
        if spec.pod.uid not in self.pods:
            raise NotFound(f"pod {spec.pod.uid} has no sandbox; create it first")
        if self._start_seconds:
            await asyncio.sleep(self._start_seconds)
        life = self._script(spec)
        run = Run(spec.id, spec.pod.uid, spec.name, spec.attempt, 1, self._now())
        container = _Container(run, life, spec, asyncio.Event())
        self._containers[spec.id] = container
        self.specs[spec.id] = spec
        loop = asyncio.get_running_loop()
        spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        spec.log_path.touch()
        for after, line in life.says:
            container.timers.append(loop.call_later(after, self._write, spec, line))
        if life.reason == "StartError":
            self._end(spec.id, 127, 0)
        elif life.seconds is not None:
            container.timers.append(loop.call_later(life.seconds, self._end, spec.id, life.code, 0))
        return container.run

    async def wait(self, run_id: str) -> Exit:
        """Wait for the end of a life."""
        container = self._known(run_id)
        await container.ended.wait()
        assert container.run.exit is not None, "what has ended has an exit"
        return container.run.exit

    async def signal(self, run_id: str, number: int) -> None:
        """SIGKILL ends it now, any other signal as its life says."""
        container = self._known(run_id)
        self.signals.append((run_id, number))
        if container.run.exit is not None:
            return
        if number == signals.SIGKILL:
            self._end(run_id, 137, number)
        elif container.life.dies_in is not None:
            after = container.life.dies_in
            container.timers.append(asyncio.get_running_loop().call_later(after, self._end, run_id, 143, number))

    async def exec(self, run_id: str, argv: Sequence[str], *, timeout_seconds: float | None = None) -> ExecResult:
        """What the life answers."""
        container = self._known(run_id)
        if container.run.exit is not None:
            raise NotFound(f"container {run_id} is not running")
        return container.life.ran(argv)

    async def usage(self, run_id: str) -> Usage | None:
        """A tenth of a core and 10 MiB."""
        container = self._known(run_id)
        if container.run.exit is not None:
            return None
        return Usage(0.1 * (self._now() - container.run.started_at), 10 << 20)

    def kill(self, run_id: str, code: int = 137, reason: str = "") -> None:
        """A test ends a run from outside."""
        self._known(run_id).life = replace(self._known(run_id).life, reason=reason)
        self._end(run_id, code, 9 if code == 137 else 0)

    def _known(self, run_id: str) -> _Container:
        if run_id not in self._containers:
            raise NotFound(f"container {run_id} is not known")
        return self._containers[run_id]

    def _end(self, run_id: str, code: int, signal: int) -> None:
        container = self._containers.get(run_id)
        if container is None or container.run.exit is not None:
            return
        for timer in container.timers:
            timer.cancel()
        life, started_at = container.life, container.run.started_at
        if life.termination:
            runtime = container.spec.pod.directory / "runtime"
            path = runtime / f"{container.run.container}-{container.run.attempt}.termination"
            path.write_text(life.termination)
        end = Exit(code, signal, started_at, self._now(), life.reason, life.message)
        container.run = replace(container.run, exit=end)
        container.ended.set()

    def _write(self, spec: ContainerSpec, line: str) -> None:
        moment = rfc3339(self._clock.now()).replace("Z", ".000000000Z")
        with spec.log_path.open("a") as log:
            log.write(f"{moment} stdout F {line}\n")

    def _now(self) -> float:
        return self._clock.now().timestamp()
