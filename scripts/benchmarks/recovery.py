"""Failures of a gang: from the death of a rank to the first step of the gang that follows.

Real PyTorch on gloo, two ranks, a fresh job each time (a job that fails again and again pauses ever longer, on purpose).
The limit beside it is what no operator can save: starting the interpreter and importing torch, measured in the same pods.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from pathlib import Path

from argosy import kinds
from argosy.client.client import Client
from argosy.control.informer import Informer
from argosy.meta.json import Obj
from argosy.meta.objects import Key, uid_of
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from benchmarks.engines import NAMESPACE, following, home, phase, warm
from benchmarks.figures import Figure, quantile

_ROUNDS = 6
_SECONDS_MAX = 300.0
_RANK = """
import os, time
born = int(open("/proc/self/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
import torch, torch.distributed as dist
print(f"imported={time.clock_gettime(time.CLOCK_BOOTTIME) - born:.2f}", flush=True)
dist.init_process_group("gloo")
for step in range(1, 10000):
    dist.all_reduce(torch.ones(1))
    print(f"step={step}", flush=True)
    time.sleep(0.05)
"""


async def recovery() -> list[Figure]:
    """Kill a worker, wait for the next gang's first step; every round a job of its own."""
    async with home() as place:
        built = Path.home() / ".argosy" / "images"
        if built.is_dir():  # building PyTorch's environment anew would take a minute
            (place.path / "images").symlink_to(built)
        place.up()
        async with place.client() as client, following(client, kinds.POD) as pods:
            await warm(client)
            rounds = [await _round(client, pods, f"job-{number}") for number in range(_ROUNDS)]
    times, imports = [took for took, _ in rounds], [imported for _, imported in rounds]
    limit = quantile(imports, 0.5)
    return [
        Figure(
            "killed worker to first new step, 2 ranks",
            f"{quantile(times, 0.5):.1f} s, at most {max(times):.1f} s",
            f"{limit + 3:.1f} s",
            f"{_ROUNDS} of {_ROUNDS} recovered; interpreter and import of torch alone: {limit:.1f} s; torchrun's own restart "
            "recovered 2 of 8 on gloo (measured on 2 cores)",
        )
    ]


async def _round(client: Client, pods: Informer, name: str) -> tuple[float, float]:
    """(seconds from the kill to the next first step, seconds that the new master took to import torch)."""
    made = await client.create(PYTORCH_JOB, _job(name))
    master, worker = Key(NAMESPACE, f"{name}-master-0"), Key(NAMESPACE, f"{name}-worker-0")
    await _first_step(client, pods, master, "")
    first = uid_of(pods.get(master) or {})
    began = time.perf_counter()
    await client.delete(kinds.POD, worker, grace_seconds=0)
    imported = await _first_step(client, pods, master, first)
    took = time.perf_counter() - began
    await client.delete(PYTORCH_JOB, Key(NAMESPACE, name), uid=uid_of(made))
    await pods.until(lambda: not pods.items(), _SECONDS_MAX)
    return took, imported


async def _first_step(client: Client, pods: Informer, pod: Key, other_than: str) -> float:
    """Wait for a step in the log of a pod that is not the former one; how long its imports took."""

    def runs() -> bool:
        found = pods.get(pod)
        return found is not None and uid_of(found) != other_than and phase(found) == "Running"

    if not await pods.until(runs, _SECONDS_MAX):
        raise TimeoutError(f"{pod} does not run after {_SECONDS_MAX:.0f} s")
    said = ""
    async with asyncio.timeout(_SECONDS_MAX), aclosing(client.logs(kinds.POD, pod, follow=True)) as chunks:
        async for chunk in chunks:
            said += chunk.decode()
            if re.search(r"^step=\d", said, re.MULTILINE):
                break
    imported = re.search(r"imported=([\d.]+)", said)
    return float(imported[1]) if imported else 0.0


def _job(name: str) -> Obj:
    container = {"name": "pytorch", "image": "argosy/torch", "command": ["python", "-c", _RANK]}
    replica = {"replicas": 1, "restartPolicy": "OnFailure", "template": {"spec": {"containers": [container]}}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"pytorchReplicaSpecs": {"Master": replica, "Worker": replica}},
    }
