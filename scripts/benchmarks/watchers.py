"""A kind that many watch and that changes often: what those see, and what a GET waits for meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time

from argosy import kinds
from argosy.client.client import Client
from argosy.meta.objects import Key
from benchmarks.engines import NAMESPACE, engine
from benchmarks.figures import Figure, milliseconds

_WATCHERS = 1000
_CHANGES_PER_SECOND = 100
_SECONDS = 10.0
_KEY = Key(NAMESPACE, "watched")


async def watchers() -> list[Figure]:
    """1,000 watches of config maps of which one changes 100 times a second."""
    async with engine() as (place, client), place.client(connections=_WATCHERS + 10) as many:
        await client.create(kinds.CONFIG_MAP, {"metadata": {"name": _KEY.name, "namespace": NAMESPACE}})
        seen = [0] * _WATCHERS
        waits: list[float] = []
        listening = [asyncio.ensure_future(_watch(many, seen, each)) for each in range(_WATCHERS)]
        try:
            while min(seen) == 0:  # noqa: ASYNC110 (a thousand counters have no event of their own)
                await asyncio.sleep(0.05)
            asking = asyncio.ensure_future(_ask(client, waits))
            changes = await _change(client)
            asking.cancel()
            late = time.perf_counter()
            while min(seen) < changes and time.perf_counter() - late < _SECONDS:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            behind = time.perf_counter() - late
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
    beside = (
        f"{_WATCHERS} watchers here, in the same cores; they had all of {changes} changes {behind:.1f} s after the last"
    )
    return [
        Figure("a GET while 1,000 watch 100 changes/s", milliseconds(waits), "50 ms", beside),
        Figure("changes/s while 1,000 watch", f"{changes / _SECONDS:.0f}/s", f"{_CHANGES_PER_SECOND}/s"),
    ]


async def _watch(client: Client, seen: list[int], each: int) -> None:
    async for event in client.watch(kinds.CONFIG_MAP, NAMESPACE, fields=f"metadata.name={_KEY.name}"):
        if event.type in ("ADDED", "MODIFIED"):
            seen[each] += 1


async def _ask(client: Client, waits: list[float]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            began = time.perf_counter()
            await client.get(kinds.NAMESPACE, NAMESPACE)
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.02)


async def _change(client: Client) -> int:
    """Change the object so many times a second; how often it was."""
    began, made = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < _SECONDS:
        await client.patch(kinds.CONFIG_MAP, _KEY, {"data": {"n": str(made)}})
        made += 1
        await asyncio.sleep(max(0.0, made / _CHANGES_PER_SECOND - now))
    return made
