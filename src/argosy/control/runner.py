"""The loop that every operator and controller runs in: observe -> plan -> carry out -> status -> events.

One subject is worked on by one worker at a time. A plan is not asked for until the informers show what the last plan
wrote, so it never acts twice on the same facts. A status is written only when it differs; reasons become events once, not
at every look. What a plan raises is policy: `Retry` comes back, `Terminal` is told and left until the object changes,
anything else is our mistake: logged, told, and tried again later each time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NoReturn
from urllib.parse import parse_qsl

from argosy import kinds
from argosy.client.client import Client
from argosy.client.requests import JSON, Request
from argosy.clock import Clock, SystemClock
from argosy.control.capabilities import CapabilityTracker
from argosy.control.carry import Expectation, carry_out, unmet
from argosy.control.events import EventRecorder
from argosy.control.following import Following
from argosy.control.observe import View
from argosy.control.pool import Informers
from argosy.control.queue import QueueClosed, WorkQueue
from argosy.errors import ApiError, Conflict, NotFound, Retry, ServiceUnavailable, Terminal, TooManyRequests
from argosy.intent import Asleep, Capabilities, Observed, Operator, Plan, Reason
from argosy.meta.json import Obj, encode
from argosy.meta.objects import Key, is_deleting, key_of, uid_of

_log = logging.getLogger(__name__)

_OWN_WRITES_SECONDS = 5.0
"""How long a worker waits to read its own writes before it gives its place to another subject."""

_ANSWER_SECONDS = 3.0
"""How long a plan waits for what it asks: a node that died does not answer."""

_Told = frozenset[tuple[str, str, bool, str]]


@dataclass(slots=True)
class _Memory:
    """What the runner remembers of one subject between two plans."""

    uid: str
    expectations: list[Expectation] = field(default_factory=list)
    told: _Told = frozenset()
    planned_status: Obj | None = None
    written_status: Obj | None = None
    """What the server made of `planned_status`: a server that normalises is not written to again and again."""
    probed: Obj | None = None
    answers: dict[str, str] = field(default_factory=dict)
    asking: set[str] = field(default_factory=set)
    calls: int = 0
    """How often a plan told a program outside something: what a probe asked before is not believed after it."""


class Runner:
    """Runs one operator over every subject there is."""

    def __init__(
        self,
        client: Client,
        operator: Operator,
        informers: Informers,
        *,
        clock: Clock | None = None,
        workers: int = 8,
        capabilities: Callable[[], Capabilities] = Capabilities,
        namespace: str = "",
    ) -> None:
        self.operator = operator
        self._client = client.named(operator.component)
        self._clock = clock or SystemClock()
        self._workers = workers
        self._capabilities = capabilities
        self._queue: WorkQueue[Key] = WorkQueue()
        self._memories: dict[Key, _Memory] = {}
        self._view = View(operator, informers, namespace=namespace)
        self._recorder = EventRecorder(self._client, operator.component, self._clock)
        self._probes: dict[Key, asyncio.Task[None]] = {}
        self._following: Following | None = None
        if operator.follow is not None:
            outside = _Outside(self._client)
            self._following = Following(outside, operator.follow, self._queue.add, operator.component)
        self._asks: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be planned and nothing is being carried out."""
        return self._queue.idle

    def plan_all(self) -> None:
        """Plan every subject again, for instance because the cluster's capabilities changed."""
        for subject in self._view.subjects.items():
            self._queue.add(key_of(subject))

    async def run(self) -> NoReturn:
        """Reconcile until cancelled."""
        stop = self._view.listen(self._queue.add)
        try:
            await self._view.synced()
            self.plan_all()
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._work(), name=f"{self.operator.component} {number}")
        finally:
            stop()
            self._queue.shut_down()
            for task in (*self._probes.values(), *self._asks):
                task.cancel()
            if self._following is not None:
                self._following.close()
            await self._recorder.close(timeout=0.5)
        raise AssertionError("workers end only when cancelled")

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            try:
                await self._process(key)
            except Exception as error:
                self._report(key, error)
            finally:
                self._queue.done(key)
            # A plan that does nothing does not suspend: a thousand of them must not hold up everybody else.
            await asyncio.sleep(0)

    async def _process(self, key: Key) -> None:
        subject = self._view.subjects.get(key)
        if subject is None:
            self._forget(key)
            return
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid_of(subject):
            self._forget(key)
            memory = self._memories[key] = _Memory(uid_of(subject))
        if memory.expectations:
            if not await self._own_writes_seen(memory):
                self._queue.add_rate_limited(key)
                return
            subject = self._view.subjects.get(key)
            if subject is None or uid_of(subject) != memory.uid:
                self._queue.add(key)
                return
        self._watch_over(key, subject)
        now = self._clock.now()
        seen = self._view.observe(subject, now, self._capabilities(), memory.probed, memory.answers)
        if self._following is not None:
            seen = replace(seen, probed=self._following.about(key, self.operator.source(seen)))
        plan = self._plan(key, seen)
        if plan is not None:
            await self._carry_out(key, subject, memory, plan)

    def _plan(self, key: Key, seen: Observed) -> Plan | None:
        try:
            return self.operator.plan(seen)
        except Retry as retry:
            _log.debug("%s %s: %s", self.operator.kind.kind, key, retry)
            if retry.after_seconds is None:
                self._queue.add_rate_limited(key)
            else:
                self._queue.add_after(key, retry.after_seconds)
        except Terminal as terminal:
            self._queue.forget(key)
            self._tell(self._memories[key], seen.subject, (Reason("ReconcileFailed", str(terminal), warning=True),))
        return None

    async def _carry_out(self, key: Key, subject: Obj, memory: _Memory, plan: Plan) -> None:
        outcome = await carry_out(self._client, subject, plan.actions)
        memory.expectations += outcome.expectations
        self._ask(key, memory, plan.asks)
        if outcome.called:
            memory.calls += 1
            memory.probed = None
        again = outcome.retry
        if plan.status is not None and outcome.status_holds:
            try:
                await self._write_status(memory, outcome.subject or subject, plan.status)
            except (Conflict, ConnectionError, ServiceUnavailable, TooManyRequests):
                again = True
            except NotFound:
                again = False
        # A Warning tells how things are; other reasons tell what was done, which is not so while something failed.
        told = [reason for reason in plan.reasons if reason.warning or not outcome.retry]
        self._tell(memory, subject, (*told, *outcome.failures))
        if again:
            if outcome.retry_after_seconds is not None:
                self._queue.add_after(key, outcome.retry_after_seconds)
            else:
                self._queue.add_rate_limited(key)
            return
        self._queue.forget(key)
        if plan.again_in_seconds is not None:
            self._queue.add_after(key, plan.again_in_seconds)

    async def _write_status(self, memory: _Memory, subject: Obj, status: Obj) -> None:
        present = subject.get("status") or {}
        if status == present or (status == memory.planned_status and present == memory.written_status):
            return
        kind = self.operator.kind
        subresource = "status" if "status" in kind.subresources else ""
        made = await self._client.update(kind, {**subject, "status": status}, subresource=subresource)
        memory.planned_status, memory.written_status = status, made.get("status") or {}
        version = str(made["metadata"].get("resourceVersion") or "")
        if version.isdigit():
            memory.expectations.append(Expectation(kind, key_of(made), int(version)))

    async def _own_writes_seen(self, memory: _Memory) -> bool:
        informers = self._view.informers
        for expectation, informer in unmet(memory.expectations, informers):
            if not await informer.until(partial(expectation.met_by, informer), _OWN_WRITES_SECONDS):
                return False
        memory.expectations.clear()
        return True

    def _tell(self, memory: _Memory, subject: Obj, reasons: Sequence[Reason]) -> None:
        told: set[tuple[str, str, bool, str]] = set()
        for reason in reasons:
            kind, obj = reason.about or (self.operator.kind, subject)
            mark = (reason.code, reason.message, reason.warning, uid_of(obj))
            if mark not in told and mark not in memory.told:
                self._recorder.emit(kind, obj, reason)
            told.add(mark)
        memory.told = frozenset(told)

    def _report(self, key: Key, error: Exception) -> None:
        """Something that no policy foresaw."""
        self._queue.add_rate_limited(key)
        subject, memory = self._view.subjects.get(key), self._memories.get(key)
        if isinstance(error, ApiError | ConnectionError | TimeoutError):
            _log.warning("%s %s: %s", self.operator.kind.kind, key, error)
            message = str(error)
        else:
            _log.error("the plan of %s %s failed", self.operator.kind.kind, key, exc_info=error)
            message = f"{type(error).__name__}: {error}"
        if subject is not None and memory is not None and not isinstance(error, ConnectionError):
            reason = Reason("ReconcileError", f"{message}; it will be tried again", warning=True)
            self._tell(memory, subject, (reason,))

    def _forget(self, key: Key) -> None:
        self._memories.pop(key, None)
        self._queue.forget(key)
        probe = self._probes.pop(key, None)
        if probe is not None:
            probe.cancel()
        if self._following is not None:
            self._following.forget(key)

    # -- asking

    def _ask(self, key: Key, memory: _Memory, paths: Sequence[str]) -> None:
        """Have what the plan asks for fetched, beside everything else; what it no longer asks for is forgotten."""
        memory.answers = {path: memory.answers[path] for path in paths if path in memory.answers}
        new = [path for path in paths if path not in memory.answers and path not in memory.asking]
        if new:
            memory.asking |= set(new)
            task = asyncio.create_task(self._answer(key, memory, new), name=f"{self.operator.component} asks for {key}")
            self._asks.add(task)
            task.add_done_callback(self._asks.discard)

    async def _answer(self, key: Key, memory: _Memory, paths: Sequence[str]) -> None:
        fetch = _Outside(self._client)

        async def one(path: str) -> str:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return (await fetch(path)).decode(errors="replace")
            except (ApiError, ConnectionError, TimeoutError) as error:
                _log.debug("%s of %s: %s", path, key, error)
                return ""

        found = await asyncio.gather(*(one(path) for path in paths))
        memory.answers |= dict(zip(paths, found, strict=True))
        memory.asking -= set(paths)
        self._queue.add(key)

    # -- probes

    def _watch_over(self, key: Key, subject: Obj) -> None:
        if self.operator.probe is None or key in self._probes or is_deleting(subject):
            return
        if not self.operator.probed(subject):
            return
        self._probes[key] = asyncio.create_task(self._keep_probing(key), name=f"{self.operator.component} probe {key}")

    async def _keep_probing(self, key: Key) -> None:
        probe = self.operator.probe
        assert probe is not None, "only operators with a probe are probed"
        while True:
            subject, memory = self._view.subjects.get(key), self._memories.get(key)
            if subject is not None and memory is not None:
                if not self.operator.probed(subject):
                    self._probes.pop(key, None)  # a later plan begins again, should it be wanted again
                    memory.probed = None
                    return
                calls = memory.calls
                try:
                    found = await probe(_Outside(self._client), subject)
                except (ApiError, ConnectionError, TimeoutError) as error:
                    _log.debug("probe of %s: %s", key, error)
                except Exception:
                    _log.exception("the probe of %s %s failed", self.operator.kind.kind, key)
                else:
                    if found != memory.probed and calls == memory.calls:
                        memory.probed = found
                        self._queue.add(key)
            await asyncio.sleep(self.operator.probe_every_seconds)


@dataclass(frozen=True, slots=True)
class _Outside:
    """`intent.Fetch` over a client."""

    client: Client

    async def __call__(self, path: str, query: Obj | None = None) -> bytes:
        async with aclosing(self._sent(path, query)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    def stream(self, path: str) -> AsyncGenerator[bytes, None]:
        return self._sent(path, None)

    async def _sent(self, path: str, body: Obj | None) -> AsyncGenerator[bytes, None]:
        target, _, query = path.partition("?")
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        request = Request("GET", target, parameters)
        if body is not None:
            request = Request("POST", target, parameters, {"content-type": JSON}, encode(body))
        response = await self.client.raw(request)
        if response.chunks is None:
            yield encode(response.obj) if response.obj is not None else response.body
            return
        async with aclosing(response.chunks) as chunks:
            async for chunk in chunks:
                yield chunk

    async def execute(self, pod: Key, container: str, command: Sequence[str]) -> bytes:
        return (await self.client.execute(kinds.POD, pod, command, container=container)).stdout


async def run_operators(
    client: Client,
    operators: Sequence[Operator | Asleep],
    *,
    clock: Clock | None = None,
    workers: int = 8,
    namespace: str = "",
    informers: Informers | None = None,
) -> NoReturn:
    """Run operators until cancelled, each from the moment that its kind is served. Informers are shared among them."""
    if informers is None:
        async with Informers(client) as own:
            await run_operators(client, operators, clock=clock, workers=workers, namespace=namespace, informers=own)
    tracker = CapabilityTracker(client, informers)

    async def run_one(operator: Operator | Asleep) -> None:
        if isinstance(operator, Asleep):
            informer = informers.of(await tracker.serves(*operator.kinds), namespace=namespace)
            await informer.until(lambda: bool(informer.items()))
            start(await asyncio.to_thread(operator.wake))
            return
        await tracker.serves(operator.kind)
        runner = Runner(
            client,
            operator,
            informers,
            clock=clock,
            workers=workers,
            capabilities=lambda: tracker.current,
            namespace=namespace,
        )
        tracker.listen(runner.plan_all)
        await runner.run()

    def start(some: Sequence[Operator | Asleep]) -> None:
        for operator in some:
            name = (
                operator.component if isinstance(operator, Operator) else f"operators of {operator.kinds[0].resource}"
            )
            group.create_task(run_one(operator), name=name)

    async with asyncio.TaskGroup() as group:
        group.create_task(tracker.run(), name="capabilities")
        start(operators)
    raise AssertionError("operators end only when cancelled")
