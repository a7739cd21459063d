"""Pods: from the request to a running process, one at a time and many at once; and an engine that finds them again."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from argosy import kinds
from argosy.client.client import Client
from argosy.control.informer import Informer
from argosy.errors import BadRequest
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from benchmarks import ground
from benchmarks.engines import NAMESPACE, engine, following, phase, pod
from benchmarks.figures import Figure, milliseconds

_ONE_BY_ONE = 60
_AT_ONCE = 100
_ADOPTED = 200
_SECONDS_MAX = 120.0
_REQUESTS_AT_ONCE = 16


async def pods() -> list[Figure]:
    """Create to Running of single pods and of a crowd, and how soon a crowd is gone."""
    async with engine() as (_, client), following(client, kinds.POD) as copy:
        single = [await _until_running(client, copy, f"single-{number}") for number in range(_ONE_BY_ONE)]
        await remove_all(client, copy)
        began = time.perf_counter()
        await create(client, [pod(f"crowd-{number}", ["sleep", "1000"]) for number in range(_AT_ONCE)])
        await all_running(copy, _AT_ONCE)
        crowd = time.perf_counter() - began
        began = time.perf_counter()
        await remove_all(client, copy)
        gone = time.perf_counter() - began
    starts = ground.process_starts_per_second()
    return [
        Figure(
            "pod create to Running (L2, host tools)",
            milliseconds(single),
            "p50 60 ms",
            f"fork+exec+wait of /bin/true: {1000 / starts:.2f} ms; 573 ms p50 ({ground.KUBERNETES})",
        ),
        Figure(
            f"{_AT_ONCE} pods at once, all Running",
            f"{crowd:.2f} s ({_AT_ONCE / crowd:.0f}/s)",
            "",
            f"{_AT_ONCE} processes alone: {_AT_ONCE / starts:.2f} s; 50 pods in 8.4 s ({ground.KUBERNETES})",
        ),
        Figure(f"{_AT_ONCE} pods deleted, all gone", f"{gone:.2f} s ({_AT_ONCE / gone:.0f}/s)"),
    ]


async def adopt() -> list[Figure]:
    """An engine that is killed (-9) and started again finds its pods as they were."""
    async with engine() as (place, client):
        async with following(client, kinds.POD) as copy:
            await create(client, [pod(f"kept-{number}", ["sleep", "1000"]) for number in range(_ADOPTED)])
            await all_running(copy, _ADOPTED)
            before = {name: _container(found) for (_, name), found in _by_key(copy).items()}
        os.kill(place.pid(), signal.SIGKILL)
        began = time.perf_counter()
        _, ready = place.up()
        async with place.client() as again:
            # A log can only be had of a pod that the new node agent has taken over.
            await _logs_of_all(again, sorted(before))
            adopted = time.perf_counter() - began
            after = {found["metadata"]["name"]: _container(found) for found in (await again.list(kinds.POD)).items}
        kept = sum(after.get(name) == container for name, container in before.items())
    return [
        Figure(f"restart with {_ADOPTED} running pods: ready", f"{ready:.2f} s"),
        Figure(
            f"restart with {_ADOPTED} running pods: all adopted",
            f"{adopted:.2f} s, {kept} kept",
            "",
            "no container was started again",
        ),
    ]


async def _until_running(client: Client, copy: Informer, name: str) -> float:
    began = time.perf_counter()
    await client.create(kinds.POD, pod(name, ["sleep", "1000"]))
    key = Key(NAMESPACE, name)
    if not await copy.until(lambda: phase(copy.get(key)) == "Running", _SECONDS_MAX):
        raise TimeoutError(f"the pod {name} does not run")
    return time.perf_counter() - began


async def create(client: Client, objects: list[Obj]) -> None:
    """Create pods, several requests at a time."""
    pending = iter(objects)

    async def work() -> None:
        for obj in pending:
            await client.create(kinds.POD, obj)

    await asyncio.gather(*[work() for _ in range(_REQUESTS_AT_ONCE)])


async def all_running(copy: Informer, count: int, seconds: float = _SECONDS_MAX) -> None:
    """Wait until that many pods run. Raises TimeoutError."""
    if not await copy.until(lambda: sum(phase(p) == "Running" for p in copy.items()) >= count, seconds):
        running = sum(phase(p) == "Running" for p in copy.items())
        raise TimeoutError(f"{running} of {count} pods run after {seconds:.0f} s")


async def remove_all(client: Client, copy: Informer, seconds: float = _SECONDS_MAX) -> None:
    """Delete every pod and wait until they are gone. Raises TimeoutError."""
    pending = iter([found["metadata"]["name"] for found in copy.items()])

    async def work() -> None:
        for name in pending:
            await client.delete(kinds.POD, Key(NAMESPACE, name), grace_seconds=0)

    await asyncio.gather(*[work() for _ in range(_REQUESTS_AT_ONCE)])
    if not await copy.until(lambda: not copy.items(), seconds):
        raise TimeoutError(f"{len(copy.items())} pods are not gone after {seconds:.0f} s")


async def _logs_of_all(client: Client, names: list[str]) -> None:
    deadline = time.monotonic() + _SECONDS_MAX
    waiting = list(names)
    while waiting and time.monotonic() < deadline:
        name = waiting[-1]
        try:
            async for _ in client.logs(kinds.POD, Key(NAMESPACE, name)):
                pass
            waiting.pop()
        except BadRequest:
            await asyncio.sleep(0.005)


def _by_key(copy: Informer) -> dict[Key, Obj]:
    return {Key(NAMESPACE, found["metadata"]["name"]): found for found in copy.items()}


def _container(obj: Obj) -> str:
    statuses = obj.get("status", {}).get("containerStatuses") or [{}]
    return str(statuses[0].get("containerID", ""))
