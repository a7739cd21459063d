"""The node agent: this machine as one or several Nodes of the cluster.

It presents the Node objects, follows the pods that are bound to them, gives each a `worker`, adopts what an earlier engine
left running, and is the API server's way to logs and sockets. Restarting it changes nothing for pods that run.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

from argosy import kinds
from argosy.client.client import Client
from argosy.clock import Clock
from argosy.control.cache import Change
from argosy.control.events import EventRecorder
from argosy.control.informer import Informer
from argosy.control.pool import Informers
from argosy.engine.apiserver.backends import LogOptions, Opener, PodUsage, Process, Streams
from argosy.engine.node import consoles, launch, pressure
from argosy.engine.node.addresses import Addresses
from argosy.engine.node.adoption import adopted
from argosy.engine.node.demands import Abilities
from argosy.engine.node.hardware import Room
from argosy.engine.node.images.builder import Images
from argosy.engine.node.logs import Reader, Selection, since_of
from argosy.engine.node.names import HostNames
from argosy.engine.node.node_objects import Strength
from argosy.engine.node.nodes import Nodes
from argosy.engine.node.plan import plan_of
from argosy.engine.node.pulling import ImagePuller
from argosy.engine.node.records import Records
from argosy.engine.node.references import References
from argosy.engine.node.runtime.spec import Level, Run, Runtime
from argosy.engine.node.settings import NodeSettings
from argosy.engine.node.shared import Shared, turns
from argosy.engine.node.state import ContainerState, Stage, Termination
from argosy.engine.node.statuses import Statuses
from argosy.engine.node.usage import UsageMeter
from argosy.engine.node.worker import PodWorker
from argosy.errors import ArgosyError, BadRequest, InternalError
from argosy.intent import Reason
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of, uid_of

_log = logging.getLogger(__name__)


async def at_once(pod: Obj, address: str) -> None:
    """No network keeps pods waiting."""


class NodeAgent:
    """Runs the pods of this machine. Implements the API server's `NodeAccess`."""

    def __init__(self, client: Client, runtime: Runtime, images: Images, settings: NodeSettings, clock: Clock) -> None:
        self._client = client.named("kubelet")
        self._runtime = runtime
        self._images = images
        self._settings = settings
        self._clock = clock
        self._workers: dict[str, PodWorker] = {}
        self._records = Records(settings.home)
        self._addresses = Addresses(settings.pod_cidr)
        self._events = EventRecorder(self._client, "kubelet", clock, host=settings.node_names[0])
        self._usage = UsageMeter(runtime)
        self._nodes = Nodes(self._client, settings, Strength(runtime.level, runtime.enforces), clock)
        self._shared: Shared | None = None
        self._names: HostNames | None = None
        self._fed: set[str] = set()
        """Runs whose only client has been there."""

    async def run(
        self,
        *,
        informers: Informers | None = None,
        ready: Callable[[], None] = lambda: None,
        admit: Callable[[Obj, str], Awaitable[None]] = at_once,
    ) -> None:
        """Serve until cancelled; pods keep running then. `ready` is called when the nodes are registered.

        A new pod waits for `admit` (the pod, its address) before its containers start.
        """
        async with AsyncExitStack() as stack:
            pool = informers if informers is not None else await stack.enter_async_context(Informers(self._client))
            pods = self._pods(pool, own=informers is None)
            references = References(self._client, pool)
            stack.callback(references.close)
            if self._runtime.level is not Level.L2:
                self._names = HostNames(pool, self._addressed, self._settings.cluster_domain, self._renamed)
                stack.callback(self._names.close)
            stack.push_async_callback(self._close)
            registering = asyncio.create_task(self._nodes.register())
            await asyncio.gather(registering, pods.synced(), references.synced())
            self._shared = self._share(references, admit)
            await self._adopt(pods)
            stack.callback(pods.listen(self._follow))
            for pod in list(pods.items()):
                if self._is_ours(pod):
                    self._meet(pod)
            ready()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._nodes.run(pool.of(kinds.NODE)), name="nodes")
                group.create_task(pressure.watch(self._means(self._shared)), name="disk")

    @property
    def images(self) -> Images:
        """The images of this machine: progress of pulls, building ahead."""
        return self._images

    # -- NodeAccess

    def logs(self, pod: Obj, container: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """A container's log. Raises BadRequest when it has none (yet), at once: a stream that has begun cannot say so."""
        worker = self._workers.get(uid_of(pod))
        attempt = self._attempt(worker, pod, container, previous=options.previous)

        def ended() -> bool:
            current = worker.state.containers.get(container) if worker else None
            runs = current is not None and current.stage is Stage.RUNNING and current.attempt == attempt
            return not runs

        path = launch.log_path(self._records.place(uid_of(pod)), container, attempt)
        try:
            since = since_of(self._clock.now(), options.since_seconds, options.since_time)
        except ValueError:
            raise BadRequest(f"sinceTime {options.since_time!r} is no RFC 3339 time") from None
        selection = Selection(
            options.tail_lines, since, options.timestamps, options.limit_bytes, options.follow and not options.previous
        )
        return Reader(path, ended).read(selection)

    async def dial(self, pod: Obj, port: int) -> socket.socket:
        """A connection from inside a pod. Raises OSError, ArgosyError."""
        return await consoles.dial(consoles.interactive(self._runtime), pod, port)

    def socket(self, family: int, type: int) -> socket.socket:
        """A socket in the cluster's network."""
        return self._runtime.network.socket(family, type)

    def exec(self, pod: Obj, container: str, command: Sequence[str], streams: Streams) -> Opener:
        """What starts a command. Raises InternalError, in the kubelet's words, for a container that does not run."""
        run_id = self._running(pod, container).run_id
        runtime = consoles.interactive(self._runtime)
        return partial(consoles.start, runtime, run_id, tuple(command), tty=streams.tty, stdin=streams.stdin)

    def attach(self, pod: Obj, container: str, streams: Streams) -> Opener:
        """What joins a container's own streams. Raises InternalError likewise."""
        state = self._running(pod, container)
        runtime = consoles.interactive(self._runtime)
        declared = launch.container_of(pod, container)
        stdin = streams.stdin and bool(declared.get("stdin"))
        once = stdin and bool(declared.get("stdinOnce"))

        async def opened() -> Process:
            ended = consoles.background(self._end_of(state.run_id))
            # The one client that such a container waits for misses nothing of what it said meanwhile.
            first = once and state.run_id not in self._fed
            if once:
                self._fed.add(state.run_id)
            path = launch.log_path(self._records.place(uid_of(pod)), container, state.attempt)
            how = consoles.Attaching(state.run_id, ended, stdin, last_input=once, from_start=first)
            return consoles.AttachedContainer(runtime, Reader(path, ended.done), how)

        return opened

    async def usage(self) -> Sequence[PodUsage]:
        """What every running pod uses now."""
        states = [worker.state for worker in list(self._workers.values())]
        return await self._usage.measure(states, self._clock.now().timestamp())

    def _means(self, shared: Shared) -> pressure.Means:
        """What is looked at, and done, when the disk is nearly full."""

        def tell() -> None:
            said = Reason("EvictionThresholdMet", f"Attempting to reclaim {pressure.RESOURCE}", warning=True)
            for node in self._nodes.objects():
                self._events.emit(kinds.NODE, node, said)

        async def uses() -> Sequence[pressure.Use]:
            workers = [worker for worker in self._workers.values() if worker.may_be_evicted]
            sizes = await asyncio.gather(*(worker.on_disk() for worker in workers))
            return [pressure.Use(worker.pod, size) for worker, size in zip(workers, sizes, strict=True)]

        async def evict(pod: Obj, why: str) -> None:
            worker = self._workers.get(uid_of(pod))
            if worker is not None:
                await worker.evict(why)

        def room() -> Room:
            return self._settings.disk_room(self._settings.home)

        return pressure.Means(room, uses, shared.puller.prune, tell, evict)

    # -- pods come and go

    def _pods(self, informers: Informers, *, own: bool) -> Informer:
        """The pods of our nodes: the shared informer of all, or a narrower one of our own."""
        names = self._settings.node_names
        if own and len(names) == 1:
            return informers.of(kinds.POD, fields=f"spec.nodeName={names[0]}")
        return informers.of(kinds.POD)

    def _is_ours(self, pod: Obj) -> bool:
        return dig(pod, "spec", "nodeName") in self._settings.node_names

    def _follow(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.type == "DELETED":
                worker = self._workers.get(uid_of(change.obj))
                if worker is not None:
                    worker.vanish()
            elif self._is_ours(change.obj):
                self._meet(change.obj)

    def _meet(self, pod: Obj) -> None:
        worker = self._workers.get(uid_of(pod))
        if worker is not None:
            worker.update(pod)
            return
        if dig(pod, "status", "startTime"):
            self._take_over(pod, ())
            return
        assert self._shared is not None, "pods are met after the agent has begun"
        worker = PodWorker(self._shared, pod)
        self._workers[worker.uid] = worker
        worker.begin()

    def _addressed(self) -> Iterator[Obj]:
        """Our pods with the addresses that they have here, whatever their status tells so far."""
        for worker in self._workers.values():
            if worker.address:
                yield {**worker.pod, "status": {**worker.pod.get("status", {}), "podIP": worker.address}}

    def _renamed(self) -> None:
        """The host names have changed: rewrite the pods' /etc/hosts."""
        if self._runtime.level is Level.L1:
            for worker in self._workers.values():
                worker.write_hosts()

    def _gone(self, uid: str) -> None:
        """Nothing of the pod runs and its object is gone: forget it and its files."""
        self._workers.pop(uid, None)
        self._fed = {run for run in self._fed if not run.startswith(f"{uid}/")}
        self._addresses.take_back(uid)
        self._records.remove(uid)
        if self._names is not None:
            self._names.touch()

    def _puller(self, references: References) -> ImagePuller:
        settings = self._settings
        asks = settings.asks_registries
        return ImagePuller(settings.home, self._images, self._runtime.level, references, asks_registries=asks)

    def _share(self, references: References, admit: Callable[[Obj, str], Awaitable[None]]) -> Shared:
        return Shared(
            client=self._client,
            runtime=self._runtime,
            puller=self._puller(references),
            settings=self._settings,
            clock=self._clock,
            references=references,
            addresses=self._addresses,
            records=self._records,
            statuses=Statuses(self._client),
            events=self._events,
            abilities=Abilities(self._runtime.level, os.geteuid() == 0, self._settings.allowed),
            allocatable=self._nodes.allocatable,
            accelerators=self._nodes.accelerators,
            names=self._names,
            admit=admit,
            gone=self._gone,
            turns=turns(self._runtime.level),
        )

    async def _adopt(self, pods: Informer) -> None:
        """Take over what an earlier engine left; end what belongs to no pod any more."""
        runs: dict[str, list[Run]] = {}
        for run in await self._runtime.adopt():
            runs.setdefault(run.pod_uid, []).append(run)
        ours = {uid_of(pod): pod for pod in pods.items() if self._is_ours(pod)}
        records = self._records.all()
        for uid, pod in ours.items():
            record = records.get(uid)
            address = record.address if record else str(dig(pod, "status", "podIP", default=""))
            if address and not dig(pod, "spec", "hostNetwork"):
                self._addresses.claim(uid, address)
            for container, ids in (record.devices if record else {}).items():
                self._nodes.accelerators.claim(uid, container, ids)
        for uid in (runs.keys() | records.keys()) - ours.keys():
            await self._end_orphan(uid)
        for uid, pod in ours.items():
            if uid in records or uid in runs:
                self._take_over(pod, runs.get(uid, ()))

    async def _end_orphan(self, uid: str) -> None:
        try:
            await self._runtime.remove_pod(uid)
        except (ArgosyError, OSError) as error:
            _log.warning("cannot end the orphaned pod %s: %s", uid, error)
            return
        self._records.remove(uid)

    def _take_over(self, pod: Obj, runs: Sequence[Run]) -> None:
        assert self._shared is not None, "pods are adopted after the agent has begun"
        now = self._clock.now().timestamp()
        plan = plan_of(pod)
        worker = PodWorker(self._shared, pod)
        ends: dict[str, Termination] = {
            run.id: worker.termination(run.container, run.attempt, run.id, run.exit) for run in runs if run.exit
        }
        worker.resume(adopted(plan, pod, runs, ends, now), [run for run in runs if run.exit is None])
        self._workers[worker.uid] = worker
        worker.begin()

    def _running(self, pod: Obj, container: str) -> ContainerState:
        worker = self._workers.get(uid_of(pod))
        state = worker.state.containers.get(container) if worker is not None else None
        if state is None or state.stage is not Stage.RUNNING:
            raise InternalError(f'unable to upgrade connection: container not found ("{container}")')
        return state

    async def _end_of(self, run_id: str) -> int:
        return (await self._runtime.wait(run_id)).code

    def _attempt(self, worker: PodWorker | None, pod: Obj, container: str, *, previous: bool) -> int:
        """Which run's log is meant. Raises BadRequest in the kubelet's words."""
        state = worker.state.containers.get(container) if worker is not None else None
        title = f'container "{container}" in pod "{name_of(pod)}"'
        if state is None:
            raise BadRequest(f"{title} is waiting to start: ContainerCreating")
        latest = _latest_run(state)
        if previous:
            if latest is None or latest == 0:
                raise BadRequest(f'previous terminated container "{container}" in pod "{name_of(pod)}" not found')
            return latest - 1
        if latest is None:
            raise BadRequest(f"{title} is waiting to start: {state.wait_reason or 'ContainerCreating'}")
        return latest

    async def _close(self) -> None:
        workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            await worker.close()
        if self._shared is not None:
            await self._shared.statuses.close()
            self._shared.puller.close()
        await self._events.close()
        self._records.close()
        await self._images.close()


def _latest_run(state: ContainerState) -> int | None:
    """The newest attempt that has a log."""
    if state.stage in {Stage.RUNNING, Stage.EXITED}:
        return state.attempt
    return state.attempt - 1 if state.last is not None else None
