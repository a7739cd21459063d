"""Watches the metadata of every kind that can be deleted, custom ones included, and carries out what the graph says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import NoReturn

from argosy.client.client import Client
from argosy.client.discovery import discover, find
from argosy.client.metadata import MetadataOnly
from argosy.control.cache import Change
from argosy.control.pool import Informers
from argosy.control.queue import WorkQueue
from argosy.engine.controllers.garbage.graph import Disown, Entry, Free, Graph, Owner, Remove, Step, Verify
from argosy.errors import ApiError, Conflict, NotFound, ServiceUnavailable
from argosy.kinds import CUSTOM_RESOURCE_DEFINITION
from argosy.meta.kind import Kind
from argosy.meta.objects import uid_of

_log = logging.getLogger(__name__)

_WORKERS = 8
_SETTLE_SECONDS = 0.05
_REDISCOVER_SECONDS = 300.0
_UNOWNED = frozenset(
    {"events", "events.events.k8s.io", "leases.coordination.k8s.io", CUSTOM_RESOURCE_DEFINITION.resource}
)
"""Kinds that own nothing and are owned by nothing, and definitions, which are large; an owner among them is asked for by name."""


class Collector:
    """The garbage collector of a cluster."""

    def __init__(self, client: Client, informers: Informers) -> None:
        self._client = client
        self._metadata = client.through(MetadataOnly)
        self._definitions = informers.of(CUSTOM_RESOURCE_DEFINITION, metadata_only=True)
        self._graph = Graph()
        self._queue: WorkQueue[str] = WorkQueue()
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._served: list[Kind] = []
        self._news = asyncio.Event()

    async def run(self) -> NoReturn:
        """Collect until cancelled."""
        stop = self._definitions.listen(lambda _: self._news.set())
        try:
            async with Informers(self._metadata) as pool, asyncio.TaskGroup() as group:
                await self._follow(pool)
                await pool.synced()
                for number in range(_WORKERS):
                    group.create_task(self._work(), name=f"garbage collector {number}")
                group.create_task(self._rediscover(pool), name="garbage collector discovery")
        finally:
            stop()
        raise AssertionError("the collector ends only when cancelled")

    async def _rediscover(self, pool: Informers) -> NoReturn:
        while True:
            try:
                async with asyncio.timeout(_REDISCOVER_SECONDS):
                    await self._news.wait()
                await asyncio.sleep(_SETTLE_SECONDS)
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self._follow(pool)
            except (ApiError, ConnectionError) as error:
                _log.warning("cannot ask the API server what it serves, trying again: %s", error)
                await asyncio.sleep(1)
                self._news.set()

    async def _follow(self, pool: Informers) -> None:
        """Begin to watch kinds that are new."""
        self._served = await discover(self._client)
        for kind in self._served:
            place = (kind.group, kind.plural)
            if place in self._kinds or kind.resource in _UNOWNED or not {"list", "watch", "delete"} <= set(kind.verbs):
                continue
            self._kinds[place] = kind
            pool.of(kind).listen(lambda changes, kind=kind: self._hear(kind, changes))  # type: ignore[misc]
        pool.nudge()

    def _hear(self, kind: Kind, changes: Sequence[Change]) -> None:
        for change in changes:
            affected: Iterable[str]
            affected = self._graph.lose(change.obj) if change.type == "DELETED" else self._graph.see(kind, change.obj)
            for uid in affected:
                self._queue.add(uid)

    async def _work(self) -> NoReturn:
        while True:
            uid = await self._queue.get()
            try:
                if all([await self._carry_out(step) for step in self._graph.judge(uid)]):
                    self._queue.forget(uid)
                else:
                    self._queue.add_rate_limited(uid)
            except (ApiError, ConnectionError, TimeoutError) as error:
                _log.debug("garbage collector: %s; it will be tried again", error)
                self._queue.add_rate_limited(uid)
            except Exception:
                _log.exception("the garbage collector failed on an object; it will be tried again")
                self._queue.add_rate_limited(uid)
            finally:
                self._queue.done(uid)

    async def _carry_out(self, step: Step) -> bool:
        """Do it; False when the object has to be looked at again although nothing may happen to it."""
        entry = step.entry
        try:
            match step:
                case Verify(owner=owner):
                    return await self._verify(entry, owner)
                case Remove(propagation=propagation):
                    if await self._owners_are_gone(entry):
                        await self._client.delete(entry.kind, entry.key, uid=entry.uid, propagation=propagation)
                case Disown(owners=owners):
                    await self._strip(entry, "ownerReferences", owners)
                case Free(finalizer=finalizer):
                    await self._strip(entry, "finalizers", {finalizer})
        except NotFound:
            pass
        return True

    async def _verify(self, entry: Entry, owner: Owner) -> bool:
        if await self._is_gone(entry, owner):
            self._graph.confirm_gone(owner.uid)
            self._queue.add(entry.uid)
            return True
        # It is there and not seen: its kind is watched only from now on, or not at all. Ask again, less and less often.
        return owner.uid in self._graph.entries

    async def _owners_are_gone(self, entry: Entry) -> bool:
        """Asked of the server before anything is deleted: a watch that lost sight of a kind must not cost its dependents."""
        for owner in entry.owners:
            known = self._graph.entries.get(owner.uid)
            if known is not None and not known.waits:
                return False
            if known is None and not await self._is_gone(entry, owner):
                return False
        return True

    async def _is_gone(self, entry: Entry, owner: Owner) -> bool:
        served = find(self._served, owner.api_version, owner.kind)
        if served is None:
            raise ServiceUnavailable(f"the cluster serves no {owner.kind} in {owner.api_version}, or not yet")
        try:
            found = await self._metadata.get(served, owner.name, entry.key.namespace if served.namespaced else "")
        except NotFound:
            return True
        return uid_of(found) != owner.uid

    async def _strip(self, entry: Entry, field: str, unwanted: Iterable[str]) -> None:
        """Take items out of a list in an object's metadata."""
        out = set(unwanted)
        while True:
            found = await self._metadata.get(entry.kind, entry.key.name, entry.key.namespace)
            if uid_of(found) != entry.uid:
                return
            items = found["metadata"].get(field) or []
            kept = [i for i in items if (i.get("uid") if isinstance(i, dict) else i) not in out]
            if kept == items:
                return
            version = found["metadata"].get("resourceVersion")
            patch = {"metadata": {field: kept or None, "resourceVersion": version}}
            try:
                await self._client.patch(entry.kind, entry.key, patch)
                return
            except Conflict:
                continue


async def run(client: Client, informers: Informers) -> NoReturn:
    """Collect garbage until cancelled."""
    await Collector(client, informers).run()
    raise AssertionError("the collector ends only when cancelled")
