"""Removes the data of released volumes, then the volumes: the one part of storage that touches the disk."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from argosy.client.client import Client
from argosy.control.pool import Informers
from argosy.control.queue import WorkQueue
from argosy.engine.controllers.volume.plan import claim_key, must_be_wiped
from argosy.errors import ApiError, NotFound
from argosy.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of, uid_of

_log = logging.getLogger(__name__)


async def run(client: Client, informers: Informers, volumes_dir: Path) -> NoReturn:
    """Follow the volumes until cancelled."""
    volumes = informers.of(PERSISTENT_VOLUME)
    queue: WorkQueue[Key] = WorkQueue()

    def consider(changed: Iterable[Obj]) -> None:
        for volume in changed:
            if must_be_wiped(volume):
                queue.add(key_of(volume))

    stop = volumes.listen(lambda changes: consider(change.obj for change in changes))
    await volumes.synced()
    consider(volumes.items())
    try:
        while True:
            key = await queue.get()
            try:
                found = volumes.get(key)
                if found is not None and must_be_wiped(found):
                    await _wipe(client, found, volumes_dir)
                queue.forget(key)
            except (ApiError, ConnectionError, OSError) as error:
                _log.warning("volume %s could not be removed, it will be tried again: %s", key, error)
                queue.add_rate_limited(key)
            finally:
                queue.done(key)
    finally:
        stop()


async def _wipe(client: Client, volume: Obj, volumes_dir: Path) -> None:
    if await _is_claimed(client, volume):
        return
    path = Path(str(dig(volume, "spec", "hostPath", "path", default="")))
    if volumes_dir.resolve() in path.resolve().parents:  # never anything but what was made here
        await asyncio.to_thread(_remove, path)
    await client.delete(PERSISTENT_VOLUME, key_of(volume), uid=uid_of(volume))


async def _is_claimed(client: Client, volume: Obj) -> bool:
    """Asked of the server, not of a cache: what follows cannot be undone."""
    key = claim_key(volume)
    try:
        claim = await client.get(PERSISTENT_VOLUME_CLAIM, key.name, key.namespace)
    except NotFound:
        return False
    return bool(uid_of(claim) == dig(volume, "spec", "claimRef", "uid"))


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
