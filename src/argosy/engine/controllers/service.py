"""Runs all controllers of the engine in one task: the operators, and the loops that are not about one object."""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from argosy.client.client import Client
from argosy.clock import Clock
from argosy.control.pool import Informers
from argosy.control.runner import run_operators
from argosy.engine.controllers.claim import ephemeral as claim_ephemeral
from argosy.engine.controllers.claim.plan import PROVISIONER
from argosy.engine.controllers.garbage import events as garbage_events
from argosy.engine.controllers.garbage import loop as garbage_loop
from argosy.engine.controllers.garbage import pods as garbage_pods
from argosy.engine.controllers.job import orphans as job_orphans
from argosy.engine.controllers.namespace import loop as namespace_loop
from argosy.engine.controllers.node import loop as node_loop
from argosy.engine.controllers.registry import operators
from argosy.engine.controllers.settings import ControllerSettings
from argosy.engine.controllers.volume import loop as volume_loop
from argosy.errors import AlreadyExists, ApiError
from argosy.kinds import STORAGE_CLASS
from argosy.meta.json import Obj

_log = logging.getLogger(__name__)

_STANDARD: Obj = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
    "allowVolumeExpansion": True,
}


async def run(
    client: Client, settings: ControllerSettings, clock: Clock, *, informers: Informers | None = None
) -> NoReturn:
    """Run until cancelled. With `informers`, the copies of the cluster's state are shared with other components."""
    if informers is None:
        async with Informers(client) as own:
            await run(client, settings, clock, informers=own)
    async with asyncio.TaskGroup() as group:
        group.create_task(ensure_storage_class(client), name="storage class")
        chosen = operators(settings, clock)
        group.create_task(run_operators(client, chosen, clock=clock, workers=settings.workers, informers=informers))
        group.create_task(garbage_loop.run(client.named("generic-garbage-collector"), informers), name="garbage")
        group.create_task(garbage_pods.run(client.named("pod-garbage-collector"), informers), name="finished pods")
        group.create_task(garbage_events.run(client.named("event-garbage-collector"), clock), name="old events")
        group.create_task(namespace_loop.run(client.named("namespace-controller"), informers, clock), name="namespaces")
        group.create_task(node_loop.run(client.named("taint-eviction-controller"), informers, clock), name="evictions")
        group.create_task(job_orphans.run(client.named("job-controller"), informers), name="job orphans")
        ephemeral = claim_ephemeral.run(client.named("ephemeral-volume-controller"), informers)
        group.create_task(ephemeral, name="ephemeral volumes")
        volumes = volume_loop.run(client.named("persistentvolume-controller"), informers, settings.volumes_dir)
        group.create_task(volumes, name="volumes")
    raise AssertionError("controllers end only when cancelled")


async def ensure_storage_class(client: Client) -> None:
    """Make the class `standard`; one that is there, changed or not, is the user's own."""
    for attempt in range(10):
        try:
            await client.create(STORAGE_CLASS, _STANDARD)
            return
        except AlreadyExists:
            return
        except (ApiError, ConnectionError) as error:
            _log.debug("storage class: %s", error)
            await asyncio.sleep(0.1 * 2**attempt)
    _log.warning("the storage class standard could not be made; claims without a class will wait")
