"""Takes pods off nodes that are tainted against them, and away from nodes that are gone.

One queue of node names, so a node is looked at once however many of its pods change; nodes without NoExecute taints, that is
nearly all at any time, cost one dictionary look-up per pod event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from argosy.client.client import Client
from argosy.clock import Clock
from argosy.control.cache import Change
from argosy.control.disruption import mark_disrupted
from argosy.control.events import EventRecorder
from argosy.control.pool import Informers
from argosy.control.queue import WorkQueue
from argosy.engine.controllers.node.plan import UNREACHABLE, evictions
from argosy.engine.controllers.pods import is_finished
from argosy.errors import ApiError, Conflict, NotFound
from argosy.intent import Reason
from argosy.kinds import NODE, POD
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, is_deleting, key_of, name_of, uid_of

_log = logging.getLogger(__name__)

INDEX = "node"
_ORPHAN_SECONDS = 2.0
"""How long a pod may name a node that is not seen before the server is asked about that node."""


_SURE_SECONDS = 1.2
"""How long a node must be found silent before its pods are given up; more than a living one takes to renew its lease."""


def node_name(pod: Obj) -> Sequence[str]:
    """The index of bound pods by node."""
    name = dig(pod, "spec", "nodeName")
    return (name,) if name else ()


class Evictor:
    """Follows nodes and pods."""

    def __init__(self, client: Client, informers: Informers, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._nodes = informers.of(NODE)
        self._pods = informers.of(POD)
        self._pods.index(INDEX, node_name)
        self._queue: WorkQueue[str] = WorkQueue()
        self._silent_since: dict[str, float] = {}
        """By the event loop's clock."""
        self._seen: dict[str, dict[str, datetime]] = {}
        """Of nodes that turn pods out: since when each pod, by uid, is known to be there."""
        self._recorder = EventRecorder(client, "taint-eviction-controller", clock)

    async def run(self) -> None:
        """Until cancelled."""
        stops = [self._nodes.listen(self._hear_nodes), self._pods.listen(self._hear_pods)]
        try:
            await self._follow()
        finally:
            for stop in stops:
                stop()

    async def _follow(self) -> NoReturn:
        await self._nodes.synced()
        await self._pods.synced()
        for name in {*map(name_of, self._nodes.items()), *(n for p in self._pods.items() for n in node_name(p))}:
            self._queue.add(name)
        while True:
            name = await self._queue.get()
            try:
                await self._look_at(name)
                self._queue.forget(name)
            except (ApiError, ConnectionError, TimeoutError) as error:
                _log.debug("pods of node %s: %s; it will be tried again", name, error)
                self._queue.add_rate_limited(name)
            finally:
                self._queue.done(name)

    def _hear_nodes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.type == "DELETED" or not _is_silent(change.obj):
                self._silent_since.pop(name_of(change.obj), None)
            if not _turns_out(change.obj):
                self._seen.pop(name_of(change.obj), None)
            if change.type == "DELETED" or _turns_out(change.obj):
                self._queue.add(name_of(change.obj))

    def _hear_pods(self, changes: Sequence[Change]) -> None:
        for change in changes:
            name = dig(change.obj, "spec", "nodeName")
            if not name or change.type == "DELETED":
                continue
            node = self._nodes.get(Key("", name))
            if node is None:
                self._queue.add_after(name, _ORPHAN_SECONDS)
            elif _turns_out(node):
                self._queue.add(name)

    async def _look_at(self, name: str) -> None:
        pods = self._pods.indexed(INDEX, name)
        if not pods:
            return
        node = self._nodes.get(Key("", name))
        if node is None:
            if await self._is_gone(name):
                gone = ("DeletionByPodGC", "PodGC: node no longer exists")
                await asyncio.gather(*[self._remove(pod, gone, grace_seconds=0) for pod in pods])
            return
        if (find(node, "Ready") or {}).get("status") == "Unknown":
            await asyncio.gather(*[self._mark_not_ready(pod) for pod in pods])
        if not self._is_sure(node):
            self._queue.add_after(name, _SURE_SECONDS)
            return
        now = self._clock.now()
        before = self._seen.get(name, {})
        seen = self._seen[name] = {uid_of(pod): before.get(uid_of(pod), now) for pod in pods}
        for eviction in evictions(node, pods, now, seen):
            if eviction.in_seconds > 0:
                self._queue.add_after(name, eviction.in_seconds)
                continue
            message = f"Marking for deletion Pod {key_of(eviction.pod)}"
            self._recorder.emit(POD, eviction.pod, Reason("TaintManagerEviction", message))
            turned_out = ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
            await self._remove(eviction.pod, turned_out, grace_seconds=None)

    def _is_sure(self, node: Obj) -> bool:
        """Whether a silent node has been so for some of our own time: a machine that wakes up finds all leases run out."""
        if not _is_silent(node):
            return True
        now = asyncio.get_running_loop().time()
        return now - self._silent_since.setdefault(name_of(node), now) >= _SURE_SECONDS

    async def _is_gone(self, name: str) -> bool:
        try:
            await self._client.get(NODE, name)
        except NotFound:
            return True
        return False

    async def _remove(self, pod: Obj, why: tuple[str, str], *, grace_seconds: int | None) -> None:
        try:
            if not is_finished(pod):
                await mark_disrupted(self._client, key_of(pod), uid_of(pod), why, self._clock.now())
            await self._client.delete(POD, key_of(pod), uid=uid_of(pod), grace_seconds=grace_seconds)
        except (NotFound, Conflict):
            return

    async def _mark_not_ready(self, pod: Obj) -> None:
        """A pod that nobody reports on must not get traffic."""
        ready = find(pod, "Ready")
        if ready is None or ready.get("status") != "True" or is_deleting(pod) or is_finished(pod):
            return
        conditions = [
            {**c, "status": "False", "reason": "NodeNotReady"} if c.get("type") == "Ready" else c
            for c in pod["status"]["conditions"]
        ]
        try:
            await self._client.patch(POD, key_of(pod), {"status": {"conditions": conditions}}, subresource="status")
        except NotFound:
            return


def _is_silent(node: Obj) -> bool:
    return any(taint.get("key") == UNREACHABLE for taint in dig(node, "spec", "taints", default=()))


def _turns_out(node: Obj) -> bool:
    return any(taint.get("effect") == "NoExecute" for taint in dig(node, "spec", "taints", default=()))


async def run(client: Client, informers: Informers, clock: Clock) -> NoReturn:
    """Evict until cancelled."""
    await Evictor(client, informers, clock).run()
    raise AssertionError("the evictor ends only when cancelled")
