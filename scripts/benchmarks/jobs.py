"""Small jobs: how many come to an end in a second, with real processes."""

from __future__ import annotations

import asyncio
import time

from argosy import kinds
from argosy.client.client import Client
from argosy.control.informer import Informer
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from benchmarks import ground
from benchmarks.engines import NAMESPACE, engine, following
from benchmarks.figures import Figure, milliseconds

_JOBS = 1000
_SINGLE = 20
_REQUESTS_AT_ONCE = 16
_SECONDS_MAX = 300.0


async def jobs() -> list[Figure]:
    """1,000 Jobs of one pod that does nothing, from the first request to the last condition Complete."""
    async with engine() as (place, client), following(client, kinds.JOB) as copy:
        single = [await _to_the_end(client, copy, f"single-{number}") for number in range(_SINGLE)]
        pid = place.pid()
        used = ground.cpu_seconds(pid)
        began = time.perf_counter()
        await _submit(client, _JOBS)
        submitted = time.perf_counter() - began
        done = _SINGLE + _JOBS
        if not await copy.until(lambda: sum(is_true(job, "Complete") for job in copy.items()) >= done, _SECONDS_MAX):
            raise TimeoutError(f"{_JOBS} jobs are not complete after {_SECONDS_MAX:.0f} s")
        seconds = time.perf_counter() - began
        used = (ground.cpu_seconds(pid) - used) / _JOBS
        resident = ground.resident_bytes(pid)
    starts = ground.process_starts_per_second()
    return [
        Figure(
            f"{_JOBS} no-op Jobs, submit to Complete",
            f"{_JOBS / seconds:.1f}/s",
            "60/s",
            f"fork+exec+wait of /bin/true: {starts:.0f}/s; 4.2/s ({ground.KUBERNETES}); 16.5/s ({ground.SLURM})",
        ),
        Figure(
            "  of which submitting",
            f"{_JOBS / submitted:.0f}/s",
            "",
            f"{used * 1000:.1f} ms of the engine's CPU a Job; {resident / 1e6:.0f} MB RSS afterwards",
        ),
        Figure(
            "one no-op Job, submit to Complete",
            milliseconds(single),
            "",
            "submit to start alone: 501 ms (Slurm 22.05 tuned)",
        ),
    ]


async def _to_the_end(client: Client, copy: Informer, name: str) -> float:
    began = time.perf_counter()
    await client.create(kinds.JOB, _job(name))
    key = Key(NAMESPACE, name)
    await copy.until(lambda: is_true(copy.get(key) or {}, "Complete"), _SECONDS_MAX)
    return time.perf_counter() - began


async def _submit(client: Client, count: int) -> None:
    pending = iter(range(count))

    async def work() -> None:
        for number in pending:
            await client.create(kinds.JOB, _job(f"job-{number}"))

    await asyncio.gather(*[work() for _ in range(_REQUESTS_AT_ONCE)])


def _job(name: str) -> Obj:
    container = {"name": "main", "image": "busybox", "command": ["true"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
