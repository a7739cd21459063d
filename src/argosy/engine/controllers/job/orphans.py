"""Frees pods whose Job is gone: the finalizer that kept them countable must not keep them for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import NoReturn

from argosy.client.client import Client
from argosy.control.cache import OWNER
from argosy.control.informer import Informer
from argosy.control.pool import Informers
from argosy.control.queue import WorkQueue
from argosy.engine.controllers.job.census import TRACKING
from argosy.errors import ApiError, Conflict, NotFound
from argosy.kinds import JOB, POD
from argosy.meta.json import Obj
from argosy.meta.objects import Key, controller_of, is_deleting, key_of, namespace_of, uid_of

_log = logging.getLogger(__name__)


async def run(client: Client, informers: Informers) -> NoReturn:
    """Follow pods that are being deleted, until cancelled."""
    pods, jobs = informers.of(POD), informers.of(JOB)
    queue: WorkQueue[Key] = WorkQueue()

    def consider(changed: Iterable[Obj]) -> None:
        for pod in changed:
            if is_deleting(pod) and TRACKING in (pod["metadata"].get("finalizers") or ()):
                queue.add(key_of(pod))

    def job_gone(deleted: Iterable[Obj]) -> None:
        for job in deleted:
            consider(pods.indexed(OWNER, uid_of(job)))

    stops = [
        pods.listen(lambda changes: consider(c.obj for c in changes if c.type != "DELETED")),
        jobs.listen(lambda changes: job_gone(c.obj for c in changes if c.type == "DELETED")),
    ]
    try:
        await pods.synced()
        await jobs.synced()
        consider(pods.items())
        await _follow(client, pods, jobs, queue)
    finally:
        for stop in stops:
            stop()
    raise AssertionError("it ends only when cancelled")


async def _follow(client: Client, pods: Informer, jobs: Informer, queue: WorkQueue[Key]) -> NoReturn:
    while True:
        key = await queue.get()
        try:
            pod = pods.get(key)
            if pod is not None and is_deleting(pod) and await _is_orphan(client, jobs.get, pod):
                await _free(client, pod)
            queue.forget(key)
        except (ApiError, ConnectionError, TimeoutError) as error:
            _log.debug("pod %s: %s; it will be tried again", key, error)
            queue.add_rate_limited(key)
        finally:
            queue.done(key)


async def _is_orphan(client: Client, known: Callable[[Key], Obj | None], pod: Obj) -> bool:
    owner = controller_of(pod)
    if owner is None or owner.get("kind") != "Job":
        return True
    job = known(Key(namespace_of(pod), owner["name"]))
    if job is not None:
        return bool(uid_of(job) != owner["uid"])
    try:
        found = await client.get(JOB, owner["name"], namespace_of(pod))
    except NotFound:
        return True
    return bool(uid_of(found) != owner["uid"])


async def _free(client: Client, pod: Obj) -> None:
    kept = [f for f in pod["metadata"].get("finalizers") or () if f != TRACKING]
    patch = {"metadata": {"finalizers": kept or None, "uid": uid_of(pod)}}
    try:
        await client.patch(POD, key_of(pod), patch)
    except (NotFound, Conflict):
        return
