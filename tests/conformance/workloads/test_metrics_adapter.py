"""HorizontalPodAutoscalers by metrics of an adapter: an extension API server that runs as a pod behind a Service."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from argosy import kinds
from argosy.engine.apiserver import certificates
from argosy.errors import NotFound
from argosy.meta.conditions import find, is_true
from argosy.meta.json import Obj, dig
from conformance import programs
from conformance.cluster import Namespace
from conformance.manifests import pod_spec, python, sleeper, workload

pytestmark = [pytest.mark.needs("pods"), pytest.mark.slow]

_VERSIONS = {"external.metrics.k8s.io": "v1beta1", "custom.metrics.k8s.io": "v1beta2"}


async def _certificate(namespace: Namespace) -> str:
    """A Secret `adapter` for the Service of that name; the authority as an APIService takes it."""
    begins, ends = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(days=1)
    authority = certificates.authority(begins, ends)
    leaf = certificates.Leaf("adapter", (), (f"adapter.{namespace.name}.svc",), begins, ends)
    pem = b"".join(certificates.signed(leaf, *authority))
    data = {"pem": base64.b64encode(pem).decode()}
    await namespace.create(kinds.SECRET, {"metadata": {"name": "adapter"}, "data": data})
    return base64.b64encode(authority[0]).decode()


async def _adapter(namespace: Namespace) -> None:
    """The adapter, once the API server says that it is available. What it tells is what `_tell` has told it."""
    for group, version in _VERSIONS.items():
        try:
            await namespace.client.get(kinds.API_SERVICE, f"{version}.{group}")
        except NotFound:
            continue
        pytest.skip(f"this cluster has an adapter for {group} already")
    bundle = await _certificate(namespace)
    secret, mount = {"name": "tls", "secret": {"secretName": "adapter"}}, {"name": "tls", "mountPath": "/tls"}
    probe = {"tcpSocket": {"port": 8443}, "periodSeconds": 1}
    server = python(programs.METRICS_ADAPTER, volumeMounts=[mount], readinessProbe=probe)
    await namespace.pod("adapter", pod_spec(server, volumes=[secret]), labels={"app": "adapter"})
    service = {"selector": {"app": "adapter"}, "ports": [{"port": 443, "targetPort": 8443}]}
    await namespace.create(kinds.SERVICE, {"metadata": {"name": "adapter"}, "spec": service})
    await namespace.ready("adapter")
    for group, version in _VERSIONS.items():
        spec = {
            "group": group, "version": version, "caBundle": bundle, "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"name": "adapter", "namespace": namespace.name},
        }  # fmt: skip
        name = f"{version}.{group}"
        await namespace.create(kinds.API_SERVICE, {"metadata": {"name": name}, "spec": spec})
        await namespace.until(kinds.API_SERVICE, name, lambda found: is_true(found, "Available"))


async def _tell(namespace: Namespace, value: int) -> None:
    await namespace.says("adapter", "sh", "-c", f"echo {value} > /tmp/new && mv /tmp/new /tmp/value")


async def _scales(namespace: Namespace, metric: Obj) -> Obj:
    """The autoscaler after it has brought a Deployment from one pod to three and back to two."""
    await _adapter(namespace)
    await _tell(namespace, 30)
    await namespace.create(kinds.DEPLOYMENT, workload("web", pod_spec(sleeper()), replicas=1))
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 1, "maxReplicas": 5, "metrics": [metric],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }  # fmt: skip
    await namespace.create(kinds.HORIZONTAL_POD_AUTOSCALER, {"metadata": {"name": "web"}, "spec": spec})
    for value, replicas in ((30, 3), (20, 2)):
        await _tell(namespace, value)
        await namespace.until(
            kinds.DEPLOYMENT, "web", lambda found, n=replicas: dig(found, "status", "readyReplicas") == n, seconds=180
        )
    scaler = await namespace.until(
        kinds.HORIZONTAL_POD_AUTOSCALER, "web", lambda found: dig(found, "status", "currentReplicas") == 2, seconds=60
    )
    assert find(scaler, "ScalingActive")["reason"] == "ValidMetricFound"
    return scaler


async def test_it_scales_by_what_the_world_outside_tells(namespace):
    wanted = {"name": "queue_length", "selector": {"matchLabels": {"queue": "jobs"}}}
    target = {"type": "AverageValue", "averageValue": "10"}
    scaler = await _scales(namespace, {"type": "External", "external": {"metric": wanted, "target": target}})
    assert "a replica count from external metric queue_length(" in find(scaler, "ScalingActive")["message"]
    (told,) = scaler["status"]["currentMetrics"]
    assert told["external"]["current"]["averageValue"] == "10"
    asked = await namespace.log("adapter")
    assert f"/namespaces/{namespace.name}/queue_length?labelSelector=queue%3Djobs" in asked


async def test_it_scales_by_what_is_told_of_an_object(namespace):
    about = {"apiVersion": "v1", "kind": "Service", "name": "adapter"}
    metric = {"metric": {"name": "requests"}, "describedObject": about}
    target = {"type": "AverageValue", "averageValue": "10"}
    scaler = await _scales(namespace, {"type": "Object", "object": {**metric, "target": target}})
    (told,) = scaler["status"]["currentMetrics"]
    assert told["object"]["describedObject"]["name"] == "adapter"
    assert told["object"]["current"]["averageValue"] == "10"
    assert f"/namespaces/{namespace.name}/services/adapter/requests" in await namespace.log("adapter")
