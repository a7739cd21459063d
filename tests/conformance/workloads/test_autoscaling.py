"""HorizontalPodAutoscaler v2, by what metrics.k8s.io tells; `test_metrics_adapter` has those of an adapter."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.conditions import find, is_true
from argosy.meta.json import dig
from conformance.manifests import pod_spec, shell, sleeper, workload

pytestmark = pytest.mark.needs("pods")


def _scaler(metric, low=1, high=3, **spec):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": metric}}]
    return {
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": target, "minReplicas": low, "maxReplicas": high, "metrics": metrics, **spec},
    }


_HALF = {"type": "Utilization", "averageUtilization": 50}


@pytest.mark.slow
@pytest.mark.needs("metrics")
async def test_it_adds_pods_under_load_and_no_more_than_it_may(namespace):
    busy = shell(
        "trap 'exit 0' TERM; while true; do :; done", resources={"requests": {"cpu": "20m"}, "limits": {"cpu": "100m"}}
    )
    await namespace.create(kinds.DEPLOYMENT, workload("web", pod_spec(busy), replicas=1))
    await namespace.create(kinds.HORIZONTAL_POD_AUTOSCALER, _scaler(_HALF, high=2))

    def limited(found):
        return dig(found, "status", "desiredReplicas") == 2 and is_true(found, "ScalingLimited")

    scaler = await namespace.until(kinds.HORIZONTAL_POD_AUTOSCALER, "web", limited, seconds=300)
    assert find(scaler, "ScalingLimited")["reason"] == "TooManyReplicas"
    assert find(scaler, "ScalingActive")["reason"] == "ValidMetricFound"
    await namespace.until(kinds.DEPLOYMENT, "web", lambda found: found["spec"]["replicas"] == 2)
    (told,) = scaler["status"]["currentMetrics"]
    assert told["resource"]["name"] == "cpu"
    assert told["resource"]["current"]["averageUtilization"] > 50


@pytest.mark.slow
@pytest.mark.needs("metrics")
async def test_it_takes_pods_away_when_they_idle_after_the_window(namespace):
    idle = sleeper(resources={"requests": {"cpu": "50m"}})
    await namespace.create(kinds.DEPLOYMENT, workload("web", pod_spec(idle), replicas=3))
    window = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    await namespace.create(kinds.HORIZONTAL_POD_AUTOSCALER, _scaler(_HALF, behavior=window))
    await namespace.until(kinds.DEPLOYMENT, "web", lambda found: found["spec"]["replicas"] == 1, seconds=300)


@pytest.mark.needs("controllers", only=True)
async def test_it_says_when_it_has_no_metrics_to_go_by(namespace):
    await namespace.create(kinds.DEPLOYMENT, workload("web", pod_spec(sleeper()), replicas=1))  # without requests
    await namespace.create(kinds.HORIZONTAL_POD_AUTOSCALER, _scaler(_HALF))
    scaler = await namespace.until(kinds.HORIZONTAL_POD_AUTOSCALER, "web", lambda found: find(found, "ScalingActive"))
    assert (find(scaler, "ScalingActive")["status"], find(scaler, "ScalingActive")["reason"]) == (
        "False",
        "FailedGetResourceMetric",
    )
    assert find(scaler, "AbleToScale")["status"] == "True"


@pytest.mark.needs("controllers", only=True)
async def test_it_says_when_there_is_nothing_to_scale(namespace):
    await namespace.create(kinds.HORIZONTAL_POD_AUTOSCALER, _scaler(_HALF))
    scaler = await namespace.until(kinds.HORIZONTAL_POD_AUTOSCALER, "web", lambda found: find(found, "AbleToScale"))
    assert (find(scaler, "AbleToScale")["status"], find(scaler, "AbleToScale")["reason"]) == ("False", "FailedGetScale")


@pytest.mark.needs("controllers", only=True)
async def test_it_brings_replicas_within_its_bounds(namespace):
    await namespace.create(
        kinds.DEPLOYMENT, workload("web", pod_spec(sleeper(resources={"requests": {"cpu": "10m"}})), replicas=1)
    )
    await namespace.create(kinds.HORIZONTAL_POD_AUTOSCALER, _scaler(_HALF, low=2))
    await namespace.until(kinds.DEPLOYMENT, "web", lambda found: found["spec"]["replicas"] == 2)


@pytest.mark.needs("controllers", only=True)
async def test_a_deployment_of_no_replicas_is_left_alone(namespace):
    await namespace.create(kinds.DEPLOYMENT, workload("web", pod_spec(sleeper()), replicas=0))
    await namespace.create(kinds.HORIZONTAL_POD_AUTOSCALER, _scaler(_HALF))
    scaler = await namespace.until(kinds.HORIZONTAL_POD_AUTOSCALER, "web", lambda found: find(found, "ScalingActive"))
    assert (find(scaler, "ScalingActive")["status"], find(scaler, "ScalingActive")["reason"]) == (
        "False",
        "ScalingDisabled",
    )
