"""The RayService operator over its whole life, in a small world that carries its plans out."""

from __future__ import annotations

import pytest
from operator_world import World

from argosy import kinds
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.rayservice.operator import operator
from argosy.operators.settings import OperatorSettings

CONFIG = "applications: [{name: fruit, import_path: fruit.app}]"


def service(meta: Obj | None = None, image: str = "rayproject/ray:2.52.0", **spec: object) -> Obj:
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "demo", **(meta or {})},
        "spec": {"serveConfigV2": CONFIG, "rayClusterConfig": cluster_spec(image), **spec},
    }


def cluster_spec(image: str = "rayproject/ray:2.52.0") -> Obj:
    ports = [{"name": "dashboard", "containerPort": 8265}, {"name": "serve", "containerPort": 8000}]
    head = {"name": "ray-head", "image": image, "ports": ports}
    group = {"groupName": "w", "replicas": 1, "template": {"spec": {"containers": [{"name": "w", "image": image}]}}}
    return {"headGroupSpec": {"template": {"spec": {"containers": [head]}}}, "workerGroupSpecs": [group]}


def world(**given: object) -> World:
    w = World(operator(OperatorSettings()), service(**given))  # type: ignore[arg-type]
    w.settle()
    return w


def name(w: World, side: str) -> str:
    return str((w.status.get(f"{side}ServiceStatus") or {}).get("rayClusterName") or "")


def heads_ready(w: World) -> None:
    for cluster in w.names(RAY_CLUSTER):
        condition = {"type": "HeadPodReady", "status": "True"}
        w.change(RAY_CLUSTER, cluster, {"status": {"conditions": [condition], "head": {"serviceName": "x"}}})
    w.settle()


def serve_says(w: World, cluster: str, status: str | None, *, proxy: bool = True) -> None:
    applications = {"fruit": {"status": status}} if status else {}
    w.probed = {cluster: {"applications": applications, "proxy": proxy}}
    w.settle()


def endpoints(w: World, *ready: bool) -> None:
    made = [{"conditions": {"ready": each}, "targetRef": {"uid": f"pod-{number}"}} for number, each in enumerate(ready)]
    labels = {"kubernetes.io/service-name": "demo-serve-svc"}
    w.objects[kinds.ENDPOINT_SLICE, Key("default", "s")] = {
        "metadata": {"name": "s", "namespace": "default", "labels": labels},
        "endpoints": made,
    }
    w.settle()


def running(**given: object) -> World:
    w = world(**given)
    heads_ready(w)
    cluster = name(w, "pending")
    serve_says(w, cluster, None)
    serve_says(w, cluster, "RUNNING")
    endpoints(w, True, True, False)
    return w


def test_a_service_from_nothing_to_ready():
    w = world()
    cluster = name(w, "pending")
    assert cluster.startswith("demo-")
    assert w.names(RAY_CLUSTER) == [cluster]
    made = w.get(RAY_CLUSTER, cluster)["metadata"]
    assert made["labels"] == {"ray.io/originated-from-cr-name": "demo", "ray.io/originated-from-crd": "RayService"}
    assert made["annotations"]["ray.io/num-worker-groups"] == "1"
    assert w.conditions() == [("Ready", "False"), ("UpgradeInProgress", "False")]
    assert w.calls == []
    heads_ready(w)
    serve_says(w, cluster, None)
    (call,) = w.calls
    assert (call.method, call.key.name, call.path) == ("PUT", f"{cluster}-head-svc:8265", "api/serve/applications/")
    assert call.body == {"applications": [{"name": "fruit", "import_path": "fruit.app"}]}
    serve_says(w, cluster, "DEPLOYING")
    assert w.names(kinds.SERVICE) == []
    assert w.status["pendingServiceStatus"]["applicationStatuses"] == {"fruit": {"status": "DEPLOYING"}}
    serve_says(w, cluster, "RUNNING")
    assert (name(w, "active"), name(w, "pending")) == (cluster, "")
    assert w.names(kinds.SERVICE) == ["demo-head-svc", "demo-serve-svc"]
    assert w.get(kinds.SERVICE, "demo-serve-svc")["spec"] == {
        "selector": {"ray.io/cluster": cluster, "ray.io/serve": "true"},
        "ports": [{"name": "serve", "port": 8000}],
    }
    assert w.status["serviceStatus"] == ""
    endpoints(w, True, True, False)
    assert (w.status["numServeEndpoints"], w.status["serviceStatus"]) == (2, "Running")
    assert w.conditions() == [("Ready", "True"), ("UpgradeInProgress", "False")]
    assert len(w.calls) == 1
    assert w.get(RAY_CLUSTER, cluster)["metadata"]["annotations"]["argosy.dev/head-serves"] == "true"
    endpoints(w, False)
    assert [c["reason"] for c in w.status["conditions"]] == ["ZeroServeEndpoints", "NoPendingCluster"]


def test_a_changed_config_goes_to_the_same_cluster():
    w = running()
    cluster = name(w, "active")
    w.edit({"spec": {"serveConfigV2": CONFIG.replace("fruit.app", "fruit.other")}})
    serve_says(w, cluster, "RUNNING", proxy=False)
    assert [call.method for call in w.calls] == ["PUT", "PUT"]
    assert w.names(RAY_CLUSTER) == [cluster]
    assert w.get(RAY_CLUSTER, cluster)["metadata"]["annotations"]["argosy.dev/head-serves"] == "false"


def test_a_changed_cluster_is_upgraded_under_traffic():
    w = running(rayClusterDeletionDelaySeconds=30)
    old = name(w, "active")
    w.wait(60)
    w.edit({"spec": {"rayClusterConfig": cluster_spec("rayproject/ray:2.60.0")}})
    while w.step():
        w.wait(1)
    new = name(w, "pending")
    assert set(w.names(RAY_CLUSTER)) == {old, new}
    assert new not in ("", old)
    assert name(w, "active") == old
    assert ("UpgradeInProgress", "True") in w.conditions()
    assert ("Ready", "True") in w.conditions()
    heads_ready(w)
    serve_says(w, new, None)
    assert w.get(kinds.SERVICE, "demo-serve-svc")["spec"]["selector"]["ray.io/cluster"] == old
    serve_says(w, new, "RUNNING")
    assert w.get(kinds.SERVICE, "demo-serve-svc")["spec"]["selector"]["ray.io/cluster"] == new
    assert w.get(kinds.SERVICE, "demo-head-svc")["spec"]["selector"]["ray.io/cluster"] == new
    assert (name(w, "active"), name(w, "pending")) == (new, "")
    assert set(w.names(RAY_CLUSTER)) == {old, new}, "requests under way may end"
    w.wait(31)
    w.settle()
    assert w.names(RAY_CLUSTER) == [new]


def test_scaling_and_added_groups_change_the_cluster_that_runs():
    w = running()
    cluster = name(w, "active")
    spec = cluster_spec()
    spec["workerGroupSpecs"].append({**spec["workerGroupSpecs"][0], "groupName": "more"})
    w.edit({"spec": {"rayClusterConfig": spec}})
    w.settle()
    assert w.names(RAY_CLUSTER) == [cluster]
    made = w.get(RAY_CLUSTER, cluster)
    assert [group["groupName"] for group in made["spec"]["workerGroupSpecs"]] == ["w", "more"]
    assert made["metadata"]["annotations"]["ray.io/num-worker-groups"] == "2"


def test_without_upgrades_a_changed_cluster_stays():
    w = running(upgradeStrategy={"type": "None"})
    w.edit({"spec": {"rayClusterConfig": cluster_spec("rayproject/ray:2.60.0")}})
    w.settle()
    assert len(w.names(RAY_CLUSTER)) == 1


def test_a_lost_cluster_is_replaced():
    w = running()
    old = name(w, "active")
    w.wait(5)
    w.remove(RAY_CLUSTER, old)
    w.probed = {}
    w.settle()
    assert name(w, "pending") not in ("", old)
    assert w.names(RAY_CLUSTER) == [name(w, "pending")]


def test_a_lost_head_gets_its_applications_again():
    w = running()
    serve_says(w, name(w, "active"), None)
    assert len(w.calls) == 2


def test_suspend_and_resume():
    w = running()
    w.edit({"spec": {"suspend": True}})
    w.settle()
    assert w.names(RAY_CLUSTER) == w.names(kinds.SERVICE) == []
    assert {("Suspended", "True"), ("Suspending", "False"), ("Ready", "False")} <= set(w.conditions())
    w.edit({"spec": {"suspend": False}})
    endpoints(w)
    assert ("Suspended", "False") in w.conditions()
    assert w.names(RAY_CLUSTER) == [name(w, "pending")]


def test_it_may_take_only_so_long():
    w = world(meta={"annotations": {"ray.io/initializing-timeout": "5m"}}, rayClusterDeletionDelaySeconds=0)
    assert w.again == 300
    w.wait(301)
    w.settle()
    assert w.status["conditions"][0]["reason"] == "InitializingTimeout"
    assert w.names(RAY_CLUSTER) == []
    assert w.told("RayServiceInitializingTimeout")


def test_a_serve_service_of_the_users():
    given = {"metadata": {"name": "mine"}, "spec": {"type": "NodePort", "ports": [{"name": "serve", "port": 80}]}}
    w = running(serveService=given)
    spec = w.get(kinds.SERVICE, "mine")["spec"]
    assert (spec["type"], spec["ports"]) == ("NodePort", [{"name": "serve", "port": 80}])
    assert spec["selector"]["ray.io/serve"] == "true"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"serveConfigV2": "a: ["}, "serveConfigV2 is not valid YAML"),
        ({"upgradeStrategy": {"type": "Sideways"}}, "Sideways is invalid"),
        ({"upgradeStrategy": {"type": "NewClusterWithIncrementalUpgrade"}}, "use NewCluster"),
        ({"meta": {"annotations": {"ray.io/initializing-timeout": "soon"}}}, "invalid format: soon"),
        ({"meta": {"name": "x" * 48}}, "no more than 47 characters"),
    ],
)
def test_what_cannot_be_run_is_told_once(given, said):
    w = world(**given)
    assert w.objects == {}
    assert w.status["conditions"][0]["reason"] == "ValidationFailed"
    assert said in w.status["conditions"][0]["message"]
    assert w.reasons[0].warning
