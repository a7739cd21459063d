"""One model server's replicas, and the requests that wait for one.

A request takes a replica and gives it back. While there is none (the model wakes from zero, or all have just died) it is
held: bounded in number and in time, first come first served.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable

from argosy.meta.objects import Key
from argosy.programs.gateway.balance import Replica, choose, usable_at
from argosy.programs.gateway.metrics import Counts
from argosy.programs.gateway.openai import Refusal
from argosy.programs.gateway.routes import Backend
from argosy.programs.gateway.settings import GatewaySettings

_ABORT_SECONDS = 0.5
_BUSY_RETRY_SECONDS, _ASLEEP_RETRY_SECONDS = 2, 15


class Pool:
    """The replicas of one InferenceService."""

    def __init__(self, service: Key, settings: GatewaySettings) -> None:
        self._service = service
        self._settings = settings
        self._backend = Backend()
        self._replicas: dict[tuple[str, int], Replica] = {}
        self._leaving: dict[tuple[str, int], Replica] = {}
        """Replicas that get no more requests and may still be answering some."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def prefix(self) -> str:
        """What stands before `/v1` in the servers' paths."""
        return self._backend.prefix

    @property
    def size(self) -> int:
        """How many replicas are ready."""
        return len(self._replicas)

    def update(self, backend: Backend) -> None:
        """Take over which replicas there are. Requests at one that vanished altogether are soon sent elsewhere."""
        known = self._leaving | self._replicas
        before = self._replicas.keys()
        self._backend = backend
        self._replicas = {place: known.pop(place) if place in known else Replica(*place) for place in backend.ready}
        self._leaving = {place: replica for place, replica in known.items() if place in backend.draining}
        vanished = [replica for place, replica in known.items() if place not in backend.draining]
        if any(replica.aborts for replica in vanished):
            asyncio.get_running_loop().call_later(_ABORT_SECONDS, _abort, vanished)
        if self._replicas.keys() - before:
            self._wake(len(self._waiting))

    def close(self) -> None:
        """The model is no more: whoever waits for it is told so."""
        self._closed = True
        self.update(Backend())
        self._wake(len(self._waiting))

    async def take(self, counts: Counts, deadline: float, tried: Collection[Replica] = ()) -> Replica:
        """A replica to ask, counted as busy until `give_back`. Raises Refusal when none comes in time."""
        loop = asyncio.get_running_loop()
        replica = self._choose(loop.time(), tried) if not self._waiting or not self._backend.limit else None
        if replica is not None:
            return replica
        if len(self._waiting) >= self._settings.queue_length:
            raise Refusal(
                503,
                f"{len(self._waiting)} requests wait for the model already; come back in a moment.",
                "overloaded_error",
                "queue_full",
                retry_after_seconds=_BUSY_RETRY_SECONDS,
            )
        counts.queued += 1
        try:
            return await self._wait(deadline, tried)
        finally:
            counts.queued -= 1

    def give_back(self, replica: Replica) -> None:
        """The request at this replica is over."""
        replica.in_flight -= 1
        if self._waiting:
            self._wake(1)

    async def _wait(self, deadline: float, tried: Collection[Replica]) -> Replica:
        loop = asyncio.get_running_loop()
        first = True
        while True:
            turn: asyncio.Future[None] = loop.create_future()
            (self._waiting.append if first else self._waiting.appendleft)(turn)
            first = False
            retry_at = usable_at(self._replicas.values(), loop.time())
            try:
                async with asyncio.timeout_at(deadline if retry_at is None else min(deadline, retry_at)):
                    await turn
            except TimeoutError:
                pass
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake(1)  # the turn that came too late is the next one's
                raise
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)
            replica = self._choose(loop.time(), tried)
            if replica is not None:
                return replica
            if self._closed:
                raise Refusal(404, "The model was deleted.", "invalid_request_error", "model_not_found")
            if loop.time() >= deadline:
                raise self._nobody_came()

    def _choose(self, now: float, tried: Collection[Replica]) -> Replica | None:
        replica = choose(self._replicas.values(), now, self._backend.limit, tried)
        if replica is not None:
            replica.in_flight += 1
            replica.served += 1
        return replica

    def _wake(self, count: int) -> None:
        while count and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1

    def _nobody_came(self) -> Refusal:
        name, seconds = self._service, self._settings.queue_seconds
        what = "is busy" if self._replicas else "has no ready replica"
        return Refusal(
            503,
            f"The model {what} after {seconds:g} s; see why: "
            f"kubectl describe inferenceservice {name.name} -n {name.namespace}",
            "overloaded_error",
            "model_not_ready",
            retry_after_seconds=_ASLEEP_RETRY_SECONDS,
        )


def _abort(replicas: Iterable[Replica]) -> None:
    for replica in replicas:
        for abort in tuple(replica.aborts):
            abort()
