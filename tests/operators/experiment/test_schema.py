"""Katib's kinds on a real API server: defaults, refusals, and Experiments as other people write them."""

from __future__ import annotations

import asyncio
from copy import deepcopy

import pytest
from served import cluster, until

from argosy import kinds
from argosy.client.client import Client
from argosy.errors import ApiError
from argosy.meta.json import Obj, dig, thaw
from argosy.operators.experiment.operator import operators
from argosy.operators.experiment.schema import EXPERIMENT, SUGGESTION, TRIAL
from argosy.operators.settings import OperatorSettings

JOB: Obj = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"labels": {"custom-key": "custom-label"}},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "training-container",
                        "image": "busybox",
                        "command": ["train", "--lr=${trialParameters.learningRate}"],
                        "env": [{"name": "LABEL", "value": "${trialParameters.label}"}],
                    }
                ],
            }
        }
    },
}
EXAMPLE: Obj = {
    "apiVersion": "kubeflow.org/v1beta1",
    "kind": "Experiment",
    "metadata": {"name": "random", "namespace": "default"},
    "spec": {
        "objective": {
            "type": "maximize", "goal": 0.99, "objectiveMetricName": "accuracy", "additionalMetricNames": ["loss"],
        },
        "metricsCollectorSpec": {
            "collector": {"kind": "File"},
            "source": {
                "filter": {"metricsFormat": ["{metricName: ([\\w|-]+), metricValue: ((-?\\d+)(\\.\\d+)?)}"]},
                "fileSystemPath": {"path": "/katib/mnist.log", "kind": "File"},
            },
        },
        "algorithm": {"algorithmName": "random"},
        "parallelTrialCount": 2,
        "maxTrialCount": 12,
        "maxFailedTrialCount": 3,
        "parameters": [
            {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0.01", "max": "0.03"}},
        ],
        "trialTemplate": {
            "primaryContainerName": "training-container",
            "trialParameters": [
                {"name": "learningRate", "description": "the rate", "reference": "lr"},
                {"name": "label", "reference": "${trialSpec.Labels[custom-key]}"},
            ],
            "trialSpec": JOB,
        },
    },
}  # fmt: skip


async def trials_of(client: Client, count: int) -> list[Obj]:
    return await until(client, TRIAL, lambda found: len(found) == count)


def test_a_trial_s_job_is_the_template_filled_in() -> None:
    async def test() -> None:
        async with cluster(*operators(OperatorSettings())) as client:
            made = await client.create(EXPERIMENT, EXAMPLE)
            assert made["spec"]["resumePolicy"] == "Never"
            first, _ = await trials_of(client, 2)
            value = first["spec"]["parameterAssignments"][0]["value"]
            jobs = await until(client, kinds.JOB, lambda found: len(found) == 2)
            job = next(each for each in jobs if each["metadata"]["name"] == first["metadata"]["name"])
            assert job["metadata"]["labels"]["katib.kubeflow.org/experiment"] == "random"
            pod = dig(job, "spec", "template", "spec")
            (container,) = pod["containers"]
            assert container["command"] == ["train", f"--lr={value}"]
            assert container["env"] == [{"name": "LABEL", "value": "custom-label"}]
            assert pod["initContainers"][0]["name"] == "metrics-collector"
            assert first["spec"]["successCondition"] == 'status.conditions.#(type=="Complete")#|#(status=="True")#'
            (told,) = await until(client, SUGGESTION, lambda found: bool(found and found[0].get("status")))
            assert told["spec"] | {"requests": 2} == {
                "algorithm": {"algorithmName": "random"}, "requests": 2, "resumePolicy": "Never",
            }  # fmt: skip

    asyncio.run(asyncio.wait_for(test(), 20))


def changed(**spec: object) -> Obj:
    made = deepcopy(EXAMPLE)
    made["spec"] |= spec
    return made


REFUSED = [
    (changed(parallelTrialCount=0), "parallelTrialCount"),
    (changed(maxTrialCount="many"), "must be of type integer"),
    (changed(objective={"type": "minimise", "objectiveMetricName": "x"}), 'supported values: "minimize", "maximize"'),
    (changed(resumePolicy="Always"), "resumePolicy"),
    (changed(parameters=[{"name": "x", "parameterType": "float"}]), "parameterType"),
]


def test_what_katib_s_webhook_refuses_is_refused() -> None:
    async def test() -> None:
        async with cluster() as client:
            for obj, says in REFUSED:
                with pytest.raises(ApiError, match=says):
                    await client.create(EXPERIMENT, obj)
            made = thaw(await client.create(EXPERIMENT, EXAMPLE))
            made["spec"]["maxTrialCount"] = 20
            made = thaw(await client.update(EXPERIMENT, made))
            made["spec"]["algorithm"] = {"algorithmName": "grid"}
            with pytest.raises(ApiError, match=r"only spec\.parallelTrialCount, spec\.maxTrialCount and"):
                await client.update(EXPERIMENT, made)

    asyncio.run(asyncio.wait_for(test(), 20))
