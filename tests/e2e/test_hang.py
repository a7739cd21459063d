"""A rank that is stopped in mid-training is found, named, and its gang begins anew; at every isolation level."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_home import EngineHome

from argosy import kinds
from argosy.cli.connection import connect
from argosy.engine.node.runtime.spec import Level
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.trainjob.schema import TRAIN_JOB
from argosy.sdk import waiting
from argosy.sdk.apply import apply

pytestmark = pytest.mark.slow

_RANK = """
import os, signal, threading

if os.environ["ARGOSY_RESTART_EPOCH"] != "0":
    print("step=6", flush=True)
elif os.environ["RANK"] == "0":
    for step in range(1, 6):
        print(f"step={step}", flush=True)
        threading.Event().wait(0.2)
    signal.pause()  # as a collective waits for a peer
else:
    os.kill(os.getpid(), signal.SIGSTOP)
"""


_STOPPED_AFTER = {"argosy.dev/hang-after": "3s"}
_ADDRESS = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def _pytorch_job() -> Obj:
    container = {"name": "pytorch", "image": "python:3", "command": ["python", "-c", _RANK], "env": [_ADDRESS]}
    replica = {"replicas": 1, "restartPolicy": "OnFailure", "template": {"spec": {"containers": [container]}}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "stuck", "namespace": "default", "annotations": _STOPPED_AFTER},
        "spec": {"pytorchReplicaSpecs": {"Master": replica, "Worker": replica}},
    }


def _train_job() -> Obj:
    index = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
    env = [_ADDRESS, {"name": "RANK", "valueFrom": index}]
    trainer = {"image": "python:3", "command": ["python", "-c", _RANK], "numNodes": 2, "env": env}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "stuck", "namespace": "default", "annotations": _STOPPED_AFTER},
        "spec": {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer},
    }


@pytest.mark.parametrize(
    ("kind", "made", "first", "second"),
    [
        (PYTORCH_JOB, _pytorch_job, "stuck-master-0", "stuck-worker-0"),
        (TRAIN_JOB, _train_job, "stuck-node-0-0", "stuck-node-0-1"),
    ],
    ids=["PyTorchJob", "TrainJob"],
)
def test_a_stopped_rank_is_found(
    home: EngineHome, kind: Kind, made: Callable[[], Obj], first: str, second: str
) -> None:
    kubeconfig = Path(home.up()["kubeconfig"])

    async def scenario() -> Obj:
        async with connect(path=kubeconfig) as connection:
            client = connection.client
            await apply(client, [made()], namespace="default")
            key = Key("default", "stuck")
            await waiting.until(client, kind, key, waiting.succeeded_or_raise, timeout_seconds=90)
            return await client.get(kinds.CONFIG_MAP, "stuck-stacks-0", "default")

    stacks = asyncio.run(scenario())["data"]
    (stack_of_first,) = (text for pod, text in stacks.items() if pod.startswith(first))
    (stack_of_second,) = (text for pod, text in stacks.items() if pod.startswith(second))
    said = home.argosy("why", f"{kind.singular}/stuck", "--all")
    if home.level is Level.L0:  # the kernel may forbid a pod to look at processes, its own among them
        assert "hung: no progress for" in said
        return
    assert " T (stopped)" in stack_of_second
    assert " T (stopped)" not in stack_of_first
    assert re.search(f"pod {second}\\S* hung", said)
    assert "its process is stopped (SIGSTOP)" in said
