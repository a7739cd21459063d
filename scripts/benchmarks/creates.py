"""Durable creates over HTTP: how many a second, and what one costs the engine."""

from __future__ import annotations

from benchmarks import crowd, ground
from benchmarks.engines import Home, engine
from benchmarks.figures import Figure

_COUNT = 6000
_CONNECTIONS = 48
_PEER = "kube-apiserver and etcd 1.36, measured on 2 cores"
_KINDS = {"ConfigMap": "", "Node": f"; 460-660/s ({_PEER})", "held Pod": f"; 285-327/s ({_PEER})"}


async def creates() -> list[Figure]:
    """Small objects of three kinds, each answered once it is on the disk; beside what a dry run of the smallest costs,
    which is the way there and back without the disk: a ratio of CPU times holds on a busy machine, too.
    """
    figures = []
    async with engine() as (place, _):
        pid = place.pid()
        _, tried = await _measured(place, pid, "ConfigMap tried")
        for kind, peer in _KINDS.items():
            told, cost = await _measured(place, pid, kind)
            figures.append(
                Figure(
                    f"creates of a {kind}, {_CONNECTIONS} connections",
                    f"{_COUNT / told['seconds']:.0f}/s",
                    "2,000/s",
                    f"p50 / p99 {told['p50'] * 1000:.0f} / {told['p99'] * 1000:.0f} ms; {cost * 1e6:.0f} us of the engine's"
                    f" CPU each, {cost / tried:.1f} of a ConfigMap's dry run{peer}",
                )
            )
    return figures


async def _measured(place: Home, pid: int, kind: str) -> tuple[dict[str, float], float]:
    """What the crowd says of its creates, and the engine's CPU seconds for each."""
    used = ground.cpu_seconds(pid)
    async with crowd.run("create", str(place.path), str(_COUNT), str(_CONNECTIONS), kind) as process:
        told = await crowd.said(process)
    return told, (ground.cpu_seconds(pid) - used) / _COUNT
