"""A kind that many watch and that changes often: what those see, and what a GET waits for meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time

from argosy import kinds
from argosy.client.client import Client
from argosy.meta.objects import Key
from benchmarks import crowd, ground
from benchmarks.engines import NAMESPACE, engine
from benchmarks.figures import Figure, milliseconds

_WATCHERS = 1000
_CHANGES_PER_SECOND = 100
_SECONDS = 10.0
_KEY = Key(NAMESPACE, "watched")


async def watchers() -> list[Figure]:
    """1,000 watches of config maps of which one changes 100 times a second."""
    path = f"{kinds.CONFIG_MAP.path(NAMESPACE)}?watch=true&fieldSelector=metadata.name%3D{_KEY.name}"
    async with engine() as (place, client):
        await client.create(kinds.CONFIG_MAP, {"metadata": {"name": _KEY.name, "namespace": NAMESPACE}})
        async with crowd.run("watch", str(place.path), str(_WATCHERS), path) as process:
            await crowd.said(process)
            waits: list[float] = []
            pid = place.pid()
            used = ground.cpu_seconds(pid)
            asking = asyncio.ensure_future(_ask(client, waits))
            changes = await _change(client)
            asking.cancel()
            used = (ground.cpu_seconds(pid) - used) / _SECONDS
            late = time.perf_counter()
            assert process.stdin is not None, "it was asked for"
            process.stdin.write(f"{changes + 1}\n".encode())
            fewest, _ = await crowd.said(process)
            behind = time.perf_counter() - late
    beside = (
        f"{_WATCHERS} watchers in a process of these cores; they had {fewest - 1} of {changes} changes"
        f" {behind:.1f} s after the last; {used:.0%} of a core for the engine"
    )
    return [
        Figure("a GET while 1,000 watch 100 changes/s", milliseconds(waits), "p99 50 ms", beside),
        Figure("changes/s while 1,000 watch", f"{changes / _SECONDS:.0f}/s", f"{_CHANGES_PER_SECOND}/s"),
    ]


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
