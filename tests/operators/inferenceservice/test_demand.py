"""Reading demand from the gateway's metrics."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

from argosy.errors import ServiceUnavailable
from argosy.meta.json import Obj
from argosy.operators.inferenceservice.demand import Demand, parse
from argosy.operators.settings import OperatorSettings

METRICS = b"""# HELP argosy_gateway_requests_in_flight Requests at replicas.
# TYPE argosy_gateway_requests_in_flight gauge
argosy_gateway_requests_in_flight{namespace="default",service="llm",model="llm"} 3
argosy_gateway_requests_in_flight{namespace="default",service="llm",model="poet"} 2
argosy_gateway_requests_queued{namespace="default",service="llm",model="llm"} 4
argosy_gateway_requests_total{namespace="default",service="llm",model="llm",code="200"} 1e+02
argosy_gateway_request_seconds_bucket{namespace="default",service="llm",le="0.1"} 7
"""


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


def isvc(name: str = "llm", **predictor: object) -> Obj:
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": "pvc://m"}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"predictor": {"model": model, "maxReplicas": 3, **predictor}},
    }


def test_metrics_are_summed_over_models():
    found = parse(METRICS)
    assert found["argosy_gateway_requests_in_flight", "default", "llm"] == 5
    assert found["argosy_gateway_requests_queued", "default", "llm"] == 4
    assert found["argosy_gateway_requests_total", "default", "llm"] == 100


def test_the_probe_remembers_and_shares_its_reading():
    clock, paths = Hands(), []

    async def fetch(path: str) -> bytes:
        if "endpointslices" in path:
            return b'{"items": []}'
        paths.append(path)
        return METRICS

    probe = Demand(OperatorSettings(), clock)
    first = asyncio.run(probe(fetch, isvc()))
    assert [s["demand"] for s in first["samples"]] == [9]
    assert asyncio.run(probe(fetch, isvc("other")))["samples"][0]["demand"] == 0
    assert paths == ["/api/v1/namespaces/argosy-system/services/gateway:8000/proxy/metrics"]
    clock.time += timedelta(seconds=1)
    assert asyncio.run(probe(fetch, isvc())) == first, "what does not change is not news"
    assert len(paths) == 2
    assert asyncio.run(probe(fetch, isvc(maxReplicas=1))) == {}


def test_several_gateways_are_asked_each_by_itself():
    endpoints = [{"targetRef": {"kind": "Pod", "name": name}, "conditions": {"ready": True}} for name in ("a", "b")]
    paths = []

    async def fetch(path: str) -> bytes:
        if "endpointslices" in path:
            assert path.endswith("?labelSelector=kubernetes.io/service-name=gateway")
            return json.dumps({"items": [{"endpoints": endpoints}]}).encode()
        paths.append(path)
        return METRICS

    found = asyncio.run(Demand(OperatorSettings(), Hands())(fetch, isvc()))
    assert found["samples"][0]["demand"] == 18
    assert paths == [f"/api/v1/namespaces/argosy-system/pods/{name}:8000/proxy/metrics" for name in ("a", "b")]


def test_an_absent_gateway_is_not_silence():
    async def fetch(path: str) -> bytes:
        raise ServiceUnavailable("no endpoints")

    assert asyncio.run(Demand(OperatorSettings(), Hands())(fetch, isvc())) == {"error": "no endpoints"}


def test_requests_per_second():
    clock, total = Hands(), 0

    async def fetch(path: str) -> bytes:
        if "endpointslices" in path:
            return b"{}"
        return b'argosy_gateway_requests_total{namespace="default",service="llm",code="200"} %d\n' % total

    probe = Demand(OperatorSettings(), clock)
    for _ in range(6):
        found = asyncio.run(probe(fetch, isvc(scaleMetric="rps")))
        clock.time += timedelta(seconds=1)
        total += 7
    assert found["samples"][-1]["demand"] == 7
