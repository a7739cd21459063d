"""Manifests that people wrote for the `kubeflow.org/v1` kinds: accepted by our definitions, and made into the pods, the
environment and the Services that those kinds are documented to have. What is expected is worked out here, by the rules, from
the manifest alone.
"""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from operator_world import World
from served import cluster

from argosy import kinds
from argosy.errors import Invalid
from argosy.meta.crd import crd_for
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.operator import operator
from argosy.operators.jaxjob.operator import JAX
from argosy.operators.paddlejob.operator import PADDLE
from argosy.operators.pytorchjob.operator import PYTORCH
from argosy.operators.settings import OperatorSettings
from argosy.operators.tfjob.operator import TENSORFLOW
from argosy.operators.xgboostjob.operator import XGBOOST
from cases import FOLDER, lines, needs_cases

pytestmark = needs_cases
FRAMEWORKS = {framework.kind.kind: framework for framework in (PYTORCH, TENSORFLOW, JAX, XGBOOST, PADDLE)}


def documents(folder: Path) -> Iterator[tuple[str, Obj]]:
    """Every document of these kinds below a folder, with where it lies."""
    for path in sorted(folder.rglob("*.y*ml")):
        try:
            found = list(yaml.safe_load_all(path.read_text()))
        except yaml.YAMLError:  # templates of other tools
            continue
        for doc in found:
            if isinstance(doc, dict) and doc.get("apiVersion") == "kubeflow.org/v1" and doc.get("kind") in FRAMEWORKS:
                yield str(path.relative_to(folder)), doc


@cache
def all_documents() -> list[tuple[str, Obj]]:
    return list(documents(FOLDER / "manifests"))


def replicas_of(framework: Framework, doc: Obj) -> dict[str, Obj]:
    return doc["spec"][framework.specs]


def count(spec: Obj) -> int:
    return spec.get("replicas", 1)


def port_of(framework: Framework, spec: Obj) -> int:
    for container in spec["template"]["spec"]["containers"]:
        for port in container.get("ports") or ():
            if container["name"] == framework.container and port.get("name") == framework.port_name:
                return port["containerPort"]
    return framework.port


def expected_env(framework: Framework, doc: Obj, type: str, index: int) -> dict[str, object]:
    """What the kind's documentation says that the pod's training container gets."""
    name, namespace = doc["metadata"]["name"], doc["metadata"].get("namespace", "default")
    replicas = replicas_of(framework, doc)
    total = sum(count(spec) for spec in replicas.values())
    ports = {kind: str(port_of(framework, spec)) for kind, spec in replicas.items()}
    plain = {"PYTHONUNBUFFERED": "1"}
    match framework.kind.kind:
        case "PyTorchJob" if "Master" in replicas:
            rank, per_node = str(index + (type == "Worker")), str(doc["spec"].get("nprocPerNode", "auto"))
            world = str(total * (int(per_node) if per_node.isdigit() else 1))
            address = {"MASTER_ADDR": f"{name}-master-0", "MASTER_PORT": ports["Master"]}
            torchrun = {f"PET_{key}": value for key, value in address.items()}
            torchrun |= {"PET_NODE_RANK": rank, "PET_NPROC_PER_NODE": per_node, "PET_NNODES": str(total)}
            return plain | address | torchrun | {"WORLD_SIZE": world, "RANK": rank}
        case "PyTorchJob":
            elastic = doc["spec"]["elasticPolicy"]
            nodes = f"{elastic['minReplicas']}:{elastic['maxReplicas']}"
            known = {"PET_NNODES": nodes, "PET_RDZV_BACKEND": elastic.get("rdzvBackend", "c10d")}
            host = elastic.get("rdzvHost", f"{name}-worker-0")
            return plain | known | {"PET_RDZV_ENDPOINT": f"{host}:{elastic.get('rdzvPort', ports['Worker'])}"}
        case "TFJob":
            if total == 1:
                return {}
            hosts = {
                kind.lower(): [
                    f"{name}-{kind.lower()}-{i}.{namespace}.svc:{ports[kind]}" for i in range(count(replicas[kind]))
                ]
                for kind in sorted(replicas)
            }
            config = {"cluster": hosts, "task": {"type": type.lower(), "index": index}, "environment": "cloud"}
            return {"TF_CONFIG": json.dumps(config, separators=(",", ":"))}
        case "JAXJob":
            there = {"COORDINATOR_ADDRESS": f"{name}-worker-0", "COORDINATOR_PORT": ports["Worker"]}
            return plain | there | {"NUM_PROCESSES": str(total), "PROCESS_ID": str(index)}
        case "XGBoostJob":
            rank = str(index + (type == "Worker"))
            there = {"MASTER_ADDR": f"{name}-master-0", "MASTER_PORT": ports["Master"]}
            workers = [f"{name}-worker-{i}" for i in range(count(replicas.get("Worker", {"replicas": 0})))]
            light = {"WORKER_ADDRS": ",".join(workers), "WORKER_PORT": ports["Worker"]} if workers else {}
            return plain | there | light | {"WORLD_SIZE": str(total), "RANK": rank}
        case _:
            known = {"PADDLE_JOB_ID": name, "PADDLE_NNODES": str(total)}
            leads = index == 0 and type == ("Master" if "Master" in replicas else "Worker")
            lead = "Master" if "Master" in replicas else "Worker"
            host = "$(POD_IP_DUMMY)" if leads else f"{name}-{lead.lower()}-0"
            return plain | known | {"PADDLE_MASTER": f"{host}:{ports[lead]}"}


def made_of(framework: Framework, doc: Obj) -> World:
    world = World(operator(framework, OperatorSettings()), doc)
    world.settle()
    return world


def check(doc: Obj) -> None:
    framework = FRAMEWORKS[doc["kind"]]
    world, name = made_of(framework, doc), doc["metadata"]["name"]
    namespace = doc["metadata"].get("namespace", "default")
    assert world.conditions() == [("Created", "True")]
    slots = [(type, spec, i) for type, spec in replicas_of(framework, doc).items() for i in range(count(spec))]
    names = sorted(f"{name}-{type.lower()}-{i}" for type, _, i in slots)
    assert world.names(kinds.POD) == names
    assert world.names(kinds.SERVICE) == names
    for type, spec, index in slots:
        key = Key(namespace, f"{name}-{type.lower()}-{index}")
        pod, service = world.objects[kinds.POD, key], world.objects[kinds.SERVICE, key]
        labels = {
            "training.kubeflow.org/job-name": name,
            "training.kubeflow.org/operator-name": f"{doc['kind'].lower()}-controller",
            "training.kubeflow.org/replica-type": type.lower(),
            "training.kubeflow.org/replica-index": str(index),
        }
        assert labels.items() <= pod["metadata"]["labels"].items()
        assert service["spec"]["selector"] == labels
        assert service["spec"]["clusterIP"] == "None"
        port = {"name": framework.port_name, "port": port_of(framework, spec)}
        assert port in service["spec"]["ports"]
        given = next(c for c in spec["template"]["spec"]["containers"] if c["name"] == framework.container)
        trains = next(c for c in pod["spec"]["containers"] if c["name"] == framework.container)
        for field in set(given) - {"env", "ports"}:
            assert trains[field] == given[field]
        env = {entry["name"]: entry.get("value") for entry in trains["env"]}
        assert expected_env(framework, doc, type, index).items() <= env.items()
        assert all(entry["name"] in env for entry in given.get("env") or ())
        assert pod["spec"].get("volumes") == spec["template"]["spec"].get("volumes")


def test_every_manifest_becomes_the_documented_objects() -> None:
    assert all_documents()
    for where, doc in all_documents():
        try:
            check(doc)
        except AssertionError as error:
            raise AssertionError(f"{where}: {error}") from error


def test_every_manifest_is_accepted_and_kept_as_it_is() -> None:
    refused = {case["local"].removeprefix("manifests/") for case in lines("golden.jsonl.gz") if case["code"] == 422}

    async def test() -> None:
        async with cluster() as client:
            made = {"default"}
            for where, doc in all_documents():
                namespace = doc["metadata"].get("namespace", "default")
                if namespace not in made:
                    namespaced: Obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
                    await client.create(kinds.NAMESPACE, namespaced)
                    made.add(namespace)
                kind = FRAMEWORKS[doc["kind"]].kind
                name = f"{doc['metadata']['name']}-{len(made)}"
                sent = {**doc, "metadata": {**doc["metadata"], "name": name, "namespace": namespace}}
                made.add(name)
                if where in refused:  # by a real server too: a quantity that is a number with a point, say
                    with pytest.raises(Invalid):
                        await client.create(kind, sent)
                    continue
                answer = await client.create(kind, sent)
                assert covers(answer["spec"], doc["spec"]), where

    asyncio.run(asyncio.wait_for(test(), 60))


def covers(kept: object, sent: object) -> bool:
    """Whether nothing of what was sent was dropped or changed; defaults may be added."""
    if isinstance(sent, dict):
        return isinstance(kept, dict) and all(name in kept and covers(kept[name], sent[name]) for name in sent)
    if isinstance(sent, list):
        return isinstance(kept, list) and len(kept) == len(sent) and all(map(covers, kept, sent))
    return kept == sent


def fields(schema: Obj, at: str = "", *, depth: int = 12) -> Iterator[tuple[str, str]]:
    """Every path of a schema outside of what Kubernetes itself defines, with its type."""
    if "PodTemplateSpec" in str(schema.get("$builtin")) or at.endswith((".template", "metadata", ".metrics[]")):
        return
    if schema.get("x-kubernetes-int-or-string"):
        return
    yield at, str(schema.get("type"))
    for name, value in (schema.get("properties") or {}).items():
        yield from fields(value, f"{at}.{name}", depth=depth - 1)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from fields(schema["additionalProperties"], f"{at}.*", depth=depth - 1)
    if isinstance(schema.get("items"), dict):
        yield from fields(schema["items"], f"{at}[]", depth=depth - 1)


def real_definition(kind: str) -> Obj | None:
    with tarfile.open(FOLDER / "crds.tar.gz") as archive:
        for member in archive:
            source = archive.extractfile(member) if member.name.endswith(f"kubeflow.org_{kind.lower()}s.yaml") else None
            if source is not None:
                crd: Obj = yaml.load(source, Loader=yaml.CSafeLoader)
                return crd
    return None


@pytest.mark.parametrize("kind", sorted(FRAMEWORKS))
def test_our_definition_has_the_fields_the_columns_and_the_subresources_of_the_real_one(kind: str) -> None:
    real = real_definition(kind)
    if real is None:
        pytest.skip(f"no real definition of {kind}")
    ours = crd_for(FRAMEWORKS[kind].kind)
    theirs, mine = (next(v for v in crd["spec"]["versions"] if v["name"] == "v1") for crd in (real, ours))
    wanted = dict(fields(theirs["schema"]["openAPIV3Schema"]))
    have = dict(fields(mine["schema"]["openAPIV3Schema"]))
    assert {
        path: type for path, type in wanted.items() if have.get(path) != type and ".labelSelector" not in path
    } == {}
    assert theirs["subresources"] == mine["subresources"]
    columns = [[c["name"], c["jsonPath"], c["type"]] for c in theirs["additionalPrinterColumns"]]
    assert columns == [[c["name"], c["jsonPath"], c["type"]] for c in mine["additionalPrinterColumns"]]
    assert real["spec"]["names"]["plural"] == ours["spec"]["names"]["plural"]
    assert real["spec"]["scope"] == ours["spec"]["scope"]
