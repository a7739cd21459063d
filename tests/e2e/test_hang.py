"""A rank that is stopped in mid-training is found, named, and its gang begins anew; at every isolation level."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from engine_home import EngineHome

from argosy import kinds
from argosy.cli.connection import connect
from argosy.engine.node.runtime.spec import Level
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
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


def _job() -> Obj:
    container = {"name": "pytorch", "image": "python:3", "command": ["python", "-c", _RANK]}
    container["env"] = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    replica = {"replicas": 1, "restartPolicy": "OnFailure", "template": {"spec": {"containers": [container]}}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "stuck", "namespace": "default", "annotations": {"argosy.dev/hang-after": "3s"}},
        "spec": {"pytorchReplicaSpecs": {"Master": replica, "Worker": replica}},
    }


def test_a_stopped_rank_is_found(home: EngineHome) -> None:
    kubeconfig = Path(home.up()["kubeconfig"])

    async def scenario() -> Obj:
        async with connect(path=kubeconfig) as connection:
            client = connection.client
            await apply(client, [_job()], namespace="default")
            key = Key("default", "stuck")
            await waiting.until(client, PYTORCH_JOB, key, waiting.succeeded_or_raise, timeout_seconds=90)
            return await client.get(kinds.CONFIG_MAP, "stuck-stacks-0", "default")

    stacks = asyncio.run(scenario())["data"]
    assert set(stacks) == {"stuck-master-0", "stuck-worker-0"}
    said = home.argosy("why", "pytorchjob/stuck", "--all")
    if home.level is Level.L0:  # the kernel may forbid a pod to look at processes, its own among them
        assert "hung: no progress for" in said
        return
    assert " T (stopped)" in stacks["stuck-worker-0"]
    assert " T (stopped)" not in stacks["stuck-master-0"]
    assert "stuck-worker-0 hung" in said
    assert "its process is stopped (SIGSTOP)" in said
