"""Experiments and Trials in a small world: trials are made, judged and counted, and the best one is known."""

from __future__ import annotations

from functools import partial

import pytest

from argosy import kinds
from argosy.clock import rfc3339
from argosy.meta.json import Obj, dig, thaw
from argosy.operators.experiment.operator import operators
from argosy.operators.experiment.schema import EXPERIMENT, SUGGESTION, TRIAL

from operator_world import World  # isort: skip

EXPERIMENT_OPERATOR, TRIAL_OPERATOR = operators()
SUCCEEDED = {"type": "Complete", "status": "True"}


def experiment(**spec: object) -> Obj:
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "e"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss", "additionalMetricNames": ["acc"]},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": 2,
            "maxTrialCount": 3,
            "maxFailedTrialCount": 1,
            "parameters": [{"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}],
            "trialTemplate": {
                "trialParameters": [{"name": "rate", "reference": "lr"}],
                "trialSpec": {
                    "apiVersion": "batch/v1", "kind": "Job", "spec": {"args": ["${trialParameters.rate}"]},
                },
            },
            **spec,
        },
    }  # fmt: skip


def finish(world: World, name: str, loss: str, state: str = "Succeeded") -> None:
    metrics = [{"name": "loss", "min": loss, "max": loss, "latest": loss}] if loss else []
    conditions = [{"type": state, "status": "True", "message": f"it {state}"}]
    world.change(TRIAL, name, {"status": {"conditions": conditions, "observation": {"metrics": metrics}}})


def active(world: World) -> list[str]:
    return [t["metadata"]["name"] for t in world.of(TRIAL) if not dig(t, "status", "conditions")]


def words(status: Obj) -> list[str]:
    return [f"{c['type']}={c['status']}" for c in status["conditions"]]


def test_trials_run_beside_each_other_until_there_were_enough() -> None:
    world = World(EXPERIMENT_OPERATOR, experiment())
    world.settle()
    assert len(active(world)) == 2
    assert words(world.status) == ["Created=True", "Running=True"]
    trial = world.of(TRIAL)[0]
    value = trial["spec"]["parameterAssignments"][0]["value"]
    assert trial["spec"]["runSpec"]["spec"]["args"] == [value]
    assert trial["spec"]["objective"]["metricStrategies"] == [
        {"name": "loss", "value": "min"}, {"name": "acc", "value": "min"},
    ]  # fmt: skip
    first, second = active(world)
    finish(world, first, "0.5")
    world.settle()
    assert len(world.of(TRIAL)) == 3
    finish(world, second, "0.2")
    finish(world, active(world)[0], "0.9")
    world.settle()
    assert words(world.status) == ["Created=True", "Running=False", "Succeeded=True"]
    assert world.status["conditions"][-1]["reason"] == "ExperimentMaxTrialsReached"
    assert world.status["currentOptimalTrial"]["bestTrialName"] == second
    assert (world.status["trials"], world.status["trialsSucceeded"]) == (3, 3)
    assert "completionTime" in world.status


def test_the_suggestion_tells_what_was_suggested() -> None:
    world = World(EXPERIMENT_OPERATOR, experiment())
    world.settle()
    (suggestion,) = world.of(SUGGESTION)
    assert suggestion["spec"]["requests"] == 2
    assert suggestion["status"]["suggestionCount"] == 2
    assert {s["name"] for s in suggestion["status"]["suggestions"]} == set(world.names(TRIAL))


def test_the_goal_ends_it_and_what_still_runs() -> None:
    world = World(
        EXPERIMENT_OPERATOR, experiment(objective={"type": "maximize", "goal": 0.9, "objectiveMetricName": "loss"})
    )
    world.settle()
    finish(world, active(world)[0], "0.95")
    world.settle()
    assert world.status["conditions"][-1]["reason"] == "ExperimentGoalReached"
    assert len(world.of(TRIAL)) == 1


def test_too_many_failures_end_it() -> None:
    world = World(EXPERIMENT_OPERATOR, experiment(maxTrialCount=9))
    for state in ("Failed", "MetricsUnavailable"):
        world.settle()
        finish(world, active(world)[0], "", state)
    world.settle()
    last = world.status["conditions"][-1]
    assert (last["type"], last["reason"]) == ("Failed", "ExperimentFailed")
    assert "max failed count has reached; at last e-" in last["message"]


def test_a_grid_comes_to_its_end() -> None:
    choices = [{"name": "lr", "parameterType": "categorical", "feasibleSpace": {"list": ["1", "2"]}}]
    world = World(
        EXPERIMENT_OPERATOR, experiment(parameters=choices, algorithm={"algorithmName": "grid"}, maxTrialCount=9)
    )
    world.settle()
    for name in active(world):
        finish(world, name, "0.1")
    world.settle()
    assert world.status["conditions"][-1]["reason"] == "ExperimentSuggestionEndReached"


def test_more_trials_resume_it_where_that_is_allowed() -> None:
    for policy, resumes in (("LongRunning", True), ("Never", False)):
        world = World(EXPERIMENT_OPERATOR, experiment(maxTrialCount=1, resumePolicy=policy))
        world.settle()
        finish(world, active(world)[0], "0.1")
        world.settle()
        world.edit({"spec": {"maxTrialCount": 2}})
        world.settle()
        assert (len(world.of(TRIAL)) == 2) is resumes


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {"algorithm": {"algorithmName": "magic"}},
            "spec.algorithm.algorithmName 'magic' is none of random, grid, tpe",
        ),
        ({"parameters": []}, "spec.parameters is empty"),
        ({"objective": {"type": "minimize"}}, "spec.objective needs objectiveMetricName"),
        ({"trialTemplate": {}}, "spec.trialTemplate.trialSpec: it is missing"),
        ({"earlyStopping": {"algorithmName": "magic"}}, "spec.earlyStopping.algorithmName 'magic' is not medianstop"),
        ({"metricsCollectorSpec": {"collector": {"kind": "File"}}}, "collector.kind 'File' is none of StdOut"),
        ({"maxTrialCount": 0}, "spec.maxTrialCount must be at least 1"),
    ],
)
def test_bad_input_is_one_reason(spec: Obj, says: str) -> None:
    world = World(EXPERIMENT_OPERATOR, experiment(**spec))
    world.settle()
    last = world.status["conditions"][-1]
    assert last["type"] == "Failed"
    assert says in last["message"]
    assert world.of(TRIAL) == []


def trial(**spec: object) -> World:
    made = World(EXPERIMENT_OPERATOR, experiment())
    made.settle()
    subject = thaw(made.of(TRIAL)[0])
    subject["spec"] |= spec
    return World(TRIAL_OPERATOR, subject)


def end_job(world: World, condition: Obj = SUCCEEDED) -> None:
    stamped = {**condition, "lastTransitionTime": rfc3339(world.now)}
    world.change(kinds.JOB, world.names(kinds.JOB)[0], {"kind": "Job", "status": {"conditions": [stamped]}})


def test_a_trial_makes_its_job_and_waits_for_the_metrics() -> None:
    world = trial()
    world.settle()
    (job,) = world.of(kinds.JOB)
    assert job["metadata"]["labels"]["katib.kubeflow.org/trial"] == job["metadata"]["name"]
    assert words(world.status) == ["Created=True", "Running=True"]
    end_job(world)
    world.settle()
    assert words(world.status)[-1] == "Running=True"
    world.probed = {"ended": True, "metrics": [{"name": "loss", "min": "1", "max": "1", "latest": "1"}]}
    world.settle()
    assert words(world.status) == ["Created=True", "Running=False", "Succeeded=True"]
    assert world.status["observation"]["metrics"][0]["latest"] == "1"
    assert world.of(kinds.JOB) == []


def test_a_retained_job_stays() -> None:
    world = trial(retainRun=True)
    world.settle()
    end_job(world)
    world.probed = {"ended": True, "metrics": [{"name": "loss", "min": "1", "max": "1", "latest": "1"}]}
    world.settle()
    assert len(world.of(kinds.JOB)) == 1


@pytest.mark.parametrize(
    ("probed", "seconds", "says"),
    [
        ({"ended": True, "metrics": [{"name": "loss", "latest": "unavailable"}]}, 0, "no line said loss=NUMBER"),
        ({}, 11, "the pods that printed them are gone"),
    ],
)
def test_without_metrics_it_says_so(probed: Obj, seconds: float, says: str) -> None:
    world = trial()
    world.settle()
    end_job(world)
    world.probed = probed
    world.wait(seconds)
    world.settle()
    assert words(world.status) == ["Created=True", "Running=False", "MetricsUnavailable=True"]
    assert says in world.status["conditions"][-1]["message"]


def test_a_failed_job_is_a_failed_trial() -> None:
    world = trial()
    world.settle()
    end_job(world, {"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"})
    world.settle()
    assert world.status["conditions"][-1]["message"] == "Trial has failed. Job message: BackoffLimitExceeded"


def test_a_kind_that_nobody_runs_is_told() -> None:
    world = trial(runSpec={"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"})
    world.settle()
    assert "no operator here runs Workflow of argoproj.io/v1alpha1" in world.status["conditions"][-1]["message"]


def test_kinds_are_what_upstream_calls_them() -> None:
    assert [k.resource for k in (EXPERIMENT, TRIAL, SUGGESTION)] == [
        "experiments.kubeflow.org", "trials.kubeflow.org", "suggestions.kubeflow.org",
    ]  # fmt: skip
    assert isinstance(TRIAL_OPERATOR.plan, partial)


STOPPING = {
    "algorithmName": "medianstop",
    "algorithmSettings": [{"name": "min_trials_required", "value": "2"}, {"name": "start_step", "value": "3"}],
}


def test_later_trials_are_compared_with_the_median_of_those_before_them() -> None:
    world = World(EXPERIMENT_OPERATOR, experiment(earlyStopping=STOPPING, maxTrialCount=4))
    world.settle()
    for name, average in zip(active(world), ("0.5", "0.3"), strict=True):
        finish(world, name, "0.1")
        world.change(TRIAL, name, {"metadata": {"annotations": {"argosy.dev/early-stopping-average": average}}})
    world.settle()
    rules = [t["spec"].get("earlyStoppingRules") for t in world.of(TRIAL) if t["metadata"]["name"] in active(world)]
    assert rules == [[{"name": "loss", "value": "0.4", "comparison": "greater", "startStep": 3}]] * 2


def watched(numbers: list[float], **probed: object) -> World:
    rule = {"name": "loss", "value": "0.4", "comparison": "greater", "startStep": 3}
    world = trial(earlyStoppingRules=[rule])
    assert world.subject is not None
    world.subject["metadata"]["annotations"] = {"argosy.dev/early-stopping-start-step": "3"}
    world.settle()
    latest = str(numbers[-1])
    metrics = [{"name": "loss", "min": str(min(numbers)), "max": str(max(numbers)), "latest": latest}]
    world.probed = {"ended": False, "metrics": metrics, "numbers": numbers, **probed}
    return world


def test_a_trial_that_does_worse_is_ended() -> None:
    for numbers, stopped in (([0.9, 0.8], False), ([0.9, 0.8, 0.39], False), ([0.9, 0.8, 0.41], True)):
        world = watched(numbers)
        world.settle()
        assert (words(world.status)[-1] == "EarlyStopped=True") is stopped
        assert (world.of(kinds.JOB) == []) is stopped
    assert words(world.status) == ["Created=True", "Running=False", "EarlyStopped=True"]
    assert world.status["observation"]["metrics"][0]["min"] == "0.41"


def test_what_a_trial_averaged_is_written_down() -> None:
    world = watched([0.3, 0.2, 0.1, 0.0], ended=True)
    end_job(world)
    world.settle()
    assert world.subject is not None
    told = world.subject["metadata"]["annotations"]["argosy.dev/early-stopping-average"]
    assert float(told) == pytest.approx(0.2)
    assert words(world.status)[-1] == "Succeeded=True"
