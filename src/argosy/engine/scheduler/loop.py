"""The scheduler at work: watches, asks `decide`, binds.

It sleeps until something changes, takes everything that waits and may fit, decides once for all of it, and binds at the same
time what was decided, while the next decision may already be made on the assumption that these bindings hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Hashable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NoReturn

from argosy.client.client import Client
from argosy.clock import Clock
from argosy.control.disruption import mark_disrupted
from argosy.control.events import EventRecorder
from argosy.control.pool import Informers
from argosy.engine.controllers.claim.use import SELECTED_NODE
from argosy.engine.scheduler.decide import Binding, Decision, Rankings, decide
from argosy.engine.scheduler.feed import Feed
from argosy.engine.scheduler.gangs import GangName
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.engine.scheduler.preemption import Preemption
from argosy.engine.scheduler.reports import COMPONENT, Reports
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.engine.scheduler.storage import read_storage
from argosy.engine.scheduler.waiting import Waiting
from argosy.errors import ApiError, Conflict, NotFound
from argosy.intent import Reason
from argosy.kinds import PERSISTENT_VOLUME_CLAIM, POD
from argosy.meta.json import Obj
from argosy.meta.objects import Key

_log = logging.getLogger(__name__)

_BATCH = 500
_AT_ONCE = 32
_RETRY_SECONDS = 0.5
_ATTEMPTS = 4


class Scheduler:
    """One scheduler; there is one in a cluster."""

    def __init__(self, client: Client, informers: Informers, clock: Clock) -> None:
        self._client = client.named(COMPONENT)
        self._recorder = EventRecorder(self._client, COMPONENT, clock)
        self._clock = clock
        self._reports = Reports(self._client, self._recorder, clock)
        self._snapshot = Snapshot()
        self._waiting = Waiting()
        self._rankings = Rankings()
        self._awake = asyncio.Event()
        self._feed = Feed(informers, self._snapshot, self._waiting, self._awake.set, self._reports.forget)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._preempted: dict[str, frozenset[str]] = {}
        """Pod uid -> the victims whose leaving it waits for."""

    async def run(self) -> NoReturn:
        """Schedule until cancelled."""
        try:
            await self._feed.start()
            await self._schedule()
        finally:
            self._feed.close()
            await self._recorder.close(timeout=0.5)
        raise AssertionError("the scheduler ends only when cancelled")

    async def _schedule(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reports.run(), name="scheduler reports")
            while True:
                await self._awake.wait()
                self._awake.clear()
                # What else is ready to be told in this turn of the loop belongs to the same batch.
                more = True
                while more:
                    await asyncio.sleep(0)
                    more = self._once(group)

    def _once(self, group: asyncio.TaskGroup) -> bool:
        """One decision; True when it placed something and more is waiting."""
        pods = self._waiting.candidates(self._snapshot, _BATCH)
        decision = decide(self._snapshot, pods, self._rankings) if pods else Decision()
        units = self._settle(decision, group)
        for unit in units:
            group.create_task(self._bind_all(unit), name="bind")
        for pod, unfit in self._waiting.newcomers():
            self._reports.refuse(pod, unfit)
        return bool(decision.bindings) and len(self._waiting) > 0

    def _settle(self, decision: Decision, group: asyncio.TaskGroup) -> list[list[Binding]]:
        """Carry a decision over into the state; returns what is to be bound, gangs in one piece."""
        gangs: dict[GangName, list[Binding]] = {}
        units: list[list[Binding]] = []
        for binding in self._ready_to_bind(decision.bindings, group):
            pod = binding.pod
            self._waiting.placed(pod)
            self._waiting.remove(pod.uid)
            self._reports.forget(pod.uid)
            self._preempted.pop(pod.uid, None)
            self._feed.assume(pod.uid)
            self._snapshot.assume(pod, binding.node)
            if pod.gang is None:
                units.append([binding])
            else:
                gangs.setdefault(pod.gang.name, []).append(binding)
        for preemption in decision.preemptions:
            self._preempt(preemption, group)
        nominated = {p.pod.uid: p.node for p in decision.preemptions}
        for pod in self._refused(decision):
            self._reports.refuse(pod, decision.unfit[pod.uid], nominated.get(pod.uid, ""))
        return [*units, *gangs.values()]

    def _ready_to_bind(self, bindings: Sequence[Binding], group: asyncio.TaskGroup) -> list[Binding]:
        """Without those whose volumes wait for a node: the node is told to their claims, and they wait for the volumes.

        A gang waits as a whole.
        """
        waiting: set[Hashable] = set()
        for binding in bindings:
            pod = binding.pod
            delayed = read_storage(pod, self._snapshot).delayed if pod.claims else ()
            if delayed:
                waiting.add(pod.gang.name if pod.gang is not None else pod.uid)
                group.create_task(self._select(delayed, binding.node), name="select node")
        ready = []
        for binding in bindings:
            pod = binding.pod
            if (pod.gang.name if pod.gang is not None else pod.uid) in waiting:
                self._waiting.failed(pod, self._snapshot)  # until the claims change
            else:
                ready.append(binding)
        return ready

    async def _select(self, claims: Iterable[Key], node: str) -> None:
        """Tell claims where their first pod will be."""
        patch: Obj = {"metadata": {"annotations": {SELECTED_NODE: node}}}
        for key in claims:
            try:
                await self._client.patch(PERSISTENT_VOLUME_CLAIM, key, patch)
            except (ApiError, ConnectionError) as error:
                _log.warning("claim %s could not be told its node: %s", key, error)
                self._snapshot.gains += 1
                self._awake.set()

    def _refused(self, decision: Decision) -> Sequence[PodInfo]:
        """The pods that were refused; their kin, which were not even tried, share the reason."""
        refused: dict[str, PodInfo] = {}
        for uid, unfit in list(decision.unfit.items()):
            pod = self._waiting.get(uid)
            if pod is None or uid in refused:
                continue
            self._waiting.failed(pod, self._snapshot, unfit)
            for fellow in self._waiting.fellows(pod):
                decision.unfit.setdefault(fellow.uid, unfit)
                refused[fellow.uid] = fellow
        return list(refused.values())

    # -- binding

    async def _bind_all(self, unit: Sequence[Binding]) -> None:
        """Bind one pod, or a gang: all of it in one turn of the event loop, so that a store in this process makes it
        durable in one transaction, and a crash leaves no gang with half of its nodes.
        """
        slots = self._slots if len(unit) == 1 else contextlib.nullcontext()
        results = await asyncio.gather(*[self._bind(binding, slots) for binding in unit], return_exceptions=True)
        for binding, result in zip(unit, results, strict=True):
            if isinstance(result, Exception):  # our own mistake: it must not end the scheduler
                _log.error("pod %s could not be bound", binding.pod.key, exc_info=result)
                self._unbind(binding.pod)

    async def _bind(self, binding: Binding, slots: AbstractAsyncContextManager[None]) -> None:
        pod = binding.pod
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.key.name, "namespace": pod.key.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": binding.node},
        }
        for attempt in range(_ATTEMPTS):
            try:
                async with slots:
                    await self._client.create_subresource(POD, pod.key, "binding", body)
            except (NotFound, Conflict):
                break  # it is gone, or somebody else has bound it: the informer will tell
            except (ApiError, ConnectionError, TimeoutError) as error:
                _log.warning("pod %s could not be bound to %s, trying again: %s", pod.key, binding.node, error)
                await asyncio.sleep(_RETRY_SECONDS * 2**attempt)
            else:
                message = f"Successfully assigned {pod.key} to {binding.node}"
                self._recorder.emit(POD, pod.obj, Reason("Scheduled", message))
                return
        self._unbind(pod)

    def _unbind(self, pod: PodInfo) -> None:
        """The binding did not come about: what was assumed is taken back."""
        if not self._feed.is_assumed(pod.uid):
            return
        self._feed.release(pod.uid)
        self._snapshot.forget(pod.uid)
        self._feed.look_again(pod.key)
        self._awake.set()

    # -- preemption

    def _preempt(self, preemption: Preemption, group: asyncio.TaskGroup) -> None:
        victims = frozenset(victim.uid for victim in preemption.victims)
        if self._preempted.get(preemption.pod.uid) == victims:
            return
        self._preempted[preemption.pod.uid] = victims
        for victim in preemption.victims:
            group.create_task(self._evict(victim, preemption), name="preempt")

    async def _evict(self, victim: PodInfo, preemption: Preemption) -> None:
        message = f"Preempted by pod {preemption.pod.uid} on node {preemption.node}"
        why = ("PreemptionByScheduler", f"{COMPONENT}: preempting to accommodate a higher priority pod")
        try:
            await mark_disrupted(self._client, victim.key, victim.uid, why, self._clock.now())
            await self._client.delete(POD, victim.key, uid=victim.uid)
        except (NotFound, Conflict):
            return
        except (ApiError, ConnectionError) as error:
            _log.warning("pod %s could not be preempted: %s", victim.key, error)
            self._preempted.pop(preemption.pod.uid, None)
            return
        self._recorder.emit(POD, victim.obj, Reason("Preempted", message))


async def run(client: Client, clock: Clock, *, informers: Informers | None = None) -> NoReturn:
    """Schedule until cancelled. With `informers`, the copies of the cluster's state are shared with other components."""
    if informers is None:
        async with Informers(client) as own:
            await run(client, clock, informers=own)
    await Scheduler(client, informers, clock).run()
    raise AssertionError("the scheduler ends only when cancelled")
