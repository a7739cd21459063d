"""`argosy operators` against an API server that it reaches over HTTP, with a person's definitions and Deployments in it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from argosy import kinds
from argosy.client.client import Client
from argosy.client.kubeconfig import Access
from argosy.clock import SystemClock
from argosy.cluster.remote import operate
from argosy.engine.apiserver.authn import Authenticator
from argosy.engine.apiserver.http import serve
from argosy.meta.crd import crd_for
from argosy.meta.json import Obj
from argosy.meta.objects import labels_of, name_of
from argosy.operators.install import definitions
from argosy.operators.mpijob.schema import MPI_JOB_V1
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.settings import OperatorSettings
from argosy.operators.tfjob.schema import TF_JOB
from argosy.testing.cluster import ADMIN, cluster


@asynccontextmanager
async def reached() -> AsyncGenerator[tuple[Client, Access]]:
    """A client of a fresh API server, and the way to it from outside."""
    async with cluster() as made:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        authenticator = Authenticator(made.app.api.tokens, {"admin": ADMIN}, SystemClock())
        async with serve(made.app, sock, None, authenticator):
            yield made.client, Access(f"http://127.0.0.1:{sock.getsockname()[1]}", token="admin")


class Told:
    """What a person hears."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, text: str) -> None:
        self.sentences.append(text)
        self._news.set()

    async def until(self, part: str) -> str:
        """The first sentence with this in it."""
        while True:
            found = next((sentence for sentence in self.sentences if part in sentence), None)
            if found is not None:
                return found
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def operators(access: Access) -> AsyncGenerator[Told]:
    told = Told()
    running = asyncio.create_task(operate(access, OperatorSettings(), told))
    running.add_done_callback(lambda task: task.cancelled() or told(f"ended: {task.exception()}"))
    try:
        yield told
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def job(kind: str, specs: str, role: str, container: str) -> Obj:
    template = {"spec": {"containers": [{"name": container, "image": "i"}]}}
    metadata = {"name": kind.lower(), "namespace": "default"}
    spec = {specs: {role: {"replicas": 1, "restartPolicy": "Never", "template": template}}}
    return {"apiVersion": "kubeflow.org/v1", "kind": kind, "metadata": metadata, "spec": spec}


async def first_pod(client: Client) -> Obj:
    async for event in client.watch(kinds.POD, "default", initial_events=True):
        if event.type == "ADDED":
            return event.obj
    raise AssertionError("the watch ended")


def test_the_kinds_are_installed_and_jobs_run_and_the_lease_is_given_back() -> None:
    async def scenario() -> None:
        async with reached() as (client, access), asyncio.timeout(60):
            async with operators(access) as told:
                await told.until(" leads; reconciling pytorchjobs.kubeflow.org, ")
                found = {name_of(crd) for crd in (await client.list(kinds.CUSTOM_RESOURCE_DEFINITION)).items}
                assert set(definitions()) <= found
                await client.create(PYTORCH_JOB, job("PyTorchJob", "pytorchReplicaSpecs", "Master", "pytorch"))
                assert name_of(await first_pod(client)) == "pytorchjob-master-0"
            lease = await client.get(kinds.LEASE, "argosy-operators", "kube-system")
            assert lease["spec"]["holderIdentity"] == "", "the next one need not wait"

    asyncio.run(scenario())


def test_definitions_that_are_there_stay_and_the_versions_that_they_serve_are_run() -> None:
    async def scenario() -> None:
        async with reached() as (client, access), asyncio.timeout(60):
            theirs = crd_for(MPI_JOB_V1)
            theirs["metadata"]["labels"] = {"whose": "theirs"}
            await client.create(kinds.CUSTOM_RESOURCE_DEFINITION, theirs)
            async with operators(access) as told:
                await told.until("definition of mpijobs.kubeflow.org has no version v2beta1")
                await told.until(" leads; ")
                await client.create(MPI_JOB_V1, job("MPIJob", "mpiReplicaSpecs", "Launcher", "mpi"))
                assert name_of(await first_pod(client)).startswith("mpijob-launcher")
            there = await client.get(kinds.CUSTOM_RESOURCE_DEFINITION, "mpijobs.kubeflow.org")
            assert labels_of(there) == {"whose": "theirs"}
            assert [version["name"] for version in there["spec"]["versions"]] == ["v1"]

    asyncio.run(scenario())


def test_kinds_of_an_operator_that_runs_there_are_left_to_it() -> None:
    async def scenario() -> None:
        async with reached() as (client, access), asyncio.timeout(60):
            labels = {"app": "training-operator"}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
            metadata = {"name": "training-operator", "namespace": "default"}
            spec = {"selector": {"matchLabels": labels}, "template": template}
            await client.create(kinds.DEPLOYMENT, {"metadata": metadata, "spec": spec})
            async with operators(access) as told:
                await told.until(
                    "TFJob is left to default/training-operator, which runs here; scale that Deployment to 0"
                )
                leads = await told.until(" leads; ")
                assert TF_JOB.resource not in leads
                assert "jobsets.jobset.x-k8s.io" in leads

    asyncio.run(scenario())
