"""Gateway and operator together, over a real API server: a request for a sleeping model wakes it, and silence lets it sleep.

The test plays kubelet and Deployment controller; gateway, proxy, probe and autoscaler are the product's own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import aiohttp
from aiohttp import web
from served import cluster, until

from argosy import kinds
from argosy.client.client import Client
from argosy.clock import SystemClock
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.operators.inferenceservice.operator import operator
from argosy.operators.inferenceservice.schema import INFERENCE_SERVICE
from argosy.operators.settings import OperatorSettings
from argosy.programs.gateway.discovery import Discovery
from argosy.programs.gateway.server import serving
from argosy.programs.gateway.settings import GatewaySettings

SETTINGS = OperatorSettings(gateway_namespace="default", scale_down_seconds=0.5)


async def model_server(stack: AsyncExitStack) -> int:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"path": request.path})

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])


def endpoints(service: str, port: int, name: str, labels: Obj | None = None) -> Obj:
    labels = {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "test", **(labels or {})}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": name, "port": port, "protocol": "TCP"}],
    }


async def install(client: Client, gateway_port: int) -> None:
    port = {"name": "http", "port": 8000, "targetPort": "http"}
    service = {"metadata": {"name": "gateway", "namespace": "default"}, "spec": {"ports": [port]}}
    await client.create(kinds.SERVICE, {"apiVersion": "v1", "kind": "Service", **service})
    await client.create(kinds.ENDPOINT_SLICE, endpoints("gateway", gateway_port, "http"))
    meta = {"name": "gateway", "namespace": "default"}
    pod = {"metadata": meta, "spec": {"containers": [{"name": "gateway", "image": "gateway"}]}}
    await client.create(kinds.POD, {"apiVersion": "v1", "kind": "Pod", **pod})
    status = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    await client.patch(kinds.POD, Key("default", "gateway"), {"status": status}, subresource="status")
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": "pvc://models"}
    isvc = {
        "metadata": {"name": "llm", "namespace": "default"},
        "spec": {"predictor": {"model": model, "minReplicas": 0}},
    }
    await client.create(
        INFERENCE_SERVICE, {"apiVersion": INFERENCE_SERVICE.api_version, "kind": INFERENCE_SERVICE.kind, **isvc}
    )


def replicas(count: int):
    return lambda deployments: bool(deployments) and deployments[0]["spec"]["replicas"] == count


def test_a_request_wakes_a_sleeping_model_and_silence_lets_it_sleep():
    async def test() -> None:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(cluster(operator(SETTINGS, SystemClock())))
            gateway, port = await stack.enter_async_context(serving(GatewaySettings(port=0, drain_seconds=1)))
            following = asyncio.create_task(Discovery(client, gateway.update).run())
            stack.callback(following.cancel)
            await install(client, port)
            await until(client, kinds.DEPLOYMENT, replicas(1))  # it proves once that it loads
            await until(client, kinds.DEPLOYMENT, replicas(0))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            url = f"http://127.0.0.1:{port}/v1/completions"
            asked = asyncio.create_task(session.post(url, json={"model": "llm", "prompt": "hi"}))
            await until(client, kinds.DEPLOYMENT, replicas(1))
            label = {"serving.kserve.io/inferenceservice": "llm"}
            server = await model_server(stack)
            await client.create(kinds.ENDPOINT_SLICE, endpoints("llm-predictor", server, "", label))
            async with await asked as response:
                assert await response.json() == {"path": "/v1/completions"}
            await until(client, kinds.DEPLOYMENT, replicas(0))
            await client.delete(kinds.ENDPOINT_SLICE, Key("default", "llm-predictor"))
            events = await until(
                client, kinds.EVENT, lambda events: sum(e["reason"] == "ScaledDown" for e in events) >= 1
            )
            messages = [e["message"] for e in events if e["reason"] == "ScaledUp"]
            assert "From 0 to 1 replicas: 1 request at the gateway" in messages[0]

    asyncio.run(asyncio.wait_for(test(), 25))
