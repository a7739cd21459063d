"""The InferenceService operator over its life, in the small world."""

from __future__ import annotations

import pytest
from operator_world import World

from argosy import kinds
from argosy.clock import SystemClock, rfc3339_micro
from argosy.meta.json import Obj
from argosy.operators.inferenceservice.operator import operator
from argosy.operators.settings import OperatorSettings

LORA = ["--enable-lora", "--lora-modules", "poet=/mnt/models/poet", "law=pvc://adapters/law"]


def isvc(annotations: Obj | None = None, **predictor: object) -> Obj:
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": "pvc://models/base/v1", "args": LORA}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "llm", "annotations": annotations or {}},
        "spec": {"predictor": predictor or {"model": model}},
    }


def world(annotations: Obj | None = None, **predictor: object) -> World:
    w = World(operator(OperatorSettings(), SystemClock()), isvc(annotations, **predictor))
    w.settle()
    return w


def available(w: World, status: str = "True", replicas: int = 1) -> None:
    conditions = [{"type": "Available", "status": status, "reason": "MinimumReplicasUnavailable", "message": "no"}]
    w.change(kinds.DEPLOYMENT, "llm-predictor", {"status": {"conditions": conditions, "replicas": replicas}})
    w.settle()


def demand(w: World, *pairs: tuple[float, float]) -> None:
    """(seconds from now, demand)."""
    start = w.now
    found = []
    for seconds, value in pairs:
        w.now = start
        w.wait(seconds)
        found.append({"at": rfc3339_micro(w.now), "demand": value})
    w.now, w.probed = start, {"samples": found}


def conditions(w: World) -> dict[str, str]:
    return dict(w.conditions())


def replicas(w: World) -> int:
    return int(w.get(kinds.DEPLOYMENT, "llm-predictor")["spec"]["replicas"])


def pod(w: World, **status: object) -> None:
    labels = {"serving.kserve.io/inferenceservice": "llm"}
    meta = {
        "name": "llm-predictor-1",
        "namespace": "default",
        "labels": labels,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    w.objects[kinds.POD, kinds_key("llm-predictor-1")] = {"metadata": meta, "status": status}


def kinds_key(name: str):
    from argosy.meta.objects import Key

    return Key("default", name)


def test_a_model_becomes_a_deployment_and_a_service():
    w = world()
    deployment = w.get(kinds.DEPLOYMENT, "llm-predictor")
    labels = {"app": "isvc.llm-predictor", "serving.kserve.io/inferenceservice": "llm", "component": "predictor"}
    assert deployment["metadata"]["labels"] == labels
    assert deployment["spec"]["selector"] == {"matchLabels": {"app": "isvc.llm-predictor"}}
    assert deployment["spec"]["template"]["metadata"]["labels"] == labels
    assert deployment["spec"]["replicas"] == 1
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["name"] == "kserve-container"
    assert container["command"] == ["python", "-m", "argosy.programs.model_server"]
    assert container["args"] == [
        "--model_name=llm",
        "--model_dir=/mnt/models",
        "--http_port=8080",
        "--host=$(POD_IP)",
        "--enable-lora",
        "--lora-modules",
        "poet=/mnt/models/poet",
        "law=/mnt/adapters/law",
    ]
    assert container["volumeMounts"] == [
        {"name": "kserve-pvc-source", "mountPath": "/mnt/models", "readOnly": True, "subPath": "base/v1"},
        {"name": "kserve-pvc-source-adapters", "mountPath": "/mnt/adapters/law", "readOnly": True, "subPath": "law"},
    ]
    assert [v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"]] == ["models", "adapters"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": 8080}
    service = w.get(kinds.SERVICE, "llm-predictor")
    assert service["metadata"]["labels"] == labels
    assert service["spec"] == {
        "selector": {"app": "isvc.llm-predictor"},
        "ports": [{"name": "llm-predictor", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
    }
    assert w.of(kinds.HORIZONTAL_POD_AUTOSCALER) == []


def test_ready_only_when_the_deployment_is_available():
    w = world()
    assert conditions(w) == {
        "IngressReady": "True",
        "PredictorReady": "Unknown",
        "Ready": "Unknown",
        "Stopped": "False",
    }
    available(w, "False")
    assert conditions(w)["Ready"] == "False"
    assert w.status["modelStatus"]["transitionStatus"] == "InProgress"
    w.wait(3)
    available(w)
    assert conditions(w) == {"IngressReady": "True", "PredictorReady": "True", "Ready": "True", "Stopped": "False"}
    assert list(conditions(w)) == sorted(conditions(w))
    assert w.status["url"] == w.status["address"]["url"] == "http://llm-predictor.default.svc.cluster.local"
    assert w.status["modelStatus"] == {
        "transitionStatus": "UpToDate",
        "states": {"activeModelState": "Loaded", "targetModelState": "Loaded"},
        "copies": {"failedCopies": 0, "totalCopies": 1},
    }
    assert w.told("InferenceServiceReady") == ["InferenceService [llm] is Ready"]


def test_a_model_that_does_not_load_says_why():
    w = world()
    available(w, "False")
    trace = 'Traceback (most recent call last):\n  File "x"\nOSError: /mnt/models has no config.json\n\nduring exit\n'
    ended = {"exitCode": 1, "message": trace, "finishedAt": "2026-01-01T00:00:09Z"}
    pod(
        w,
        containerStatuses=[
            {
                "name": "kserve-container",
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": ended},
            }
        ],
    )
    w.settle()
    (ready,) = [c for c in w.status["conditions"] if c["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ModelLoadFailed")
    assert ready["message"].endswith("exited with code 1: OSError: /mnt/models has no config.json")
    status = w.status["modelStatus"]
    assert status["transitionStatus"] == "BlockedByFailedLoad"
    assert status["lastFailureInfo"]["exitCode"] == 1
    assert w.told("ModelLoadFailed")


@pytest.mark.parametrize(
    ("predictor", "reason", "says"),
    [
        ({"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://a/b"}}, "NoSupportingRuntime", "spec.predictor.model.image"),
        ({"model": {"modelFormat": {"name": "huggingface"}, "storageUri": "s3://b/k"}}, "InvalidPredictorSpec", "pvc://CLAIM/PATH"),
        ({"minReplicas": 1}, "InvalidPredictorSpec", "neither a model nor containers"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_said(predictor, reason, says):
    w = world(**predictor)
    assert w.objects == {}
    (ready,) = [c for c in w.status["conditions"] if c["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert says in ready["message"]
    assert w.status["modelStatus"]["transitionStatus"] == "InvalidSpec"


def test_it_scales_with_the_requests_at_the_gateway():
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": "pvc://models"}
    w = world({"argosy.dev/scale-down-seconds": "10"}, model=model, minReplicas=1, maxReplicas=3, scaleTarget=2)
    available(w)
    demand(w, (0, 5))
    w.settle()
    assert replicas(w) == 3
    assert "5 requests at the gateway" in w.told("ScaledUp")[0]
    demand(w, (-10, 5), (1, 0))
    w.wait(5)
    w.settle()
    assert replicas(w) == 3
    assert w.again == 6
    w.wait(6)
    w.settle()
    assert replicas(w) == 1
    assert w.told("ScaledDown")
    w.probed = {"error": "the gateway does not answer"}
    w.change(kinds.DEPLOYMENT, "llm-predictor", {"spec": {"replicas": 2}})
    w.settle()
    assert replicas(w) == 2, "no news is no reason"


def test_it_sleeps_at_zero_and_wakes_for_a_request_that_waits():
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": "pvc://models"}
    w = world({"argosy.dev/scale-down-seconds": "10"}, model=model, minReplicas=0, maxReplicas=3)
    available(w)
    assert replicas(w) == 1, "a model that does not load should say so now"
    demand(w, (-10, 0))
    w.settle()
    assert replicas(w) == 0
    available(w, replicas=0)
    assert conditions(w)["Ready"] == "True"
    assert w.status["modelStatus"]["states"]["activeModelState"] == "Standby"
    w.probed = None
    w.settle()
    assert replicas(w) == 0
    demand(w, (0, 1))
    w.settle()
    assert replicas(w) == 1


def test_cpu_and_memory_are_left_to_the_clusters_autoscaler():
    containers = [
        {"name": "kserve-container", "image": "my/server", "ports": [{"containerPort": 9000, "name": "http1"}]}
    ]
    w = world(containers=containers, minReplicas=2, maxReplicas=5, scaleMetric="memory", scaleTarget=60)
    hpa = w.get(kinds.HORIZONTAL_POD_AUTOSCALER, "llm-predictor")
    assert hpa["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llm-predictor"},
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 60}},
            }
        ],
    }
    port = w.get(kinds.SERVICE, "llm-predictor")["spec"]["ports"][0]
    assert (port["name"], port["port"], port["targetPort"]) == ("http1", 80, 9000)
    w.change(kinds.DEPLOYMENT, "llm-predictor", {"spec": {"replicas": 4}})
    w.settle()
    assert replicas(w) == 4
    w.edit({"spec": {"predictor": {"scaleMetric": "concurrency"}}})
    w.settle()
    assert w.of(kinds.HORIZONTAL_POD_AUTOSCALER) == []


def test_a_change_of_the_spec_rolls_the_deployment_and_takes_away_what_is_gone():
    model = {
        "modelFormat": {"name": "huggingface"},
        "storageUri": "pvc://models",
        "resources": {"limits": {"cpu": "1"}},
    }
    w = world(model=model, nodeSelector={"disk": "fast"})
    w.change(kinds.DEPLOYMENT, "llm-predictor", {"spec": {"template": {"spec": {"dnsPolicy": "ClusterFirst"}}}})
    before = w.get(kinds.DEPLOYMENT, "llm-predictor")
    w.settle()
    assert w.get(kinds.DEPLOYMENT, "llm-predictor") == before, "defaults of the server are not fought"
    w.edit({"spec": {"predictor": {"nodeSelector": None, "model": {"args": ["--max-model-len", "64"]}}}})
    w.settle()
    spec = w.get(kinds.DEPLOYMENT, "llm-predictor")["spec"]["template"]["spec"]
    assert "nodeSelector" not in spec
    assert spec["containers"][0]["args"][-2:] == ["--max-model-len", "64"]
    assert replicas(w) == 1


def test_an_image_of_ones_own_gets_only_what_kserve_gives_it():
    model = {
        "modelFormat": {"name": "sklearn"},
        "storageUri": "pvc://m/p",
        "image": "kserve/sklearnserver",
        "args": ["--x"],
    }
    w = world(model=model)
    (container,) = w.get(kinds.DEPLOYMENT, "llm-predictor")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["--model_name=llm", "--model_dir=/mnt/models", "--x"]
    assert "command" not in container
    assert "env" not in container


def test_stop_removes_everything_and_start_brings_it_back():
    w = world()
    available(w)
    w.edit({"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}})
    w.settle()
    assert w.objects == {}
    assert conditions(w) == {"IngressReady": "False", "PredictorReady": "False", "Ready": "False", "Stopped": "True"}
    w.edit({"metadata": {"annotations": {"serving.kserve.io/stop": "false"}}})
    w.settle()
    assert len(w.of(kinds.DEPLOYMENT)) == len(w.of(kinds.SERVICE)) == 1
