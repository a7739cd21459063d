"""The demo's objects: valid Kubernetes, small enough for two CPUs, nothing shared between them."""

from __future__ import annotations

import pytest

from argosy.meta.json import Obj, dig, encode
from argosy.programs.demo import manifests
from argosy.programs.demo.manifests import Demo
from argosy.programs.demo.variants import VARIANTS

DEMO = Demo(namespace="demo")
OBJECTS = [*manifests.everything(DEMO), manifests.burst(DEMO, 5, 4)]


def pod_specs(obj: Obj) -> list[Obj]:
    if obj["kind"] == "PyTorchJob":
        return [spec["template"]["spec"] for spec in obj["spec"]["pytorchReplicaSpecs"].values()]
    spec = dig(obj, "spec", "template", "spec")
    return [spec] if spec else []


@pytest.mark.parametrize("obj", OBJECTS, ids=lambda obj: f"{obj['kind']}-{obj['metadata']['name']}")
def test_valid(obj: Obj) -> None:
    encode(obj)
    validate = pytest.importorskip("kubernetes_validate")
    if obj["apiVersion"].partition("/")[0] not in ("kubeflow.org", "serving.kserve.io"):
        validate.validate(obj, "1.33", strict=True)


def test_training_containers_are_named_as_the_operator_wants() -> None:
    jobs = [obj for obj in OBJECTS if obj["kind"] == "PyTorchJob"]
    assert {job["metadata"]["name"] for job in jobs} == {"pretrain", *(f"finetune-{name}" for name in VARIANTS)}
    for job in jobs:
        for spec in pod_specs(job):
            assert [container["name"] for container in spec["containers"]] == ["pytorch"]


def test_ports_need_no_privilege() -> None:
    services = [obj for obj in OBJECTS if obj["kind"] == "Service"]
    assert services
    assert all(port["port"] >= 1024 for service in services for port in service["spec"]["ports"])


def test_pods_know_their_address_and_have_no_privileges() -> None:
    for spec in [spec for obj in OBJECTS for spec in pod_specs(obj)]:
        for container in spec["containers"]:
            assert any(entry["name"] == "POD_IP" for entry in container["env"])
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_every_stage_fits_on_two_cpus() -> None:
    for job in [obj for obj in OBJECTS if obj["kind"] == "PyTorchJob"]:
        millis = [
            int(container["resources"]["requests"]["cpu"].rstrip("m"))
            for spec in pod_specs(job)
            for container in spec["containers"]
        ]
        assert sum(millis) <= 1000


def test_the_gateways_ingress_lives_with_the_gateway() -> None:
    ours, gateway = manifests.ingresses(DEMO)
    assert (ours["metadata"]["namespace"], gateway["metadata"]["namespace"]) == ("demo", "argosy-system")


def test_objects_are_the_callers_own() -> None:
    first, second = manifests.pretrain(DEMO), manifests.pretrain(DEMO)
    for spec in pod_specs(first):
        spec["containers"][0]["env"].clear()
        spec["containers"][0]["securityContext"].clear()
    assert second == manifests.pretrain(DEMO)


def test_somebodys_own_text_reaches_every_program() -> None:
    demo = Demo(data="book.txt")
    for job in (manifests.pretrain(demo), manifests.finetune(demo, "testing")):
        for spec in pod_specs(job):
            assert spec["containers"][0]["command"][-2:] == ["--data", "/models/book.txt"]


def test_another_run_has_other_checkpoints() -> None:
    jobs = [manifests.pretrain(Demo(run=run)) for run in ("one", "two")]
    places = {job["metadata"]["annotations"]["argosy.dev/checkpoint-dir"] for job in jobs}
    assert places == {"/models/checkpoints/one", "/models/checkpoints/two"}
