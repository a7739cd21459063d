"""Keeps finished pods from piling up: of more than twelve and a half thousand the oldest go, as in Kubernetes."""

from __future__ import annotations

import asyncio
import logging
from typing import NoReturn

from argosy.client.client import Client
from argosy.control.pool import Informers
from argosy.engine.controllers.pods import is_finished
from argosy.errors import ApiError, NotFound
from argosy.kinds import POD
from argosy.meta.json import Obj
from argosy.meta.objects import created_of, is_deleting, key_of, uid_of

_log = logging.getLogger(__name__)

FINISHED_MAX = 12_500
_LOOK_SECONDS = 20.0


def surplus(pods: list[Obj], limit: int) -> list[Obj]:
    """The oldest finished pods beyond `limit`. Pure."""
    if len(pods) <= limit:
        return []
    finished = [pod for pod in pods if is_finished(pod) and not is_deleting(pod)]
    finished.sort(key=lambda pod: (created_of(pod), key_of(pod)))
    return finished[: max(0, len(finished) - limit)]


async def run(client: Client, informers: Informers, limit: int = FINISHED_MAX) -> NoReturn:
    """Look now and then, until cancelled: this is about thousands, so a look is cheap and need not be prompt."""
    pods = informers.of(POD)
    await pods.synced()
    while True:
        for pod in surplus(list(pods.items()), limit):
            try:
                await client.delete(POD, key_of(pod), uid=uid_of(pod), grace_seconds=0)
            except NotFound:
                continue
            except (ApiError, ConnectionError) as error:
                _log.debug("finished pod %s could not be deleted: %s", key_of(pod), error)
                break
        await asyncio.sleep(_LOOK_SECONDS)
