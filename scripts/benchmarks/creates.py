"""Durable creates over HTTP: how many a second, and what one costs the engine."""

from __future__ import annotations

from benchmarks import crowd, ground
from benchmarks.engines import engine
from benchmarks.figures import Figure

_COUNT = 6000
_CONNECTIONS = 48


async def creates() -> list[Figure]:
    """Small objects of three kinds, each answered once it is on the disk."""
    figures = []
    async with engine() as (place, _):
        pid = place.pid()
        for kind in ("ConfigMap", "Node", "held Pod"):
            used = ground.cpu_seconds(pid)
            async with crowd.run("create", str(place.path), str(_COUNT), str(_CONNECTIONS), kind) as process:
                told = await crowd.said(process)
            cost = (ground.cpu_seconds(pid) - used) / _COUNT
            figures.append(
                Figure(
                    f"creates of a {kind}, {_CONNECTIONS} connections",
                    f"{_COUNT / told['seconds']:.0f}/s",
                    "2,000/s",
                    f"p50 / p99 {told['p50'] * 1000:.0f} / {told['p99'] * 1000:.0f} ms; {cost * 1e6:.0f} us of the engine's"
                    " CPU each; 460-660 Nodes/s, 285-327 Pods/s (kube-apiserver and etcd 1.36, measured on 2 cores)",
                )
            )
    return figures
