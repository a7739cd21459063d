"""Waiting for an object to become what one wants, by a watch, telling what it is waiting for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import NoReturn

from argosy.client.client import Client
from argosy.errors import ApiError, Expired, UserError
from argosy.meta.conditions import find, is_true
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key
from argosy.sdk import why
from argosy.sdk.investigating import investigate

Verdict = Callable[[Obj], bool]
"""Whether the object is there; raises to give up."""

_ASK_FIRST_SECONDS, _ASK_LAST_SECONDS = 3.0, 60.0
"""How long to wait before asking what holds an object up: at first, and at the most."""


async def until(
    client: Client,
    kind: Kind,
    key: Key,
    satisfied: Verdict,
    *,
    timeout_seconds: float,
    seen: Callable[[Obj], None] = lambda _: None,
    held_up: Callable[[str], None] | None = None,
    comes_back: bool = False,
) -> Obj:
    """The first state of the object that satisfies; `seen` hears of every state, `held_up` now and then of what it waits
    for. Raises UserError when time is up, or when the object is deleted and nobody is expected to make it again
    (`comes_back`).
    """
    asking = asyncio.create_task(_keep_asking(client, kind, key, held_up)) if held_up is not None else None
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                try:
                    return await _watch(client, kind, key, satisfied, seen, comes_back)
                except (Expired, ConnectionError):
                    await asyncio.sleep(0.5)
    except TimeoutError:
        because = await _because(client, kind, key)
        raise UserError(
            f"{kind.singular}/{key.name} was not ready after {timeout_seconds:.0f} s{f': {because}' if because else ''}",
            f"see: argosy why {kind.singular}/{key.name} -n {key.namespace}",
        ) from None
    finally:
        if asking is not None:
            asking.cancel()


async def _keep_asking(client: Client, kind: Kind, key: Key, held_up: Callable[[str], None]) -> NoReturn:
    pause, said = _ASK_FIRST_SECONDS, ""
    while True:
        await asyncio.sleep(pause)
        because = await _because(client, kind, key)
        if because not in ("", said):
            held_up(because)
        pause, said = min(pause * 1.5, _ASK_LAST_SECONDS), because


async def _because(client: Client, kind: Kind, key: Key) -> str:
    try:
        return why.innermost(await investigate(client, kind, key.name, key.namespace))
    except (ApiError, ConnectionError):
        return ""


def succeeded_or_raise(job: Obj) -> bool:
    """The verdict for training jobs of any kind: True once one has ended well. Raises UserError when Failed."""
    failed = find(job, "Failed")
    if failed is not None and failed.get("status") == "True":
        name = job["metadata"]["name"]
        raise UserError(
            f"{job['kind']} {name} failed: {failed.get('message') or failed.get('reason')}",
            f"see: argosy why {str(job['kind']).lower()}/{name}",
        )
    return any(is_true(job, type) for type in ("Succeeded", "Complete", "Completed"))


async def _watch(
    client: Client, kind: Kind, key: Key, satisfied: Verdict, seen: Callable[[Obj], None], comes_back: bool
) -> Obj:
    field = f"metadata.name={key.name}"
    listed = await client.list(kind, key.namespace, fields=field)
    for obj in listed.items:
        seen(obj)
        if satisfied(obj):
            return obj
    events = client.watch(kind, key.namespace, since=listed.resource_version, fields=field)
    async with aclosing(events):
        async for event in events:
            if event.type == "BOOKMARK":
                continue
            if event.type == "DELETED" and comes_back:
                continue
            if event.type == "DELETED":
                raise UserError(f"{kind.singular}/{key.name} was deleted while it was waited for", "apply it again")
            seen(event.obj)
            if satisfied(event.obj):
                return event.obj
    raise ConnectionError("the watch ended")
