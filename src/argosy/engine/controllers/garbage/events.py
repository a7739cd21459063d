"""Keeps Events from piling up: each goes an hour after it was last written, as in Kubernetes.

There the key of an Event has a lease in etcd; here somebody looks, every minute, at what is old.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NoReturn

from argosy.client.client import Client
from argosy.clock import Clock, parse_time
from argosy.errors import ApiError, NotFound
from argosy.kinds import EVENT
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, uid_of

_log = logging.getLogger(__name__)

LIFE = timedelta(hours=1)
_LOOK_SECONDS = 60.0
_PAGE = 500


def outlived(events: Iterable[Obj], now: datetime) -> list[Obj]:
    """Those that nobody has written for an hour. Pure.

    When an Event was last written shows in the times that it tells. Those in the future are not believed, and one that
    was created with times long past still has its hour.
    """
    return [event for event in events if now - _written(event, now) > LIFE]


def _written(event: Obj, now: datetime) -> datetime:
    told = (
        dig(event, "metadata", "creationTimestamp"),
        event.get("firstTimestamp"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        dig(event, "series", "lastObservedTime"),
    )
    return max((moment for text in told if (moment := _moment(text)) is not None and moment <= now), default=now)


def _moment(text: object) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) and text else None
    except ValueError:
        return None


async def run(client: Client, clock: Clock) -> NoReturn:
    """Look now and then, page by page so that nothing else waits, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)  # first of all: nothing is so urgent that a start should wait for it
        try:
            await sweep(client, clock.now())
        except (ApiError, ConnectionError) as error:
            _log.debug("old events could not be removed, trying again: %s", error)


async def sweep(client: Client, now: datetime) -> None:
    """Remove every Event that has had its hour."""
    token = ""
    while True:
        page = await client.list(EVENT, limit=_PAGE, continue_token=token)
        for event in outlived(page.items, now):
            try:
                await client.delete(EVENT, key_of(event), uid=uid_of(event))
            except NotFound:
                continue
        token = page.continue_token
        if not token:
            return
        await asyncio.sleep(0)
