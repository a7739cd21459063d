"""KubeRay's own samples, held against what its definitions accept and what it documents about pods, env and Services."""

from __future__ import annotations

import sys
import tarfile
from functools import cache
from pathlib import Path

import pytest
import yaml
from operator_world import World

from argosy import kinds
from argosy.meta import structural, validation
from argosy.meta.crd import crd_for
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind
from argosy.meta.schema import Schema
from argosy.meta.schema import structural as compiled
from argosy.operators.raycluster.operator import operator as raycluster
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.rayjob.operator import operator as rayjob
from argosy.operators.rayjob.schema import RAY_JOB
from argosy.operators.rayservice.operator import operator as rayservice
from argosy.operators.rayservice.schema import RAY_SERVICE
from argosy.operators.settings import OperatorSettings

sys.path.insert(0, str(Path(__file__).parents[2]))

from cases import FOLDER, needs_cases

KINDS = {kind.kind: kind for kind in (RAY_CLUSTER, RAY_JOB, RAY_SERVICE)}
SAMPLES = FOLDER / "manifests" / "ray-project_kuberay"
EMBEDDED = {"RayCluster": (), "RayJob": ("rayClusterSpec",), "RayService": ("rayClusterConfig",)}
ENV = {
    "RAY_CLUSTER_NAME", "RAY_CLUSTER_NAMESPACE", "RAY_CLOUD_INSTANCE_ID", "RAY_NODE_TYPE_NAME",
    "KUBERAY_GEN_RAY_START_CMD", "RAY_PORT", "RAY_ADDRESS", "RAY_USAGE_STATS_KUBERAY_IN_USE",
    "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE",
}  # fmt: skip


def documents() -> list[tuple[str, Obj]]:
    read = (
        (path.name, yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))
        for path in sorted(SAMPLES.rglob("*.yaml"))
    )
    return [(name, document) for name, all_ in read for document in all_ if document and document["kind"] in KINDS]


FOUND = documents()
SAMPLE = pytest.mark.parametrize("document", [document for _, document in FOUND], ids=[name for name, _ in FOUND])


@cache
def schema(kind: Kind) -> Schema:
    return compiled(crd_for(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


@cache
def upstream(kind: Kind) -> Schema:
    with tarfile.open(FOLDER / "crds.tar.gz") as archive:
        source = archive.extractfile(f"ray-project_kuberay/ray.io_{kind.plural}.yaml")
        assert source is not None
        spec = yaml.load(source, Loader=yaml.CSafeLoader)["spec"]
    version = next(version for version in spec["versions"] if version["name"] == kind.version)
    return compiled(version["schema"]["openAPIV3Schema"])


def processed(document: Obj, by: Schema) -> tuple[Obj, list[str], list[str]]:
    made = thaw(document)
    unknown = structural.prepare(made, by)
    return made, list(unknown), [str(cause) for cause in validation.validate_object(made, by)]


def cluster_of(document: Obj) -> Obj | None:
    """The cluster that the operators make of a sample; None for a job that is a guest."""
    if document["kind"] == "RayCluster":
        return document
    build = rayjob if document["kind"] == "RayJob" else rayservice
    world = World(build(OperatorSettings()), document)
    world.settle()
    assert [r.message for r in world.reasons if r.warning and r.code != "RayClusterNotFound"] == []
    made = world.of(RAY_CLUSTER)
    return made[0] if made else None


@needs_cases
@SAMPLE
def test_a_sample_is_read_as_upstream_reads_it(document):
    kind = KINDS[document["kind"]]
    ours, theirs = processed(document, schema(kind)), processed(document, upstream(kind))
    assert ours == theirs


@needs_cases
@SAMPLE
def test_a_sample_yields_the_documented_pods(document):
    filled, _, _ = processed(document, schema(KINDS[document["kind"]]))
    cluster = cluster_of(filled)
    if cluster is None:
        assert document["spec"]["clusterSelector"]
        return
    cluster, unknown, wrong = processed({**cluster, "status": {}}, schema(RAY_CLUSTER))
    assert (unknown, wrong) == ([], [])
    world = World(raycluster(OperatorSettings()), cluster)
    world.settle()
    assert [reason.message for reason in world.reasons if reason.warning] == []
    spec, owner = cluster["spec"], cluster["metadata"]["name"]
    heads = [pod for pod in world.of(kinds.POD) if pod["metadata"]["labels"]["ray.io/node-type"] == "head"]
    workers = [pod for pod in world.of(kinds.POD) if pod["metadata"]["labels"]["ray.io/node-type"] == "worker"]
    assert len(heads) == 1
    groups = spec.get("workerGroupSpecs") or []
    assert len(workers) == sum(max(g["replicas"], g["minReplicas"]) * g["numOfHosts"] for g in groups)
    address = f"{owner}-head-svc.default.svc.cluster.local"
    for pod in world.of(kinds.POD):
        container = pod["spec"]["containers"][0]
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert set(env) >= ENV
        head = pod in heads
        assert env["RAY_ADDRESS"] == ("127.0.0.1:6379" if head else f"{address}:6379")
        assert head or env["FQ_RAY_IP"] == address
        start = env["KUBERAY_GEN_RAY_START_CMD"] or ""
        assert start.startswith("ray start --head " if head else "ray start ")
        own = " ".join([*container.get("command", ()), *container.get("args", ())])
        assert start in own or "$KUBERAY_GEN_RAY_START_CMD" in own or "ray start" in own
        assert {"livenessProbe", "readinessProbe"} <= set(container)
    service = world.get(kinds.SERVICE, f"{owner}-head-svc")
    named = {port["name"] for port in service["spec"]["ports"]}
    given = {p["name"] for p in spec["headGroupSpec"]["template"]["spec"]["containers"][0].get("ports") or ()}
    assert named == {*(given or {"client", "gcs-server", "dashboard", "serve"}), "metrics"}
    assert service["spec"]["clusterIP"] == "None" or spec["headGroupSpec"].get("serviceType")
