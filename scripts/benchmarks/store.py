"""The store by itself: durable commits, one after the other and many at once."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from argosy.engine.store import Put, Store
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from benchmarks import ground
from benchmarks.figures import Figure, milliseconds

_SINGLE = 300
_COMMITS = 5000
_WRITERS = 64


async def store() -> list[Figure]:
    """Commits of a ConfigMap of a kilobyte; each is answered once it is on the disk."""
    with tempfile.TemporaryDirectory(prefix="argosy-") as directory:
        opened = await Store.open(Path(directory) / "store.db")
        try:
            single = [await _commit(opened, f"single-{number}") for number in range(_SINGLE)]
            pending = iter(range(_COMMITS))

            async def work() -> None:
                for number in pending:
                    await _commit(opened, f"object-{number}")

            began = time.perf_counter()
            await asyncio.gather(*[work() for _ in range(_WRITERS)])
            seconds = time.perf_counter() - began
        finally:
            await opened.close()
        syncs = ground.syncs_per_second(Path(directory))
    return [
        Figure("store commit, durable, one by one", milliseconds(single), "", f"one fsync: {1000 / syncs:.2f} ms"),
        Figure(
            f"store commits, {_WRITERS} writers",
            f"{_COMMITS / seconds:.0f}/s",
            "",
            f"{syncs:.0f} fsyncs/s; commits that wait together share one",
        ),
    ]


async def _commit(opened: Store, name: str) -> float:
    meta: Obj = {"name": name, "namespace": "default"}
    obj: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"text": "x" * 1000}}
    began = time.perf_counter()
    await opened.commit([Put("configmaps", Key("default", name), obj, 0)])
    return time.perf_counter() - began
