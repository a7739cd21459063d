"""What to install and what to leave alone."""

from __future__ import annotations

from argosy.operators import ALL
from argosy.operators.install import choose, manifests, missing, objects


def deployment(name: str, replicas: int = 1) -> dict:
    return {"metadata": {"name": name, "namespace": "kubeflow"}, "spec": {"replicas": replicas}}


def test_every_operator_brings_its_kind():
    offered = dict.fromkeys(kind.resource for offer in ALL for kind in offer.kinds)
    assert [crd["metadata"]["name"] for crd in manifests()] == list(offered), "two versions are one definition"


def test_what_comes_along_is_of_a_kind_that_the_cluster_knows():
    found = {(kind.kind, obj["metadata"]["name"]) for kind, obj in objects()}
    assert {("ClusterTrainingRuntime", "torch-distributed"), ("ConfigMap", "kubeflow-trainer-public")} <= found


def test_a_definition_that_is_there_stays():
    everything = {crd["metadata"]["name"] for crd in manifests()}
    present = {"pytorchjobs.kubeflow.org", "jobsets.jobset.x-k8s.io"}
    assert {crd["metadata"]["name"] for crd in missing(present)} == everything - present


def test_the_official_operators_kinds_are_left_alone():
    choice = choose(ALL, [deployment("training-operator"), deployment("other")])
    kept = {kind.kind for offer in choice.offers for kind in offer.kinds}
    assert "InferenceService" in kept
    assert "PyTorchJob" not in kept
    assert "PyTorchJob is left to kubeflow/training-operator" in choice.left_alone[0]
    idle = choose(ALL, [deployment("kserve-controller-manager", replicas=0)])
    assert idle.offers == ALL
    assert idle.left_alone == ()
