"""Drives one pod: feeds its machine with what happens and carries out what the machine says.

`post` is synchronous and cheap; whatever takes time (volumes, images, processes, probes) is a task of its own whose end is
the next event. The decisions are all in `machine`; here is only how things are done. The agent owns the workers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from argosy import kinds
from argosy.clock import parse_time
from argosy.engine.node import accelerators, actions, demands, launch, machine, status, storage, volumes
from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.logs import last_words
from argosy.engine.node.plan import Role, plan_of
from argosy.engine.node.preparation import RETRY_FIRST_SECONDS, RETRY_LAST_SECONDS, Preparation
from argosy.engine.node.runtime.spec import Exit, Image, Level, Run
from argosy.engine.node.shared import Shared
from argosy.engine.node.sources import Missing, Reference
from argosy.engine.node.state import (
    Abandon,
    DeleteRequested,
    Evicted,
    Exited,
    Forget,
    HookDone,
    Instruction,
    PodEvent,
    PodState,
    Prepare,
    Prepared,
    Probed,
    Rejected,
    Remove,
    Removed,
    RetryNow,
    RunHook,
    RunProbe,
    Say,
    Signal,
    Start,
    Started,
    StartFailed,
    Termination,
    Tick,
)
from argosy.errors import ApiError, ArgosyError, NotFound
from argosy.intent import Reason
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, namespace_of, uid_of, version_of

_log = logging.getLogger(__name__)

_MESSAGE_MAX = 4096
_NAMES_SECONDS = 20.0
_NOT_FOUND = "executable file not found"


class PodWorker:
    """One pod of this machine."""

    def __init__(self, shared: Shared, pod: Obj, state: PodState | None = None) -> None:
        self.shared = shared
        self.pod = pod
        self.uid = uid_of(pod)
        self.state = state or machine.begin(plan_of(pod), shared.clock.now().timestamp())
        self.deleted = False
        """The API object is gone."""
        self._ground = Preparation(shared, pod, self.state.address)
        self._directory = self._ground.directory
        self._tasks: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.Task[None] | None = None
        self._storage: asyncio.Task[None] | None = None
        self._pulling: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._guests = len(self.state.of_role(Role.EPHEMERAL))
        self._stops: list[Callable[[], None]] = []
        self._removed = asyncio.Event()

    # -- what comes in

    def post(self, event: PodEvent) -> None:
        """Something has happened."""
        now = self.shared.clock.now().timestamp()
        before = self.state
        self.state, instructions = machine.handle(before, event, now)
        for instruction in instructions:
            self._carry_out(instruction)
        self._arm(now)
        if self.state is not before and not self.deleted:
            patience = status.patience(before, self.state, flood=self.shared.turns.locked())
            self.shared.statuses.changed(self, patience)

    def begin(self) -> None:
        """Look at the pod for the first time."""
        self.post(Tick())
        self.update(self.pod)

    def resume(self, state: PodState, running: Sequence[Run]) -> None:
        """Go on where an earlier engine left the pod, with its runs that still run."""
        self.state = state
        self._ground.address = state.address
        for run in running:
            self._spawn(self._wait(run.container, run.attempt, run.id))

    def update(self, pod: Obj) -> None:
        """The API object has changed."""
        if int(version_of(pod) or 0) < int(version_of(self.pod) or 0):
            return  # the echo of something older than our own last write
        self.pod = pod
        self._ground.follow(pod)
        meta = pod["metadata"]
        guests = len(pod["spec"].get("ephemeralContainers") or ())
        if int(meta.get("generation") or 0) != self.state.plan.generation or guests != self._guests:
            self._guests = guests
            self.state = machine.joined(self.state, plan_of(pod))
            self.shared.statuses.changed(self, status.ANNOUNCEMENT_SECONDS)
            self.post(Tick())
        if pod["spec"].get("readinessGates"):  # others write the conditions that they are about
            self.shared.statuses.changed(self, status.AT_ONCE)
        if meta.get("deletionTimestamp") and not self.state.deleting:
            self.post(DeleteRequested(self._grace_left(meta)))
        elif meta.get("deletionTimestamp"):
            self._hasten(meta)

    @property
    def may_be_evicted(self) -> bool:
        """Whether there is anything to be ended."""
        return self.state.prepared and not self.state.finished and self.state.failure is None

    async def on_disk(self) -> int:
        """Bytes that the pod has written to the node's disk."""
        mounted = self._ground.mounted
        paths = mounted.paths if mounted is not None else {}
        return (await asyncio.to_thread(storage.measure, self.pod, self._directory, paths)).on_disk

    async def evict(self, why: str) -> None:
        """The node is short and must get rid of the pod; returns when what it held is given back."""
        self.post(Evicted("Evicted", why, disruption=True))
        await self._removed.wait()

    def vanish(self) -> None:
        """The API object is gone, whoever removed it: end what runs and leave nothing."""
        self.deleted = True
        if self.state.forgotten:
            self._let_go()
        else:
            self.post(DeleteRequested(machine.KILL_MIN_SECONDS))

    async def close(self) -> None:
        """Let go of the pod without ending it."""
        if self._timer is not None:
            self._timer.cancel()
        self._ground.close()
        for stop in self._stops:
            stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    # -- what statuses asks (a Reporter)

    def status(self) -> Obj | None:
        """The status to be reported; None once a final phase has been, or the object is gone."""
        if self.deleted or dig(self.pod, "status", "phase") in {"Succeeded", "Failed"}:
            return None
        now = self.shared.clock.now().timestamp()
        place = self.shared.settings.place_of(str(self.pod["spec"].get("nodeName")))
        return status.render(self.state, self.pod, status.Where(place.internal), now)

    @property
    def address(self) -> str:
        """The pod's IP as soon as it has one here."""
        return self._ground.address

    def write_hosts(self) -> None:
        """The cluster's names have changed."""
        if self.state.prepared and not self.state.finished:
            self._ground.write_hosts()

    def written(self, pod: Obj) -> None:
        """The server has taken a status, or shows a newer object."""
        self.pod = pod
        self._ground.follow(pod)

    # -- carrying out

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case Say(reason):
                self._say(reason)
            case Prepare():
                self._preparing = self._spawn(self._prepare())
            case Start(container, attempt):
                task = self._spawn(self._start(container, attempt))
                self._pulling[container] = task
            case Abandon(container, attempt):
                self._abandon(container, attempt)
            case Signal(container, attempt, number):
                self._spawn(self._signal(container, attempt, number))
            case RunProbe():
                self._spawn(self._probe(instruction))
            case RunHook():
                self._spawn(self._hook(instruction))
            case Remove():
                self._spawn(self._remove())
            case Forget():
                self._spawn(self._forget())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("pod %s: %s", key_of(self.pod), task.exception(), exc_info=task.exception())

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake = machine.next_wake(self.state, now)
        if wake is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(wake - now, 0.001), self.post, Tick())

    def _say(self, reason: Reason) -> None:
        self.shared.events.emit(kinds.POD, self.pod, reason)

    def _grace_left(self, meta: Obj) -> float:
        return max(0.0, parse_time(meta["deletionTimestamp"]).timestamp() - self.shared.clock.now().timestamp())

    def _hasten(self, meta: Obj) -> None:
        stop_by = parse_time(meta["deletionTimestamp"]).timestamp()
        if self.state.stop_by is not None and stop_by < self.state.stop_by - 1.0:
            self.post(DeleteRequested(self._grace_left(meta)))

    async def _prepare(self) -> None:
        refused = demands.isolation_refusal(self.pod, self.shared.runtime.level)
        if refused is not None:
            self.post(Rejected(*refused))
        else:
            for told in demands.shortfalls(self.pod, self.shared.abilities):
                self._say(Reason("NotAsDemanded", told, warning=True))
            self.post(Prepared(await self._ground.prepare()))
            limits = storage.limits_of(self.pod)
            if limits is not None:
                self._storage = self._spawn(self._watch_storage(limits))

    async def _watch_storage(self, limits: storage.StorageLimits) -> None:
        mounted = self._ground.mounted
        assert mounted is not None, "what a pod writes is watched when it is prepared"
        exceeded = await storage.watch(self.pod, limits, self._directory, mounted.paths)
        self.post(Evicted("Evicted", exceeded))

    # -- containers

    async def _start(self, name: str, attempt: int) -> None:
        try:
            container = launch.container_of(self.pod, name)
            if unmet := demands.refusal(self.pod, self.shared.abilities):
                raise Missing(unmet)
            if any(c.get("name") == name for c in self.pod["spec"].get("ephemeralContainers") or ()):
                for told in demands.container_shortfalls(self.pod, container, self.shared.abilities):
                    self._say(Reason("NotAsDemanded", told, warning=True))
            try:
                image = await self.shared.puller.image(self.pod, container, self._say)
            finally:
                self._pulling.pop(name, None)
            run = await self._launch(container, attempt, image)
        except ImageError as error:
            self.post(StartFailed(name, attempt, error.reason, error.message))
        except Missing as missing:
            self._retry_when_there(name, missing)
            self.post(StartFailed(name, attempt, "CreateContainerConfigError", str(missing)))
        except (ArgosyError, OSError) as error:
            self.post(StartFailed(name, attempt, "RunContainerError", str(error)))
        else:
            if run.exit is None:
                self.post(Started(name, attempt, run.started_at, run.id, image.digest))
            await self._wait(name, attempt, run.id)

    async def _launch(self, container: Obj, attempt: int, image: Image) -> Run:
        mounted = self._ground.mounted
        assert mounted is not None, "a container starts after its pod is prepared"
        shared, pod = self.shared, self.pod
        names = await self._names_for(container) if shared.runtime.level is Level.L0 else {}
        situation = launch.Situation(self._ground.sources(), shared.runtime.level, names)
        try:
            env = launch.env_of(pod, container, image, situation)
        except Missing as missing:
            if missing.reference is None or not await shared.references.ask(missing.reference):
                raise
            env = launch.env_of(pod, container, image, situation)
        if self._ground.kubeconfig is not None:
            env.setdefault("KUBECONFIG", str(self._ground.kubeconfig))
        devices = self._devices(container)
        env |= devices.env
        spec = launch.container_spec(pod, container, attempt, image, self._ground.sandbox(), env)
        kept = self._ground.memory / "kept" if shared.runtime.level is Level.L0 else None
        found = volumes.mounts(container, mounted, env, kept=kept)
        spec = launch.with_mounts(spec, (*found, *devices.mounts), situation)
        self._forget_old_logs(str(container["name"]), attempt)
        async with shared.turns:
            return await shared.runtime.start_container(spec)

    def _devices(self, container: Obj) -> accelerators.Handed:
        """The accelerators of a container. Raises ArgosyError when too few are free."""
        known, count = self.shared.accelerators, accelerators.wanted(container)
        if not known.any:
            return accelerators.Handed()
        name = str(container["name"])
        given = known.give(str(self.pod["spec"].get("nodeName")), self.uid, name, count)
        if given:
            self._ground.remember_devices(name, [device.id for device in given])
        return accelerators.Handed(accelerators.environment(given), accelerators.mounts(given))

    async def _names_for(self, container: Obj) -> Mapping[str, str]:
        """The names that the container's environment is translated with, once those that it speaks of have addresses."""
        names = self.shared.names
        if names is None:
            return {}
        namespace = namespace_of(self.pod)
        texts = [str(entry.get("value") or "") for entry in container.get("env") or ()]
        texts += [str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ()))]
        missing = await names.settle(namespace, texts, _NAMES_SECONDS)
        if missing:
            message = (
                f"no address is known for {', '.join(missing)}; at isolation L0 names do not resolve later, so restart the "
                "pod when the Service has pods"
            )
            self._say(Reason("NameNotResolved", message, warning=True))
        return names.first(namespace)

    def _forget_old_logs(self, name: str, attempt: int) -> None:
        """Only the present run's log and the one before can be asked for."""
        if attempt >= 2:
            old = launch.log_path(self._directory, name, attempt - 2)
            old.unlink(missing_ok=True)
            old.with_name(old.name + ".1").unlink(missing_ok=True)

    def _retry_when_there(self, name: str, missing: Missing) -> None:
        if missing.reference is None:
            return
        stops: list[Callable[[], None]] = []

        def changed(_: Reference) -> None:
            for stop in stops:
                stop()
            self.post(RetryNow(name))

        stops.append(self.shared.references.watch(missing.reference, changed))
        self._stops.extend(stops)

    async def _wait(self, name: str, attempt: int, run_id: str) -> None:
        try:
            end = await self.shared.runtime.wait(run_id)
        except NotFound:
            now = self.shared.clock.now().timestamp()
            end = Exit(137, 9, now, now, status.UNKNOWN, "the run could not be found")
        self.post(Exited(name, attempt, self.termination(name, attempt, run_id, end)))

    def termination(self, name: str, attempt: int, run_id: str, end: Exit) -> Termination:
        """How a run ended, with the message that it left."""
        message = end.message
        if end.reason == "StartError" and _NOT_FOUND in message:
            advice = self.shared.puller.advice(self.pod, launch.container_of(self.pod, name))
            message = f"{message}; {advice}" if advice else message
        if not message:
            path = self._directory / "runtime" / f"{name}-{attempt}.termination"
            message = _head(path)
            container = launch.container_of(self.pod, name)
            if not message and end.code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
                message = last_words(launch.log_path(self._directory, name, attempt))
        code = 128 if end.reason == "StartError" else end.code
        return Termination(code, end.reason, message, end.signal, end.started_at, end.finished_at, run_id)

    def _abandon(self, name: str, attempt: int) -> None:
        task = self._pulling.pop(name, None)
        if task is not None:
            task.cancel()
            asyncio.get_running_loop().call_soon(self.post, StartFailed(name, attempt, "", "abandoned"))

    async def _signal(self, name: str, attempt: int, number: int) -> None:
        container = self.state.containers[name]
        if container.attempt == attempt and container.run_id:
            try:
                number = self.shared.puller.stop_signal(self.pod, launch.container_of(self.pod, name), number)
                await self.shared.runtime.signal(container.run_id, number)
            except ArgosyError as error:
                _log.info("signal %s to %s: %s", number, container.run_id, error)

    async def _probe(self, ask: RunProbe) -> None:
        plan = next(c for c in self.state.plan.containers if c.name == ask.container)
        probe = plan.probe(ask.kind)
        assert probe is not None, "only probes that exist are asked"
        outcome = await self._act(probe.action, ask.container, probe.timeout_seconds)
        self.post(Probed(ask.container, ask.attempt, ask.kind, outcome.ok, outcome.message))

    async def _hook(self, run: RunHook) -> None:
        plan = next(c for c in self.state.plan.containers if c.name == run.container)
        action = plan.pre_stop if run.hook == "preStop" else plan.post_start
        outcome = await self._act(action or {}, run.container, run.timeout_seconds)
        error = "" if outcome.ok else f"{run.hook[0].upper()}{run.hook[1:]}Hook failed: {outcome.message}"
        self.post(HookDone(run.container, run.attempt, run.hook, error))

    async def _act(self, action: Obj, name: str, timeout_seconds: float) -> actions.Outcome:
        run_id = self.state.containers[name].run_id
        target = actions.Target(run_id, self.state.address, launch.container_of(self.pod, name))
        return await actions.perform(action, target, self.shared.runtime, timeout_seconds)

    # -- the end

    async def _remove(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
            self._preparing = None
        pause = RETRY_FIRST_SECONDS
        while True:
            try:
                await self.shared.runtime.remove_pod(self.uid)
                break
            except (ArgosyError, OSError) as error:
                self._say(Reason("FailedKillPod", str(error), warning=True))
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_LAST_SECONDS)
        self._ground.close()
        if self._storage is not None:
            self._storage.cancel()
        # A pod's own volumes end with it; its log stays as long as the object does.
        self.shared.records.remove_volumes(self.uid)
        self.shared.addresses.take_back(self.uid)
        self.shared.accelerators.take_back(self.uid)
        self.post(Removed())
        self._removed.set()

    async def _forget(self) -> None:
        while not self.deleted:
            await self.shared.statuses.flush(self)
            try:
                await self.shared.client.delete(kinds.POD, key_of(self.pod), uid=self.uid, grace_seconds=0)
            except ApiError as error:
                if error.code in {404, 409}:
                    break
                _log.warning("cannot delete pod %s: %s", key_of(self.pod), error)
                await asyncio.sleep(1.0)
            except ConnectionError:
                await asyncio.sleep(1.0)
            else:
                return  # finalizers may hold the object; `vanish` comes when it is gone
        self._let_go()

    def _let_go(self) -> None:
        self._ground.close()
        for stop in self._stops:
            stop()
        self.shared.statuses.forget(self.uid)
        self.shared.gone(self.uid)


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MESSAGE_MAX).decode(errors="replace")
    except OSError:
        return ""
