"""Goodput of the demo's pre-training while a rank is taken away every minute.

Two pods, a checkpoint every twenty steps, a report of every step. Useful is the time from one step's report to that of the next
one that is new; the rest went into restarts and into steps that were done again.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from itertools import count, pairwise
from pathlib import Path
from statistics import median

from argosy import kinds
from argosy.client.client import Client
from argosy.control.informer import Informer
from argosy.meta.json import Obj
from argosy.meta.objects import Key, uid_of
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from benchmarks.engines import NAMESPACE, following, home, phase, warm
from benchmarks.figures import Figure

_FAULTS, _EVERY_SECONDS, _FIRST_SECONDS = 5, 60.0, 300.0
_STEP = re.compile(r"^step=(\d+)\b")
_COMMAND = ("python", "-m", "argosy.programs.demo.pretrain", "--steps", "100000", "--log-every", "1")

Reports = list[tuple[float, int, int]]
"""(when it was heard, which gang said it, step)."""


def share(reports: Reports) -> tuple[float, int, float]:
    """(useful time / wall time, steps that were done more than once, seconds of a usual step)."""
    useful, gaps, furthest = 0.0, [], reports[0][2]
    for (early, former, _), (late, gang, after) in pairwise(reports):
        if gang == former:
            gaps.append(late - early)
            useful += (late - early) * (after > furthest)
        furthest = max(furthest, after)
    wall = reports[-1][0] - reports[0][0]
    return useful / wall, len(reports) - len({step for _, _, step in reports}), median(gaps)


async def goodput() -> list[Figure]:
    """Take the worker's pod away every minute, five times, and listen to the master."""
    async with home() as place:
        built = Path.home() / ".argosy" / "images"
        if built.is_dir():
            (place.path / "images").symlink_to(built)
        place.up()
        async with place.client() as client, following(client, kinds.POD) as pods:
            await warm(client)
            await client.create(kinds.PERSISTENT_VOLUME_CLAIM, _claim())
            await client.create(PYTORCH_JOB, _job())
            reports: Reports = []
            heard = asyncio.Event()
            listening = asyncio.create_task(_listen(client, pods, reports, heard))
            try:
                await asyncio.wait_for(heard.wait(), _FIRST_SECONDS)
                for _ in range(_FAULTS):
                    await asyncio.sleep(_EVERY_SECONDS)
                    await client.delete(kinds.POD, Key(NAMESPACE, "demo-worker-0"), grace_seconds=0)
                await asyncio.sleep(_EVERY_SECONDS)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    useful, twice, usual = share(reports)
    return [
        Figure(
            f"goodput, demo model, a fault every {_EVERY_SECONDS:.0f} s",
            f"{useful:.1%}",
            "85%",
            f"{_FAULTS} faults; a step takes {usual:.2f} s, {twice} steps were done twice; checkpoints every 20 steps",
        )
    ]


async def _listen(client: Client, pods: Informer, reports: Reports, heard: asyncio.Event) -> None:
    """Follow the master of every gang."""
    key, known = Key(NAMESPACE, "demo-master-0"), ""
    for gang in count():

        def begins(known: str = known) -> bool:
            found = pods.get(key)
            return found is not None and uid_of(found) != known and phase(found) == "Running"

        await pods.until(begins, _FIRST_SECONDS)
        known, rest = uid_of(pods.get(key) or {"metadata": {}}), ""
        async with aclosing(client.logs(kinds.POD, key, follow=True)) as chunks:
            async for chunk in chunks:
                *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
                found = [int(match[1]) for line in lines if (match := _STEP.match(line))]
                reports += [(time.perf_counter(), gang, step) for step in found]
                if found:
                    heard.set()


def _claim() -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models", "namespace": NAMESPACE},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def _job() -> Obj:
    container = {
        "name": "pytorch",
        "image": "argosy/torch",
        "command": list(_COMMAND),
        "env": [{"name": "OMP_NUM_THREADS", "value": "1"}, {"name": "OUTPUT_DIR", "value": "/models/base"}],
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    }
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": "models"}}
    template = {"spec": {"containers": [container], "volumes": [volume]}}
    replica = {"replicas": 1, "restartPolicy": "OnFailure", "template": template}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {
            "name": "demo",
            "namespace": NAMESPACE,
            "annotations": {"argosy.dev/checkpoint-dir": "/models/checkpoints"},
        },
        "spec": {"pytorchReplicaSpecs": {"Master": replica, "Worker": replica}},
    }
