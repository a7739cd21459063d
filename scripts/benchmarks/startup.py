"""How long `argosy up` takes, and what an engine uses that nobody asks for anything."""

from __future__ import annotations

import asyncio
import time

from argosy import kinds
from argosy.meta.objects import Key
from benchmarks import ground
from benchmarks.engines import following, home, phase, pod
from benchmarks.figures import Figure, milliseconds, quantile

_STARTS = 5
_IDLE_SECONDS = 10.0


async def up() -> list[Figure]:
    """`argosy up` in a home that has been used before, and how soon a pod runs after it."""
    async with home() as place:
        _, first = place.up()
        place.down()
        warm: list[float] = []
        processor: list[float] = []
        to_pod: list[float] = []
        for _ in range(_STARTS):
            began = time.perf_counter()
            pid, seconds = place.up()
            warm.append(seconds)
            processor.append(ground.cpu_seconds(pid))
            async with place.client() as client, following(client, kinds.POD) as pods:
                await client.create(kinds.POD, pod("first", ["sleep", "100"]))
                await pods.until(lambda: any(phase(p) == "Running" for p in pods.items()), 60)
                to_pod.append(time.perf_counter() - began)
                await client.delete(kinds.POD, Key("default", "first"), grace_seconds=0)
                await pods.until(lambda: not pods.items(), 60)
            place.down()
    return [
        Figure(
            "argosy up, warm",
            milliseconds(warm),
            "600 ms",
            f"the engine's own CPU: {quantile(processor, 0.5) * 1000:.0f} ms; kube-apiserver, controller-manager, scheduler"
            " and etcd 1.36: 2.4-3.5 s (measured on 2 cores)",
        ),
        Figure("argosy up, first time in a home", f"{first:.2f} s", "", "makes a CA and keys as well"),
        Figure("argosy up, and then a pod Running", milliseconds(to_pod), "", "the first pod of a fresh engine"),
    ]


async def idle() -> list[Figure]:
    """Memory and CPU of an engine with nothing to do."""
    async with home() as place:
        pid, _ = place.up()
        await asyncio.sleep(_IDLE_SECONDS)
        before = ground.cpu_seconds(pid)
        await asyncio.sleep(_IDLE_SECONDS)
        used = (ground.cpu_seconds(pid) - before) / _IDLE_SECONDS
        resident = ground.resident_bytes(pid)
    return [
        Figure(
            "idle engine, memory",
            f"{resident / 1e6:.0f} MB RSS",
            "90 MB",
            "499 MB for kube-apiserver, controller-manager, scheduler and etcd, without a kubelet"
            f" ({ground.KUBERNETES}: 755 MB)",
        ),
        Figure("idle engine, CPU", f"{used:.1%} of a core", "", "leases and heartbeats"),
    ]
