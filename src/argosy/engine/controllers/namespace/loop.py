"""Empties namespaces that are being deleted: everything in them, of every kind that is served, then the finalizer.

Pods take their grace period and finalizers their time; until all is gone the namespace says in its conditions what is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

from argosy.client.client import Client
from argosy.client.discovery import discover
from argosy.client.requests import Request
from argosy.clock import Clock
from argosy.control.pool import Informers
from argosy.control.queue import WorkQueue
from argosy.engine.controllers.namespace.remains import Remains, conditions_for
from argosy.errors import ApiError, Conflict, MethodNotAllowed, NotFound
from argosy.kinds import EVENT, NAMESPACE
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, is_deleting, key_of, name_of

_log = logging.getLogger(__name__)

_WORKERS = 4
_FIRST_LOOK_SECONDS = 0.03
_LAST_LOOK_SECONDS = 2.0
FINALIZER = "kubernetes"


class Emptier:
    """Follows namespaces and empties those that go."""

    def __init__(self, client: Client, informers: Informers, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._namespaces = informers.of(NAMESPACE)
        self._queue: WorkQueue[Key] = WorkQueue(first_seconds=_FIRST_LOOK_SECONDS, last_seconds=_LAST_LOOK_SECONDS)

    async def run(self) -> NoReturn:
        """Until cancelled."""
        stop = self._namespaces.listen(lambda changes: self._consider(change.obj for change in changes))
        try:
            await self._namespaces.synced()
            self._consider(self._namespaces.items())
            async with asyncio.TaskGroup() as group:
                for number in range(_WORKERS):
                    group.create_task(self._work(), name=f"namespaces {number}")
        finally:
            stop()
        raise AssertionError("workers end only when cancelled")

    def _consider(self, namespaces: Iterable[Obj]) -> None:
        for namespace in namespaces:
            if is_deleting(namespace) and FINALIZER in (namespace.get("spec") or {}).get("finalizers", ()):
                self._queue.add(key_of(namespace))

    async def _work(self) -> NoReturn:
        while True:
            key = await self._queue.get()
            try:
                namespace = self._namespaces.get(key)
                if namespace is None or not is_deleting(namespace) or await self._empty(namespace):
                    self._queue.forget(key)
                else:
                    self._queue.add_rate_limited(key)
            except (ApiError, ConnectionError, TimeoutError) as error:
                _log.debug("namespace %s: %s; it will be tried again", key.name, error)
                self._queue.add_rate_limited(key)
            except Exception:
                _log.exception("namespace %s could not be emptied; it will be tried again", key.name)
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)

    async def _empty(self, namespace: Obj) -> bool:
        """One pass over all kinds; True when nothing was left and the namespace was let go."""
        name = name_of(namespace)
        remains = Remains()
        kinds = _deletable(await discover(self._client))
        for kind in kinds:
            await self._clear(kind, name, remains)
        if remains.counts:
            await self._tell(namespace, remains)
            return False
        await self._clear(EVENT, name, Remains())  # whatever the deletions themselves gave rise to
        spec = {"finalizers": [f for f in namespace["spec"].get("finalizers") or () if f != FINALIZER]}
        body = {**namespace, "spec": spec}
        try:
            path = f"{NAMESPACE.path(name=name)}/finalize"
            await self._client.raw(Request("PUT", path, headers={"content-type": "application/json"}, obj=body))
        except Conflict:
            return False
        except NotFound:
            pass
        return True

    async def _clear(self, kind: Kind, namespace: str, remains: Remains) -> None:
        try:
            present = (await self._client.list(kind, namespace)).items
            if not present:
                return
            if any(not is_deleting(obj) for obj in present):
                await self._delete_all(kind, namespace, present)
                present = (await self._client.list(kind, namespace)).items
        except (NotFound, MethodNotAllowed):
            return  # the kind itself went in the meantime
        if present:
            remains.counts[kind.resource] = len(present)
            remains.finalizers += Counter(f for obj in present for f in obj["metadata"].get("finalizers") or ())

    async def _delete_all(self, kind: Kind, namespace: str, present: list[Obj]) -> None:
        if "deletecollection" in kind.verbs:
            options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
            request = Request("DELETE", kind.path(namespace), headers={"content-type": "application/json"}, obj=options)
            await self._client.raw(request)
            return
        for obj in present:
            try:
                await self._client.delete(kind, key_of(obj))
            except NotFound:
                continue

    async def _tell(self, namespace: Obj, remains: Remains) -> None:
        """Write what is left, if that is news."""
        status = dict(namespace.get("status") or {})
        conditions = conditions_for(status.get("conditions") or (), remains, self._clock.now())
        if conditions == status.get("conditions"):
            return
        status["conditions"] = conditions
        try:
            await self._client.update(NAMESPACE, {**namespace, "status": status}, subresource="status")
        except (Conflict, NotFound):
            return


def _deletable(kinds: Iterable[Kind]) -> list[Kind]:
    """One version of each namespaced kind that can be emptied; pods last, since what owns them goes first."""
    found: dict[tuple[str, str], Kind] = {}
    for kind in kinds:
        if kind.namespaced and {"list", "delete"} <= set(kind.verbs):
            found.setdefault((kind.group, kind.plural), kind)
    found.pop(("events.k8s.io", "events"), None)  # the same objects as the core group's
    return sorted(found.values(), key=lambda kind: (kind.kind == "Pod", kind.kind == "Event"))


async def run(client: Client, informers: Informers, clock: Clock) -> NoReturn:
    """Empty namespaces until cancelled."""
    await Emptier(client, informers, clock).run()
    raise AssertionError("workers end only when cancelled")
