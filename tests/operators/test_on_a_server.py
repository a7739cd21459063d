"""The operators against a real API server: through validation, defaults, watches, status subresources and events."""

from __future__ import annotations

import asyncio

from served import cluster, until

from argosy import kinds
from argosy.client.client import Client
from argosy.clock import SystemClock
from argosy.meta.json import Obj
from argosy.meta.objects import key_of
from argosy.operators.inferenceservice.operator import operator as build_inferenceservice
from argosy.operators.inferenceservice.schema import INFERENCE_SERVICE
from argosy.operators.pytorchjob.operator import operator as build_pytorchjob
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.settings import OperatorSettings


def ddp() -> Obj:
    template = {"spec": {"containers": [{"name": "pytorch", "image": "argosy/torch"}]}}
    replica = {"restartPolicy": "OnFailure", "template": template}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "ddp", "namespace": "default"},
        "spec": {"pytorchReplicaSpecs": {"Master": replica, "Worker": {**replica, "replicas": 2}}},
    }


async def put(client: Client, pod: Obj, **status: object) -> None:
    await client.patch(kinds.POD, key_of(pod), {"status": status}, subresource="status")


def ended(code: int, **more: object) -> list[Obj]:
    state = {"terminated": {"exitCode": code, "finishedAt": "2026-01-01T00:00:00Z", **more}}
    return [{"name": "pytorch", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}]


def is_(type: str):
    def holds(jobs: list[Obj]) -> bool:
        found = jobs[0].get("status", {}).get("conditions") if jobs else None
        return bool(found) and found[-1]["type"] == type and found[-1]["status"] == "True"

    return holds


def test_a_job_from_pods_over_a_restart_to_success():
    async def test() -> None:
        async with cluster(build_pytorchjob(OperatorSettings())) as client:
            await client.create(PYTORCH_JOB, ddp())
            pods = await until(client, kinds.POD, lambda pods: len(pods) == 3)
            for pod in pods:
                await put(client, pod, phase="Running")
            await until(client, PYTORCH_JOB, is_("Running"))
            await put(client, pods[2], phase="Failed", containerStatuses=ended(137, signal=9))
            again = await until(client, kinds.POD, lambda now: len(now) == 3 and not uids(now) & uids(pods))
            jobs = await until(client, PYTORCH_JOB, is_("Restarting"))
            assert "ddp-worker-1 was killed by signal 9" in jobs[0]["status"]["conditions"][-1]["message"]
            for pod in again:
                await put(client, pod, phase="Running")
            await until(client, PYTORCH_JOB, is_("Running"))
            await put(client, again[0], phase="Succeeded", containerStatuses=ended(0))
            jobs = await until(client, PYTORCH_JOB, is_("Succeeded"))
            assert [c["type"] for c in jobs[0]["status"]["conditions"]] == ["Created", "Running", "Succeeded"]
            reasons = {event["reason"] for event in await until(client, kinds.EVENT, has_reason("PyTorchJobSucceeded"))}
            assert {"PyTorchJobCreated", "PyTorchJobRunning", "PyTorchJobRestarting", "SuccessfulCreatePod"} <= reasons

    asyncio.run(asyncio.wait_for(test(), 20))


def test_a_service_becomes_ready_with_its_deployment():
    async def test() -> None:
        async with cluster(build_inferenceservice(OperatorSettings(), SystemClock())) as client:
            model = {"modelFormat": {"name": "huggingface"}, "storageUri": "pvc://models/base"}
            isvc = {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "metadata": {"name": "llm", "namespace": "default"},
                "spec": {"predictor": {"model": model, "maxReplicas": 3}},
            }
            await client.create(INFERENCE_SERVICE, isvc)
            (deployment,) = await until(client, kinds.DEPLOYMENT, bool)
            available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "ok"}
            status = {"status": {"conditions": [available], "replicas": 1, "readyReplicas": 1, "availableReplicas": 1}}
            await client.patch(kinds.DEPLOYMENT, key_of(deployment), status, subresource="status")
            (ready,) = await until(client, INFERENCE_SERVICE, is_ready)
            assert ready["status"]["modelStatus"]["transitionStatus"] == "UpToDate"
            before = await client.get(kinds.DEPLOYMENT, "llm-predictor", "default")
            assert before["metadata"]["generation"] == 1, "the server's defaults are not fought"

    asyncio.run(asyncio.wait_for(test(), 20))


def uids(objs: list[Obj]) -> set[str]:
    return {obj["metadata"]["uid"] for obj in objs}


def has_reason(reason: str):
    return lambda events: any(event["reason"] == reason for event in events)


def is_ready(services: list[Obj]) -> bool:
    conditions = services[0].get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
