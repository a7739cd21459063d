"""JobSets, TrainJobs, runtimes and LeaderWorkerSets that other people wrote, on an API server with our kinds: each is
accepted and becomes the objects that its project documents.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import yaml
from served import cluster

from argosy.client.client import Client
from argosy.kinds import JOB, SERVICE, STATEFUL_SET
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import labels_of, name_of
from argosy.operators.jobset.operator import operator as jobset
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.leaderworkerset.operator import operator as leaderworkerset
from argosy.operators.leaderworkerset.schema import LEADER_WORKER_SET
from argosy.operators.trainjob.operator import operator as trainjob
from argosy.operators.trainjob.runtimes import ready_made
from argosy.operators.trainjob.schema import CLUSTER_TRAINING_RUNTIME, TRAIN_JOB, TRAINING_RUNTIME
from cases import FOLDER, needs_cases

pytestmark = needs_cases
KINDS = {
    kind.kind: kind for kind in (JOB_SET, TRAIN_JOB, TRAINING_RUNTIME, CLUSTER_TRAINING_RUNTIME, LEADER_WORKER_SET)
}


def samples(*kinds: Kind) -> list[Any]:
    """Each document of these kinds, named by its file."""
    found = []
    for path in sorted((FOLDER / "manifests").rglob("*.yaml")):
        text = path.read_text()
        if not any(f"kind: {kind.kind}" in text for kind in kinds):
            continue
        for number, doc in enumerate(yaml.safe_load_all(text)):
            if isinstance(doc, dict) and KINDS.get(doc.get("kind", "")) in kinds:
                found.append(pytest.param(doc, id=f"{path.parent.name}-{path.stem}-{number}"))
    return found


async def until(client: Client, kind: Kind, count: int) -> list[Obj]:
    """The objects of a kind, once there are so many."""
    async with asyncio.timeout(15):
        listing = await client.list(kind, "default")
        if len(listing.items) >= count:
            return list(listing.items)
        async for _ in client.watch(kind, "default", since=listing.resource_version):
            items = (await client.list(kind, "default")).items
            if len(items) >= count:
                return list(items)
    raise AssertionError("the watch ended")


async def service_named(client: Client, name: str) -> Obj:
    """The one Service beside that of the API server."""
    (service,) = [each for each in await until(client, SERVICE, 2) if name_of(each) != "kubernetes"]
    assert name_of(service) == name
    return service


def at_once(spec: Obj) -> list[Obj]:
    """The replicated jobs that wait for no other."""
    ordered = dig(spec, "startupPolicy", "startupPolicyOrder") == "InOrder"
    return [job for i, job in enumerate(spec["replicatedJobs"]) if not job.get("dependsOn") and not (ordered and i)]


@pytest.mark.parametrize("sample", samples(JOB_SET))
def test_a_jobset_becomes_its_jobs(sample: Obj) -> None:
    async def test() -> None:
        async with cluster(jobset()) as client:
            made = await client.create(JOB_SET, {**sample, "metadata": {**sample["metadata"], "namespace": "default"}})
            spec, name = made["spec"], name_of(made)
            assert spec["successPolicy"]["operator"] in ("All", "Any")
            asked = dig(sample, "spec", "network", "enableDNSHostnames", default=True)
            assert spec["network"]["enableDNSHostnames"] is asked
            jobs = await until(client, JOB, sum(job["replicas"] for job in at_once(spec)))
            wanted = {f"{name}-{job['name']}-{i}" for job in at_once(spec) for i in range(job["replicas"])}
            assert {name_of(job) for job in jobs} == wanted
            total = str(sum(job["replicas"] for job in spec["replicatedJobs"]))
            subdomain = spec["network"].get("subdomain") or name
            for job in jobs:
                template = job["spec"]["template"]
                assert job["spec"]["completionMode"] == "Indexed"
                assert job["spec"]["suspend"] is bool(spec.get("suspend"))
                assert template["spec"].get("subdomain") == (subdomain if asked else None)
                assert template["spec"]["restartPolicy"] in ("OnFailure", "Never")
                for labels in (labels_of(job), template["metadata"]["labels"]):
                    assert labels["jobset.sigs.k8s.io/jobset-name"] == name
                    assert labels["jobset.sigs.k8s.io/global-replicas"] == total
            if not asked:
                return
            service = await service_named(client, subdomain)
            assert service["spec"]["clusterIP"] == "None"
            assert service["spec"]["selector"] == {"jobset.sigs.k8s.io/jobset-name": name}

    asyncio.run(asyncio.wait_for(test(), 30))


@pytest.mark.parametrize("sample", samples(TRAIN_JOB))
def test_a_trainjob_becomes_a_jobset(sample: Obj) -> None:
    if "flux" in sample["spec"]["runtimeRef"]["name"]:
        pytest.skip("Flux runtimes are not supported")

    async def test() -> None:
        async with cluster(trainjob()) as client:
            for runtime in ready_made():
                await client.create(CLUSTER_TRAINING_RUNTIME, runtime)
            await client.create(TRAIN_JOB, {**sample, "metadata": {**sample["metadata"], "namespace": "default"}})
            (made,) = await until(client, JOB_SET, 1)
            name, trainer = name_of(made), sample["spec"].get("trainer") or {}
            assert name == sample["metadata"]["name"]
            assert made["spec"]["suspend"] is bool(sample["spec"].get("suspend"))
            node = next(job for job in made["spec"]["replicatedJobs"] if job["name"] == "node")
            assert node["template"]["spec"]["completions"] == trainer.get("numNodes", 1)
            container = dig(node, "template", "spec", "template", "spec", "containers", 0)
            env = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert env.items() >= {
                ("PET_NNODES", str(trainer.get("numNodes", 1))),
                ("PET_MASTER_ADDR", f"{name}-node-0-0.{name}"),
                ("PET_MASTER_PORT", "29500"),
            }
            assert env.items() >= {(entry["name"], entry.get("value")) for entry in trainer.get("env") or ()}
            assert all(container[field] == trainer[field] for field in ("image", "command", "args") if field in trainer)

    asyncio.run(asyncio.wait_for(test(), 30))


@pytest.mark.parametrize("sample", samples(CLUSTER_TRAINING_RUNTIME, TRAINING_RUNTIME))
def test_a_runtime_is_kept_as_it_was_written(sample: Obj) -> None:
    async def test() -> None:
        kind = KINDS[sample["kind"]]
        async with cluster() as client:
            made = await client.create(kind, sample)
            jobs, given = (each["spec"]["template"]["spec"]["replicatedJobs"] for each in (made, sample))
            for job in given:
                job.setdefault("replicas", 1)
                job.setdefault("groupName", "default")
            assert [job["template"] for job in jobs] == [job["template"] for job in given]
            assert made["spec"]["mlPolicy"] == sample["spec"]["mlPolicy"]

    asyncio.run(asyncio.wait_for(test(), 30))


@pytest.mark.parametrize("sample", samples(LEADER_WORKER_SET))
def test_a_leaderworkerset_becomes_its_leaders(sample: Obj) -> None:
    async def test() -> None:
        async with cluster(leaderworkerset()) as client:
            made = await client.create(
                LEADER_WORKER_SET, {**sample, "metadata": {**sample["metadata"], "namespace": "default"}}
            )
            assert made["spec"]["networkConfig"] == {"subdomainPolicy": "Shared"}
            rolling = {"partition": 0, "maxUnavailable": 1, "maxSurge": 0}
            assert made["spec"]["rolloutStrategy"] == {"type": "RollingUpdate", "rollingUpdateConfiguration": rolling}
            (leaders,) = await until(client, STATEFUL_SET, 1)
            assert name_of(leaders) == name_of(made)
            assert leaders["spec"]["replicas"] == sample["spec"]["replicas"]
            template = leaders["spec"]["template"]
            size = str(sample["spec"]["leaderWorkerTemplate"]["size"])
            assert template["metadata"]["annotations"]["leaderworkerset.sigs.k8s.io/size"] == size
            env = {entry["name"]: entry.get("value") for entry in template["spec"]["containers"][0]["env"]}
            assert env.items() >= {("LWS_GROUP_SIZE", size), ("LWS_WORKER_INDEX", "0")}
            service = await service_named(client, name_of(made))
            assert service["spec"]["publishNotReadyAddresses"] is True

    asyncio.run(asyncio.wait_for(test(), 30))
