"""Makes the claims of pods' generic ephemeral volumes; the pod owns them, so they go with it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NoReturn

from argosy.client.client import Client
from argosy.control.events import EventRecorder
from argosy.control.pool import Informers
from argosy.control.queue import WorkQueue
from argosy.engine.controllers.pods import is_finished
from argosy.errors import AlreadyExists, ApiError
from argosy.intent import Reason
from argosy.kinds import PERSISTENT_VOLUME_CLAIM, POD
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, is_controlled_by, is_deleting, key_of, name_of, namespace_of, owner_reference

_log = logging.getLogger(__name__)


def claims_for(pod: Obj) -> list[Obj]:
    """The claims that a pod's ephemeral volumes ask for. Pure; empty for nearly every pod."""
    made = []
    for volume in dig(pod, "spec", "volumes", default=()):
        template = dig(volume, "ephemeral", "volumeClaimTemplate")
        if template:
            meta = template.get("metadata") or {}
            made.append(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {
                        "name": f"{name_of(pod)}-{volume['name']}",
                        "namespace": namespace_of(pod),
                        "labels": dict(meta.get("labels") or {}),
                        "annotations": dict(meta.get("annotations") or {}),
                        "ownerReferences": [owner_reference(pod, POD)],
                    },
                    "spec": template.get("spec") or {},
                }
            )
    return made


async def run(client: Client, informers: Informers) -> NoReturn:
    """Follow pods until cancelled."""
    pods = informers.of(POD)
    queue: WorkQueue[Key] = WorkQueue()
    recorder = EventRecorder(client, "ephemeral-volume-controller")

    def consider(changed: Iterable[Obj]) -> None:
        for pod in changed:
            if claims_for(pod) and not is_deleting(pod) and not is_finished(pod):
                queue.add(key_of(pod))

    stop = pods.listen(lambda changes: consider(c.obj for c in changes if c.type == "ADDED"))
    try:
        await pods.synced()
        consider(pods.items())
        while True:
            key = await queue.get()
            try:
                pod = pods.get(key)
                if pod is not None:
                    await _make(client, recorder, pod)
                queue.forget(key)
            except (ApiError, ConnectionError, TimeoutError) as error:
                _log.debug("claims of pod %s: %s; it will be tried again", key, error)
                queue.add_rate_limited(key)
            finally:
                queue.done(key)
    finally:
        stop()


async def _make(client: Client, recorder: EventRecorder, pod: Obj) -> None:
    for claim in claims_for(pod):
        try:
            await client.create(PERSISTENT_VOLUME_CLAIM, claim)
        except AlreadyExists:
            found = await client.get(PERSISTENT_VOLUME_CLAIM, name_of(claim), namespace_of(claim))
            if not is_controlled_by(found, pod):
                message = f"PVC {name_of(claim)} was not created for this pod; delete or rename it."
                recorder.emit(POD, pod, Reason("VolumeNotOwned", message, warning=True))
