"""What to install and what to leave alone."""

from __future__ import annotations

from argosy.clock import SystemClock
from argosy.intent import Capabilities
from argosy.operators import ALL, build
from argosy.operators.install import choose, manifests, missing, objects, unserved
from argosy.operators.settings import OperatorSettings


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


def test_a_version_that_the_clusters_own_definition_lacks_is_said():
    v1_only = Capabilities(frozenset({"mpijobs.v1.kubeflow.org", "tfjobs.v1.kubeflow.org"}))
    (sentence,) = unserved({"mpijobs.kubeflow.org", "tfjobs.kubeflow.org"}, v1_only)
    assert "MPIJobs of kubeflow.org/v2beta1 are refused here" in sentence
    assert not unserved((), v1_only), "what Argosy installs has every version"


def test_the_operators_wake_by_any_version_of_their_kind():
    by_resource = {o.kinds[0].resource: [k.version for k in o.kinds] for o in build(OperatorSettings(), SystemClock())}
    assert by_resource["mpijobs.kubeflow.org"] == ["v2beta1", "v1"]
    assert by_resource["experiments.kubeflow.org"] == ["v1beta1"]


def test_the_official_operators_kinds_are_left_alone():
    choice = choose(ALL, [deployment("training-operator"), deployment("other")])
    kept = {kind.kind for offer in choice.offers for kind in offer.kinds}
    assert "InferenceService" in kept
    assert "PyTorchJob" not in kept
    assert "PyTorchJob is left to kubeflow/training-operator" in choice.left_alone[0]
    assert len(choice.left_alone) == len(set(choice.left_alone)), "of two versions it is said once"
    idle = choose(ALL, [deployment("kserve-controller-manager", replicas=0)])
    assert idle.offers == ALL
    assert idle.left_alone == ()
