"""Many small trainings at once, and how soon a TrainJob's ranks speak.

The makespan of fifty one-pod jobs stands beside that of the same fifty programs under `xargs -P`, in one pod of the same engine
and right after it: what the machine can do without any cluster, under the load that it has now.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path

from argosy import kinds
from argosy.client.client import Client
from argosy.clock import parse_time
from argosy.control.informer import Informer
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj
from argosy.meta.objects import Key, name_of
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.trainjob.schema import TRAIN_JOB
from benchmarks.engines import NAMESPACE, engine, following, home, phase, pod, warm
from benchmarks.figures import Figure, quantile

_JOBS, _NODES, _ROUNDS = 50, 4, 8
_SECONDS_MAX = 600.0
_TUNE = """
import torch
torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 256))
optimizer = torch.optim.AdamW(model.parameters())
for step in range(200):
    loss = (model(torch.randn(64, 256)) - 1).square().mean()
    loss.backward(); optimizer.step(); optimizer.zero_grad()
print(f"loss={loss.item():.4f}")
"""


async def finetunes() -> list[Figure]:
    """Fifty PyTorchJobs of one pod that asks for a CPU, from the first request to the last end."""
    cores = os.cpu_count() or 2
    async with home() as place:
        built = Path.home() / ".argosy" / "images"
        if built.is_dir():
            (place.path / "images").symlink_to(built)
        place.up()
        async with (
            place.client() as client,
            following(client, kinds.POD) as pods,
            following(client, PYTORCH_JOB) as copy,
        ):
            await warm(client)
            await _bare(client, pods, 2, cores, "first")  # the environment is built, its files are in memory
            began = time.perf_counter()
            await asyncio.gather(*(client.create(PYTORCH_JOB, _job(f"tune-{n}")) for n in range(_JOBS)))
            if not await copy.until(lambda: sum(is_true(j, "Succeeded") for j in copy.items()) == _JOBS, _SECONDS_MAX):
                raise TimeoutError(f"{_JOBS} fine-tunes did not end within {_SECONDS_MAX:.0f} s")
            took = time.perf_counter() - began
            ideal = await _bare(client, pods, _JOBS, cores, "bare")
    return [
        Figure(
            f"{_JOBS} one-pod fine-tunes on {cores} cores",
            f"{took:.1f} s, {took / ideal:.2f} of the ideal",
            "1.10 of it",
            f"{ideal:.1f} s: the same programs by xargs -P {cores} in one pod, right after",
        )
    ]


async def _bare(client: Client, pods: Informer, count: int, at_once: int, name: str) -> float:
    """Seconds that so many of the programs take without a cluster around each."""
    script = f"cat > /tmp/t.py <<'END'{_TUNE}END\nseq {count} | xargs -P {at_once} -I% python /tmp/t.py"
    began = time.perf_counter()
    await client.create(kinds.POD, pod(name, ["sh", "-c", script], image="argosy/torch"))
    key = Key(NAMESPACE, name)
    if not await pods.until(lambda: phase(pods.get(key)) == "Succeeded", _SECONDS_MAX):
        raise TimeoutError(f"{name} did not end within {_SECONDS_MAX:.0f} s")
    return time.perf_counter() - began


def _job(name: str) -> Obj:
    container = {"name": "pytorch", "image": "argosy/torch", "command": ["python", "-c", _TUNE]}
    container["resources"] = {"requests": {"cpu": "900m"}}
    spec = {"containers": [container]}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"pytorchReplicaSpecs": {"Master": {"replicas": 1, "template": {"spec": spec}}}},
    }


async def trainjobs() -> list[Figure]:
    """From the request that makes a TrainJob to the first line of its last rank."""
    async with engine() as (_, client), following(client, kinds.POD) as pods:
        times = [await _first_lines(client, pods, f"tj-{n}") for n in range(_ROUNDS)]
        began = time.perf_counter()
        await client.create(kinds.POD, pod("alone", ["python", "-c", "print('first')"], image="python:3"))
        key = Key(NAMESPACE, "alone")
        await pods.until(lambda: phase(pods.get(key)) == "Succeeded", _SECONDS_MAX)
        alone = time.perf_counter() - began
        interpreter = await _interpreter(client, pods)
    middle = quantile(times, 0.5)
    return [
        Figure(
            f"TrainJob of {_NODES} nodes, apply to every rank's first line",
            f"{middle:.2f} s, at most {max(times):.2f} s",
            f"{0.5 + interpreter:.2f} s",
            f"0.5 s + {_NODES} interpreters that start at once: {interpreter:.2f} s; one bare pod to its end: {alone:.2f} s",
        )
    ]


async def _first_lines(client: Client, pods: Informer, name: str) -> float:
    trainer = {"image": "python:3", "command": ["python", "-c", "print('first')"], "numNodes": _NODES}
    began = datetime.now().astimezone()
    await client.create(
        TRAIN_JOB,
        {
            "apiVersion": TRAIN_JOB.api_version,
            "kind": "TrainJob",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer},
        },
    )

    def ended() -> list[Obj]:
        return [p for p in pods.items() if name_of(p).startswith(f"{name}-node-") and phase(p) == "Succeeded"]

    if not await pods.until(lambda: len(ended()) == _NODES, _SECONDS_MAX):
        raise TimeoutError(f"{name} did not end within {_SECONDS_MAX:.0f} s")
    stamps = []
    for each in ended():
        path = kinds.POD.path(NAMESPACE, name_of(each), "log")
        said = await _text(client, path)
        stamps.append(parse_time(said.split(" ", 1)[0]))
    return (max(stamps) - began).total_seconds()


async def _interpreter(client: Client, pods: Informer) -> float:
    """Seconds until as many interpreters as the job has, started at once in one pod, have printed a line."""
    script = (
        "import subprocess, sys, time\nt = time.perf_counter()\n"
        f"ps = [subprocess.Popen([sys.executable, '-c', \"print('first')\"]) for _ in range({_NODES})]\n"
        "[p.wait() for p in ps]\nprint('took', time.perf_counter() - t)"
    )
    await client.create(kinds.POD, pod("interpreters", ["python", "-c", script], image="python:3"))
    key = Key(NAMESPACE, "interpreters")
    await pods.until(lambda: phase(pods.get(key)) == "Succeeded", _SECONDS_MAX)
    said = await _text(client, kinds.POD.path(NAMESPACE, "interpreters", "log"))
    return float(said.rsplit("took ", 1)[1])


async def _text(client: Client, path: str) -> str:
    from argosy.client.requests import Request  # noqa: PLC0415 - the one raw request here

    response = await client.raw(Request("GET", path, {"timestamps": "true"}))
    if response.chunks is not None:
        return b"".join([chunk async for chunk in response.chunks]).decode()
    return response.body.decode()
