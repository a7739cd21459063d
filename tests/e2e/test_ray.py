"""Ray itself on pods: a program with a task on each of two nodes, one that fails, workers that come, go and are lost.

It takes minutes, most of them Ray's own start; `make test-slow` runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_home import EngineHome, unavailable

from argosy import kinds
from argosy.client.client import Client
from argosy.client.requests import Request
from argosy.engine.node.runtime.spec import Level
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.rayjob.schema import RAY_JOB
from argosy.sdk import manifests, waiting
from argosy.sdk.apply import apply
from argosy.sdk.connection import connect

EXAMPLE = Path(__file__).parents[2] / "examples" / "rayjob.yaml"
_SECONDS = 600.0

pytestmark = pytest.mark.slow


@pytest.fixture
def ray_home() -> Iterator[EngineHome]:
    """A home at L2, where each Ray node has an address of its own; Ray's environment is used again if it is there."""
    reason = unavailable(Level.L2)
    if reason:
        pytest.skip(f"Ray on several nodes needs L2, which is not available here: {reason}")
    made = EngineHome(Level.L2)
    built = Path.home() / ".argosy" / "images"
    if built.is_dir():
        (made.path / "images").symlink_to(built)
    try:
        yield made
    finally:
        made.remove()


async def becomes(client: Client, kind: Kind, name: str, holds: Callable[[Obj], bool]) -> Obj:
    return await waiting.until(client, kind, Key("default", name), holds, timeout_seconds=_SECONDS)


def is_(state: str) -> Callable[[Obj], bool]:
    def holds(job: Obj) -> bool:
        now = dig(job, "status", "jobDeploymentStatus")
        assert now == state or now not in ("Complete", "Failed", "ValidationFailed"), job["status"]
        return now == state

    return holds


def has_ready(workers: int) -> Callable[[Obj], bool]:
    def holds(cluster: Obj) -> bool:
        status = cluster.get("status") or {}
        return [status.get(f"{word}WorkerReplicas") for word in ("desired", "available", "ready")] == [workers] * 3

    return holds


async def scale(client: Client, cluster: Obj, workers: int) -> None:
    groups = [{**group, "replicas": workers} for group in cluster["spec"]["workerGroupSpecs"]]
    key = Key("default", cluster["metadata"]["name"])
    await client.patch(RAY_CLUSTER, key, {"spec": {"workerGroupSpecs": groups}})


async def workers_of(client: Client, cluster: str) -> list[Obj]:
    listing = await client.list(kinds.POD, "default", labels=f"ray.io/cluster={cluster},ray.io/node-type=worker")
    return [pod for pod in listing.items if not pod["metadata"].get("deletionTimestamp")]


async def log_of(client: Client, labels: str) -> str:
    (pod,) = (await client.list(kinds.POD, "default", labels=labels)).items
    response = await client.raw(Request("GET", kinds.POD.path("default", pod["metadata"]["name"], "log")))
    chunks = [chunk async for chunk in response.chunks] if response.chunks is not None else [response.body]
    return b"".join(chunks).decode()


async def story(client: Client) -> None:
    objects = manifests.read([str(EXAMPLE)])
    for obj in objects:
        if obj["kind"] == "RayJob":
            obj["spec"].pop("shutdownAfterJobFinishes")
            obj["spec"].pop("ttlSecondsAfterFinished")
    await apply(client, objects, namespace="default")
    job = await becomes(client, RAY_JOB, "two-nodes", is_("Complete"))
    assert (job["status"]["jobStatus"], job["status"]["succeeded"]) == ("SUCCEEDED", 1)
    name = job["status"]["rayClusterName"]
    said = await log_of(client, "job-name=two-nodes")
    on = {line.split()[2] for line in said.splitlines() if line.startswith("task on ")}
    assert {pod.rpartition("-")[0] for pod in on} == {f"{name}-head", f"{name}-small-worker"}

    cluster = await becomes(client, RAY_CLUSTER, name, has_ready(1))
    await scale(client, cluster, 2)
    await becomes(client, RAY_CLUSTER, name, has_ready(2))
    lost = (await workers_of(client, name))[0]["metadata"]["name"]
    await client.delete(kinds.POD, Key("default", lost), grace_seconds=0)
    await becomes(client, RAY_CLUSTER, name, lambda cluster: not has_ready(2)(cluster))
    cluster = await becomes(client, RAY_CLUSTER, name, has_ready(2))
    assert lost not in {pod["metadata"]["name"] for pod in await workers_of(client, name)}

    guest = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "fails", "namespace": "default"},
        "spec": {
            "clusterSelector": {"ray.io/cluster": name},
            "submissionMode": "HTTPMode",
            "entrypoint": "python -c \"import ray; ray.init(); raise SystemExit('as asked')\"",
        },
    }
    await client.create(RAY_JOB, guest)
    failed = await becomes(client, RAY_JOB, "fails", is_("Failed"))
    assert (failed["status"]["jobStatus"], failed["status"]["reason"]) == ("FAILED", "AppFailed")
    assert "as asked" in failed["status"]["message"]

    await scale(client, cluster, 1)
    await becomes(client, RAY_CLUSTER, name, has_ready(1))


def test_jobs_and_workers_of_ray(ray_home: EngineHome) -> None:
    ray_home.argosy("up", "--isolation", "L2", "--nodes", "2")

    async def run() -> None:
        async with connect(path=ray_home.path / "kubeconfig") as connection:
            await story(connection.client)

    asyncio.run(run())
    ray_home.argosy("down")
    assert ray_home.leftovers() == []
