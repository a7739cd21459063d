"""Failures of a gang: from the death of a rank to the first step of the gang that follows.

Real PyTorch on gloo, two ranks, a fresh job each time (a job that fails again and again pauses ever longer, on purpose).
The limit beside it is what no operator can save: starting the interpreter and importing torch, measured in the same pods.
The peers run in pods of the same engine: `torchrun --max-restarts`, and a shell loop that starts a rank again when it ends.
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
from benchmarks.engines import NAMESPACE, following, home, phase, pod, warm
from benchmarks.figures import Figure, quantile

_ROUNDS, _PEER_ROUNDS = 20, 8
_SECONDS_MAX, _PEER_SECONDS_MAX = 300.0, 60.0
"""After a minute without a step a peer counts as not recovered; the next round begins with a new pod."""
_RANK = """
import os, time
born = int(open("/proc/self/stat").read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
import torch, torch.distributed as dist
print(f"imported={time.clock_gettime(time.CLOCK_BOOTTIME) - born:.2f}", flush=True)
dist.init_process_group("gloo")
print(f"rank={dist.get_rank()} pid={os.getpid()}", flush=True)
for step in range(1, 10000):
    dist.all_reduce(torch.ones(1))
    print(f"step={step}", flush=True)
    time.sleep(0.05)
"""


_TORCHRUN = "exec torchrun --nproc-per-node 2 --max-restarts 100 --master-port 29511 /tmp/rank.py"
_LOOPS = """
export WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29512
for rank in 0 1; do (until RANK=$rank python /tmp/rank.py; do :; done) & done
wait"""


async def recovery() -> list[Figure]:
    """Kill a worker, wait for the next gang's first step; every round a job of its own. Then the same of the peers."""
    async with home() as place:
        built = Path.home() / ".argosy" / "images"
        if built.is_dir():  # building PyTorch's environment anew would take a minute
            (place.path / "images").symlink_to(built)
        place.up()
        async with place.client() as client, following(client, kinds.POD) as pods:
            await warm(client)
            rounds = [await _round(client, pods, f"job-{number}") for number in range(_ROUNDS)]
            peers = {
                "torchrun --max-restarts": await _peer(client, pods, "torchrun", _TORCHRUN),
                "a bare retry": await _peer(client, pods, "loops", _LOOPS),
            }
    times, imports = [took for took, _ in rounds], [imported for _, imported in rounds]
    limit = quantile(imports, 0.5)
    return [
        Figure(
            "killed worker to first new step, 2 ranks",
            f"{quantile(times, 0.5):.1f} s, at most {max(times):.1f} s",
            f"{limit + 3:.1f} s",
            f"{_ROUNDS} of {_ROUNDS} recovered; interpreter and import of torch alone: {limit:.1f} s",
        ),
        *(Figure(f"  the same of {name}", *_said(times)) for name, times in peers.items()),
    ]


def _said(times: list[float | None]) -> tuple[str, str, str]:
    came = [took for took in times if took is not None]
    measured = f"{quantile(came, 0.5):.1f} s, at most {max(came):.1f} s" if came else "never"
    return (
        measured,
        "",
        f"{len(came)} of {len(times)} recovered within {_PEER_SECONDS_MAX:.0f} s; killed by SIGKILL inside its pod",
    )


async def _peer(client: Client, pods: Informer, name: str, script: str) -> list[float | None]:
    """Seconds from the kill of rank 1 to the next first step, None where none came; one pod for as long as it recovers."""
    times: list[float | None] = []
    while len(times) < _PEER_ROUNDS:
        key = Key(NAMESPACE, f"{name}-{len(times)}")
        await client.create(kinds.POD, _peer_pod(key.name, script))
        await pods.until(lambda key=key: phase(pods.get(key)) == "Running", _SECONDS_MAX)
        try:
            await _follow_peer(client, key, times)
        except (TimeoutError, RuntimeError):
            times.append(None)
        await client.delete(kinds.POD, key, grace_seconds=0)
        await pods.until(lambda key=key: pods.get(key) is None, _SECONDS_MAX)
    return times


async def _follow_peer(client: Client, key: Key, times: list[float | None]) -> None:
    """Kill rank 1 each time that the gang trains. Raises TimeoutError, or RuntimeError when the pod ends."""
    said, victim, began, steps = "", "", 0.0, 0
    async with aclosing(client.logs(kinds.POD, key, follow=True)) as chunks:
        while len(times) < _PEER_ROUNDS:
            async with asyncio.timeout(_PEER_SECONDS_MAX):
                chunk = await anext(chunks, None)
            if chunk is None:
                raise RuntimeError("it gave up")
            *lines, said = (said + chunk.decode()).split("\n")
            for line in lines:
                if found := re.search(r"rank=1 pid=(\d+)", line):
                    victim = found[1]
                if re.search(r"\bstep=1$", line) and began:
                    times.append(time.perf_counter() - began)
                    began = 0.0
                steps += bool(re.search(r"\bstep=\d", line))
            if victim and steps > 20 and not began and len(times) < _PEER_ROUNDS:
                await client.execute(kinds.POD, key, ["kill", "-9", victim], container="main")
                began, victim, steps = time.perf_counter(), "", 0
            if began and time.perf_counter() - began > _PEER_SECONDS_MAX:
                raise TimeoutError("no new step")


def _peer_pod(name: str, script: str) -> Obj:
    write = f"cat > /tmp/rank.py <<'END'{_RANK}END\n{script}"
    made = pod(name, ["sh", "-c", write], image="argosy/torch")
    made["spec"]["containers"][0]["env"] = [{"name": "OMP_NUM_THREADS", "value": "1"}]
    return made


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
