"""An elastic gang under torchrun goes on with fewer workers when a node is drained, and with all when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from engine_home import EngineHome, best_available, running_home

from argosy import kinds
from argosy.cli.connection import connect
from argosy.client.client import Client
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, uid_of
from argosy.sdk.apply import apply

pytestmark = pytest.mark.slow

_FIRST = Key("default", "elastic-worker-0")
_RANK = """
cat > /tmp/rank.py <<'END'
import threading, torch, torch.distributed as dist
dist.init_process_group("gloo")
while True:
    ranks = torch.ones(1)
    dist.all_reduce(ranks)
    print(f"world={int(ranks.item())}", flush=True)
    threading.Event().wait(0.1)
END
exec torchrun /tmp/rank.py"""


@pytest.fixture
def home() -> Iterator[EngineHome]:
    """Three nodes, at the best level that this machine allows."""
    yield from running_home(best_available(), "--nodes", "3")


def _job() -> Obj:
    container = {"name": "pytorch", "image": "argosy/torch", "command": ["sh", "-c", _RANK]}
    alone = {"labelSelector": {"matchLabels": {"gang": "elastic"}}, "topologyKey": "kubernetes.io/hostname"}
    spec = {
        "containers": [{**container, "env": [{"name": "OMP_NUM_THREADS", "value": "1"}]}],
        "terminationGracePeriodSeconds": 5,
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [alone]}},
    }
    template = {"metadata": {"labels": {"gang": "elastic"}}, "spec": spec}
    worker = {"replicas": 3, "restartPolicy": "OnFailure", "template": template}
    soon = [{"key": "last_call_timeout", "value": "5"}]
    policy = {"minReplicas": 2, "maxReplicas": 3, "nProcPerNode": 1, "rdzvConf": soon}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "elastic", "namespace": "default"},
        "spec": {"elasticPolicy": policy, "pytorchReplicaSpecs": {"Worker": worker}},
    }


async def _trains_with(client: Client, size: int) -> None:
    """Until worker 0 says so; a gang that begins anew has another one."""
    said = f"world={size}".encode()
    while True:
        listed = await client.list(kinds.POD, "default", fields=f"metadata.name={_FIRST.name}")
        if any(dig(pod, "status", "phase") == "Running" for pod in listed.items):
            async with aclosing(client.logs(kinds.POD, _FIRST, follow=True)) as chunks:
                async for chunk in chunks:
                    if chunk.rstrip().endswith(said):
                        return
        else:
            async with aclosing(client.watch(kinds.POD, "default", since=listed.resource_version)) as events:
                await anext(events)


async def _last(client: Client) -> Obj:
    return await client.get(kinds.POD, "elastic-worker-2", "default")


def test_a_drained_node_and_its_return(home: EngineHome) -> None:
    async def scenario() -> None:
        async with connect(path=Path(home.path / "kubeconfig")) as connection, asyncio.timeout(400):
            client = connection.client
            await apply(client, [_job()], namespace="default")
            await _trains_with(client, 3)
            before = await _last(client)
            node = Key("", str(dig(before, "spec", "nodeName")))
            await client.patch(kinds.NODE, node, {"spec": {"unschedulable": True}})
            eviction = {"metadata": {"name": "elastic-worker-2"}}
            await client.create_subresource(kinds.POD, Key("default", "elastic-worker-2"), "eviction", eviction)
            await _trains_with(client, 2)
            waiting = await _last(client)
            assert uid_of(waiting) != uid_of(before)
            assert dig(waiting, "status", "phase") == "Pending"
            await client.patch(kinds.NODE, node, {"spec": {"unschedulable": None}})
            await _trains_with(client, 3)
            assert uid_of(await _last(client)) == uid_of(waiting), "it joined the gang that trained meanwhile"

    asyncio.run(scenario())
