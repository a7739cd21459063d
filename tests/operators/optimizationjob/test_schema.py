"""The kind on a real API server: defaults, refusals in upstream's words, and no change of a spec."""

from __future__ import annotations

import asyncio
from copy import deepcopy

import pytest
from served import cluster, until

from argosy.errors import ApiError
from argosy.meta.json import Obj, thaw
from argosy.operators.optimizationjob.operator import operator
from argosy.operators.optimizationjob.schema import OPTIMIZATION_JOB
from argosy.operators.trainjob.schema import TRAIN_JOB

JOB: Obj = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "OptimizationJob",
    "metadata": {"name": "tuning", "namespace": "default"},
    "spec": {
        "objectives": [{"metric": "loss"}],
        "parameters": [
            {"name": "lr", "searchSpace": {"logUniform": {"min": "1e-4", "max": "1e-1"}}},
            {"name": "size", "searchSpace": {"categorical": {"choices": ["16", "32"]}}},
        ],
        "trainJobTemplate": {"spec": {"runtimeRef": {"name": "torch-distributed"}}},
    },
}


def test_defaults_and_trials() -> None:
    async def test() -> None:
        async with cluster(operator()) as client:
            made = await client.create(OPTIMIZATION_JOB, JOB)
            spec = made["spec"]
            assert (spec["numTrials"], spec["parallelTrials"]) == (1, 1)
            assert spec["searchAlgorithm"] == {"random": {}}
            assert spec["objectives"][0]["direction"] == "Minimize"
            assert spec["parameters"][0]["searchSpace"]["logUniform"]["type"] == "Float"
            (trial,) = await until(client, TRAIN_JOB, bool)
            assert trial["metadata"]["name"] == "tuning-trial-0"
            (told,) = await until(
                client, OPTIMIZATION_JOB, lambda jobs: bool((jobs[0].get("status") or {}).get("trials"))
            )
            assert [c["type"] for c in told["status"]["conditions"]] == ["Created", "Running"]
            assert told["status"]["trials"][0]["state"] == "Running"
            changed = thaw(told)
            changed["spec"]["numTrials"] = 5
            with pytest.raises(ApiError, match="OptimizationJobSpec is immutable and cannot be updated after creation"):
                await client.update(OPTIMIZATION_JOB, changed)

    asyncio.run(asyncio.wait_for(test(), 20))


def changed(**spec: object) -> Obj:
    made = deepcopy(JOB)
    made["spec"] |= spec
    return made


def space(**found: object) -> list[Obj]:
    return [{"name": "p", "searchSpace": found}]


REFUSED = [
    (changed(parallelTrials=2), "parallelTrials cannot exceed numTrials"),
    (changed(searchAlgorithm={"grid": {}}), "Grid search requires all parameters to be Categorical"),
    (changed(searchAlgorithm={"grid": {}, "random": {}}), "exactly one of the fields in \\[random grid\\] must be set"),
    (changed(searchAlgorithm={}), "exactly one of the fields in \\[random grid\\] must be set"),
    (changed(parameters=space()), "exactly one of the fields in \\[uniform logUniform categorical\\]"),
    (changed(parameters=space(uniform={"min": "2", "max": "1"})), "min must be strictly less than max"),
    (changed(parameters=space(logUniform={"min": "0", "max": "1"})), "min must be strictly greater than 0"),
    (changed(parameters=space(uniform={"min": "x", "max": "1"})), "should match"),
    (changed(parameters=space(categorical={"choices": ["a", "a"]})), "Duplicate value"),
    (changed(parameters=[]), "should have at least 1 items"),
    (changed(numTrials=101), "should be less than or equal to 100"),
    (changed(objectives=[{"metric": "a"}, {"metric": "b"}]), "must have at most 1 item"),
    (changed(objectives=[{"metric": "a", "direction": "minimize"}]), 'supported values: "Maximize", "Minimize"'),
    (
        changed(trainJobTemplate={"metadata": {"name": "x"}, "spec": {"runtimeRef": {"name": "t"}}}),
        "name and namespace cannot be set in a template",
    ),
]


def test_what_upstream_refuses_is_refused_in_its_words() -> None:
    async def test() -> None:
        async with cluster() as client:
            for obj, says in REFUSED:
                with pytest.raises(ApiError, match=says):
                    await client.create(OPTIMIZATION_JOB, obj)

    asyncio.run(asyncio.wait_for(test(), 20))
