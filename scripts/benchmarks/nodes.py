"""A large cluster in one engine: its nodes listed as kubectl would, its pods scheduled, and the memory that it takes."""

from __future__ import annotations

import time

from argosy import kinds
from argosy.client.client import Client
from argosy.client.requests import JSON, Request
from argosy.meta.json import dig
from benchmarks import crowd, ground
from benchmarks.engines import Home, engine, following
from benchmarks.figures import Figure, milliseconds

_NODES = 7500
_PODS = 8000
_LISTS = 10
_CONNECTIONS = 48
_SECONDS_MAX = 240.0


async def nodes() -> list[Figure]:
    """7,500 pretended nodes, and 8,000 pods of one GPU on them."""
    peer = "kube-apiserver, scheduler and etcd 1.36, measured on 2 cores"
    async with engine() as (place, client):
        await _create(place, _NODES, "Node")
        lists = []
        for _ in range(_LISTS):
            began = time.perf_counter()
            answer = await client.raw(Request("GET", kinds.NODE.path(), headers={"accept": JSON}))
            lists.append(time.perf_counter() - began)
        size = len(answer.body)
        pid = place.pid()
        empty = ground.resident_bytes(pid)
        used = ground.cpu_seconds(pid)
        began = time.perf_counter()
        await _create(place, _PODS, "Pod")
        await _bound(client, _PODS)
        seconds = time.perf_counter() - began
        used = (ground.cpu_seconds(pid) - used) / _PODS
        resident = ground.resident_bytes(pid)
    return [
        Figure(
            f"LIST of {_NODES} Nodes, {size / 1e6:.1f} MB",
            milliseconds(lists),
            "p50 40 ms",
            f"150-730 ms for 8 MB ({peer})",
        ),
        Figure(
            f"{_PODS} Pods created and bound, {_NODES} Nodes",
            f"{_PODS / seconds:.0f}/s",
            "",
            f"{used * 1e6:.0f} us of the engine's CPU a pod; 186/s ({peer})",
        ),
        Figure(
            f"engine with {_NODES} Nodes and {_PODS} Pods, memory",
            f"{resident / 1e6:.0f} MB RSS",
            "350 MB",
            f"{empty / 1e6:.0f} MB before the pods; 1,625 MB ({peer})",
        ),
    ]


async def _create(place: Home, count: int, kind: str) -> None:
    async with crowd.run("create", str(place.path), str(count), str(_CONNECTIONS), kind) as process:
        await crowd.said(process)


async def _bound(client: Client, count: int) -> None:
    async with following(client, kinds.POD) as pods:
        if not await pods.until(
            lambda: sum(bool(dig(p, "spec", "nodeName")) for p in pods.items()) >= count, _SECONDS_MAX
        ):
            raise TimeoutError(f"{count} pods are not bound after {_SECONDS_MAX:.0f} s")
