"""Every MPIJob among the real manifests: accepted by our definition, and made into the documented objects by the operator of
its own version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import yaml
from operator_world import World
from served import cluster, until

from argosy import kinds
from argosy.errors import NotFound
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of
from argosy.operators.mpijob.operator import operator, operator_v1
from argosy.operators.mpijob.schema import MPI_JOB, MPI_JOB_V1
from argosy.operators.settings import OperatorSettings
from cases import FOLDER, needs_cases

pytestmark = needs_cases
KINDS = {kind.api_version: kind for kind in (MPI_JOB, MPI_JOB_V1)}
OPERATORS = (operator(), operator_v1(OperatorSettings()))


def documents() -> Iterator[tuple[str, Obj]]:
    for path in sorted((FOLDER / "manifests").rglob("*.yaml")):
        text = path.read_text()
        if "kind: MPIJob" not in text:
            continue
        for doc in yaml.safe_load_all(text):
            if isinstance(doc, dict) and doc.get("kind") == "MPIJob":
                yield str(path.relative_to(FOLDER)), doc


def replica(doc: Obj, type: str) -> Obj:
    return doc["spec"]["mpiReplicaSpecs"][type]


def check_v2(doc: Obj, w: World) -> None:
    name, workers = doc["metadata"]["name"], replica(doc, "Worker")["replicas"]
    assert w.names(kinds.POD) == [f"{name}-worker-{i}" for i in range(workers)]
    lines = [f"{name}-worker-{i}.{name}.default.svc slots={doc['spec']['slotsPerWorker']}\n" for i in range(workers)]
    assert w.get(kinds.CONFIG_MAP, f"{name}-config")["data"]["hostfile"] == "".join(lines)
    worker = w.get(kinds.POD, f"{name}-worker-0")["spec"]["containers"][0]
    given = replica(doc, "Worker")["template"]["spec"]["containers"][0]
    assert worker["command"] == given.get("command", ["/usr/sbin/sshd", "-De"])
    assert worker.get("args") == given.get("args")
    assert worker["resources"] == given["resources"]
    path = doc["spec"].get("sshAuthMountPath", "/root/.ssh")
    assert {"name": "ssh-auth", "mountPath": path} in worker["volumeMounts"]
    launcher = w.get(kinds.JOB, f"{name}-launcher")["spec"]
    assert launcher.get("ttlSecondsAfterFinished") == dig(doc, "spec", "runPolicy", "ttlSecondsAfterFinished")
    main = launcher["template"]["spec"]["containers"][0]
    given = replica(doc, "Launcher")["template"]["spec"]["containers"][0]
    assert (main["command"], main.get("args")) == (given["command"], given.get("args"))
    assert {"name": "OMPI_MCA_orte_default_hostfile", "value": "/etc/mpi/hostfile"} in main["env"]


def check_v1(doc: Obj, w: World) -> None:
    name, workers = doc["metadata"]["name"], replica(doc, "Worker")["replicas"]
    assert w.names(kinds.POD) == [f"{name}-launcher", *(f"{name}-worker-{i}" for i in range(workers))]
    lines = [f"{name}-worker-{i} slots={doc['spec']['slotsPerWorker']}\n" for i in range(workers)]
    assert w.get(kinds.CONFIG_MAP, f"{name}-config")["data"]["hostfile"] == "".join(lines)
    main = w.get(kinds.POD, f"{name}-launcher")["spec"]["containers"][0]
    assert {"name": "OMPI_MCA_plm_rsh_agent", "value": "/etc/mpi/kubexec.sh"} in main["env"]
    assert w.get(kinds.POD, f"{name}-worker-0")["spec"]["containers"][0]["command"] == ["sleep"]
    for kind in (kinds.SERVICE_ACCOUNT, kinds.ROLE, kinds.ROLE_BINDING):
        assert w.names(kind) == [f"{name}-launcher"]


CASES = list(documents())


def test_there_are_some_of_both_versions() -> None:
    assert {doc["apiVersion"] for _, doc in CASES} == set(KINDS)


@pytest.mark.parametrize(("where", "doc"), CASES, ids=[where for where, _ in CASES])
def test_it_becomes_the_documented_objects(where: str, doc: Obj) -> None:
    v1 = doc["apiVersion"] == MPI_JOB_V1.api_version
    writer = {"apiVersion": doc["apiVersion"], "fieldsV1": {"f:spec": {}}, "time": "2026-01-01T00:00:00Z"}
    subject = {**doc, "metadata": {**doc["metadata"], "managedFields": [writer]}}
    w = World(OPERATORS[v1], subject)
    w.settle()
    (check_v1 if v1 else check_v2)(doc, w)


@pytest.mark.parametrize(("where", "doc"), CASES, ids=[where for where, _ in CASES])
def test_a_server_takes_it_and_its_own_operator_cares_for_it(where: str, doc: Obj) -> None:
    async def test() -> None:
        async with cluster(*OPERATORS) as client:
            kind, name = KINDS[doc["apiVersion"]], doc["metadata"]["name"]
            made = await client.create(kind, {**doc, "metadata": {**doc["metadata"], "namespace": "default"}})
            for type in ("Launcher", "Worker"):
                kept, sent = replica(made, type)["template"]["spec"], replica(doc, type)["template"]["spec"]
                assert kept["containers"][0].items() >= sent["containers"][0].items()
            workers = {f"{name}-worker-{i}" for i in range(replica(doc, "Worker")["replicas"])}
            await until(client, kinds.POD, lambda pods: workers <= {name_of(pod) for pod in pods})
            if kind is MPI_JOB:
                await until(client, kinds.JOB, lambda jobs: f"{name}-launcher" in map(name_of, jobs))
            else:
                await until(client, kinds.POD, lambda pods: f"{name}-launcher" in map(name_of, pods))
                with pytest.raises(NotFound):
                    await client.get(kinds.SERVICE, name, "default")

    asyncio.run(test())
