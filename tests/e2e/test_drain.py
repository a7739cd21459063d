"""A node is drained under a gang: all ranks save after the same step within the grace, and go on elsewhere from there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from engine_home import EngineHome

from argosy import kinds
from argosy.cli.connection import connect
from argosy.client.client import Client
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, name_of
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.trainjob.schema import TRAIN_JOB
from argosy.sdk import waiting
from argosy.sdk.apply import apply

pytestmark = pytest.mark.slow

_RANK = """
import os, threading
from argosy.sdk import checkpoint

rank = int(os.environ.get("RANK") or os.environ["PET_NODE_RANK"])
ranks = int(os.environ.get("WORLD_SIZE") or os.environ["PET_NNODES"])
place, epoch = checkpoint.directory_of(), checkpoint.epoch_of()
found = checkpoint.to_resume(place)
first = checkpoint.step_of(found) + 1 if found else 1
print(f"begins at {first} in {epoch}", flush=True)
notice = checkpoint.Notice()
meeting = place / "meeting"
meeting.mkdir(parents=True, exist_ok=True)
for step in range(first, first + 10 if epoch else 100_000):
    (meeting / f"{epoch}-{step}-{rank}").touch()
    while not all((meeting / f"{epoch}-{step}-{other}").exists() for other in range(ranks)):  # as a collective waits
        threading.Event().wait(0.005)
    threading.Event().wait(0.02)
    if notice.after(step):
        if rank == 0:
            checkpoint.save(place, step, lambda directory: (directory / "state").write_text(str(step)))
        print(f"saved after {step}", flush=True)
        notice.leave()
    if step == first + 2:
        print("trains", flush=True)
"""
_CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "kept", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
}
_RUNS = {"image": "argosy/runtime", "command": ["python", "-c", _RANK]}
_VOLUMES = [{"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}]
_MOUNTS = [{"name": "kept", "mountPath": "/kept"}]
_META: Obj = {"name": "drained", "namespace": "default", "annotations": {"argosy.dev/checkpoint-dir": "/kept/run"}}


def _pytorch_job() -> Obj:
    spec = {"containers": [{"name": "pytorch", **_RUNS, "volumeMounts": _MOUNTS}], "volumes": _VOLUMES}
    replica = {"restartPolicy": "OnFailure", "template": {"spec": spec}}
    replicas = {"Master": {**replica, "replicas": 1}, "Worker": {**replica, "replicas": 2}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": _META,
        "spec": {"pytorchReplicaSpecs": replicas, "runPolicy": {"backoffLimit": 0}},
    }


def _train_job() -> Obj:
    spec = {"containers": [{"name": "node", "volumeMounts": _MOUNTS}], "volumes": _VOLUMES}
    node = {"name": "node", "template": {"spec": {"template": {"spec": spec}}}}
    patch = {"manager": "tests.dev/drain", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}}}
    runtime = {"runtimeRef": {"name": "torch-distributed"}, "runtimePatches": [patch]}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": _META,
        "spec": {**runtime, "trainer": {**_RUNS, "numNodes": 3}},
    }


async def _training(client: Client, count: int) -> list[Obj]:
    """The pods, once each of them says that it trains."""
    listed = await client.list(kinds.POD, "default")
    pods = {name_of(pod): pod for pod in listed.items}
    async with aclosing(client.watch(kinds.POD, "default", since=listed.resource_version)) as events:
        while sum(dig(pod, "status", "phase") == "Running" for pod in pods.values()) < count:
            event = await anext(events)
            if event.type != "BOOKMARK":
                pods[name_of(event.obj)] = event.obj
    for name in pods:
        said = ""
        async with aclosing(client.logs(kinds.POD, Key("default", name), follow=True)) as chunks:
            async for chunk in chunks:
                said += chunk.decode()
                if "trains" in said:
                    break
    return list(pods.values())


async def _drain(client: Client, node: str, pods: list[Obj]) -> None:
    """What `kubectl drain` does."""
    await client.patch(kinds.NODE, Key("", node), {"spec": {"unschedulable": True}})
    for name in [name_of(pod) for pod in pods if dig(pod, "spec", "nodeName") == node]:
        await client.create_subresource(kinds.POD, Key("default", name), "eviction", {"metadata": {"name": name}})


@pytest.mark.parametrize(
    ("kind", "made"), [(PYTORCH_JOB, _pytorch_job), (TRAIN_JOB, _train_job)], ids=["PyTorchJob", "TrainJob"]
)
def test_a_drained_node(home: EngineHome, kind: Kind, made: Callable[[], Obj]) -> None:
    kubeconfig = Path(home.up("--nodes", "3")["kubeconfig"])

    async def scenario() -> list[str]:
        async with connect(path=kubeconfig) as connection, asyncio.timeout(150):
            client = connection.client
            await apply(client, [_CLAIM, made()], namespace="default")
            pods = await _training(client, 3)
            drained = str(dig(pods[-1], "spec", "nodeName"))
            await _drain(client, drained, pods)
            key = Key("default", "drained")
            await waiting.until(client, kind, key, waiting.succeeded_or_raise, timeout_seconds=90)
            after = (await client.list(kinds.POD, "default")).items
            assert all(dig(pod, "spec", "nodeName") != drained for pod in after)
            logs = []
            for pod in after:
                chunks = client.logs(kinds.POD, Key("default", name_of(pod)))
                logs.append(b"".join([chunk async for chunk in chunks]).decode())
            return logs

    logs = asyncio.run(scenario())
    begun = {match[1] for log in logs if (match := re.search(r"begins at (\d+) in 1\n", log))}
    assert len(logs) == 3
    assert len(begun) == 1, logs
    assert int(begun.pop()) > 3, "it went on from the checkpoint that it took on the way out"
