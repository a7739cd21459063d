"""A large cluster's nodes in one engine: created, and listed as kubectl would."""

from __future__ import annotations

import asyncio
import time

from argosy import kinds
from argosy.client.client import Client
from argosy.client.requests import JSON, Request
from argosy.meta.json import Obj
from benchmarks import ground
from benchmarks.engines import engine
from benchmarks.figures import Figure, milliseconds

_NODES = 7500
_LISTS = 10
_REQUESTS_AT_ONCE = 16


async def nodes() -> list[Figure]:
    """7,500 pretended nodes."""
    async with engine() as (place, client):
        began = time.perf_counter()
        await _create(client)
        created = time.perf_counter() - began
        lists = []
        for _ in range(_LISTS):
            began = time.perf_counter()
            answer = await client.raw(Request("GET", kinds.NODE.path(), headers={"accept": JSON}))
            lists.append(time.perf_counter() - began)
        size = len(answer.body)
        resident = ground.resident_bytes(place.pid())
    peer = "kube-apiserver and etcd 1.36, measured on 2 cores"
    return [
        Figure(f"{_NODES} Nodes created", f"{_NODES / created:.0f}/s", "", f"460-660/s ({peer})"),
        Figure(
            f"LIST of {_NODES} Nodes, {size / 1e6:.1f} MB", milliseconds(lists), "", f"150-730 ms for 8 MB ({peer})"
        ),
        Figure(f"engine with {_NODES} Nodes, memory", f"{resident / 1e6:.0f} MB RSS", "", f"1,625 MB ({peer})"),
    ]


async def _create(client: Client) -> None:
    pending = iter(range(_NODES))

    async def work() -> None:
        for number in pending:
            await client.create(kinds.NODE, _node(number))

    await asyncio.gather(*[work() for _ in range(_REQUESTS_AT_ONCE)])


def _node(number: int) -> Obj:
    room = {"cpu": "96", "memory": "1024Gi", "pods": "110", "nvidia.com/gpu": "8"}
    labels = {
        "kubernetes.io/hostname": f"fake-{number}", "topology.kubernetes.io/zone": f"zone-{number % 3}", "type": "kwok",
    }  # fmt: skip
    meta = {"name": f"fake-{number}", "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    addresses = [{"type": "InternalIP", "address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"}]
    status = {
        "capacity": room, "allocatable": room, "addresses": addresses,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "pretended"}],
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": status}
