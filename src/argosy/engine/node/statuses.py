"""Writes pod statuses: promptly, and as few as will do.

How long a change may wait is decided in `status.patience`. A limited number of writes is under way at a time, and each is
composed when its turn comes: under load several changes of a pod melt into one write by themselves.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Protocol

from argosy import kinds
from argosy.client.client import Client
from argosy.errors import ApiError, Conflict, NotFound
from argosy.meta.json import Obj
from argosy.meta.objects import key_of, uid_of

_log = logging.getLogger(__name__)

AT_ONCE = 16
_RETRY_SECONDS = 2.0
_ATTEMPTS = 5


class Reporter(Protocol):
    """A pod whose status is to be written."""

    uid: str
    pod: Obj
    """The newest object known."""

    def status(self) -> Obj | None:
        """The status as it should be; None when there is nothing (more) to report."""
        ...

    def written(self, pod: Obj) -> None:
        """The object that came back."""
        ...


class Statuses:
    """The queue of statuses of one engine."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: dict[str, Reporter] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._sent: dict[str, Obj] = {}

    def changed(self, reporter: Reporter, patience_seconds: float) -> None:
        """A pod's status is not what it was; write it within so many seconds."""
        uid = reporter.uid
        if uid in self._waiting:
            return
        timer = self._timers.get(uid)
        if patience_seconds <= 0:
            self._due(reporter)
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + patience_seconds
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timers[uid] = loop.call_at(at, self._due, reporter)

    async def flush(self, reporter: Reporter) -> None:
        """Write what is there to be written about a pod, and wait for it."""
        timer = self._timers.pop(reporter.uid, None)
        if timer is not None:
            timer.cancel()
        self._waiting.pop(reporter.uid, None)
        current = self._writing.get(reporter.uid)
        if current is not None:
            await asyncio.wait({current})
        await self._write(reporter)

    def forget(self, uid: str) -> None:
        """The pod is gone, or is no longer ours to report."""
        self._waiting.pop(uid, None)
        self._sent.pop(uid, None)
        timer = self._timers.pop(uid, None)
        if timer is not None:
            timer.cancel()

    async def close(self) -> None:
        """Write what is pending, soon."""
        for timer in list(self._timers.values()):
            timer.cancel()
        self._timers.clear()
        if self._writing:
            await asyncio.wait(set(self._writing.values()), timeout=2.0)

    def _due(self, reporter: Reporter) -> None:
        timer = self._timers.pop(reporter.uid, None)
        if timer is not None:
            timer.cancel()
        self._waiting[reporter.uid] = reporter
        self._pump()

    def _pump(self) -> None:
        for uid in list(self._waiting):
            if len(self._writing) >= AT_ONCE:
                return
            if uid in self._writing:
                continue
            reporter = self._waiting.pop(uid)
            task = asyncio.create_task(self._write(reporter), name=f"status of pod {uid}")
            self._writing[uid] = task
            task.add_done_callback(partial(self._done, uid))

    def _done(self, uid: str, _: asyncio.Task[None]) -> None:
        self._writing.pop(uid, None)
        self._pump()

    async def _write(self, reporter: Reporter) -> None:
        for _ in range(_ATTEMPTS):
            status = reporter.status()
            if status is None or status == self._sent.get(reporter.uid):
                return
            pod = reporter.pod
            try:
                updated = await self._client.update(kinds.POD, {**pod, "status": status}, subresource="status")
                reporter.written(updated)
                self._sent[reporter.uid] = status
                return
            except NotFound:
                return
            except Conflict:
                self._sent.pop(reporter.uid, None)
                if not await self._catch_up(reporter):
                    return
            except (ApiError, ConnectionError) as error:
                _log.warning("cannot write the status of pod %s, trying again: %s", key_of(pod), error)
                break
        self.changed(reporter, _RETRY_SECONDS)

    async def _catch_up(self, reporter: Reporter) -> bool:
        """Read the object that somebody else has changed; False when it is another one now, or gone."""
        key = key_of(reporter.pod)
        try:
            pod = await self._client.get(kinds.POD, key.name, key.namespace)
        except (ApiError, ConnectionError):
            return False
        if uid_of(pod) != reporter.uid:
            return False
        reporter.written(pod)
        return True
