"""Experiments and Trials in a small world: trials are made, judged and counted, and the best one is known."""

from __future__ import annotations

from functools import partial

import pytest

from argosy import kinds
from argosy.clock import rfc3339
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import Key
from argosy.operators.experiment.operator import operators
from argosy.operators.experiment.schema import EXPERIMENT, RECORD, STEPS, SUGGESTION, TRIAL
from argosy.operators.experiment.trial import source
from argosy.operators.search import stopping
from argosy.operators.search.metrics import Collected, Wanted
from argosy.operators.settings import OperatorSettings
from argosy.operators.trainjob.schema import TRAIN_JOB

from operator_world import World  # isort: skip

EXPERIMENT_OPERATOR, TRIAL_OPERATOR = operators(OperatorSettings())
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
            "maxFailedTrialCount": 2,
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
            "spec.algorithm.algorithmName 'magic' is none of random, grid, tpe, multivariate-tpe, hyperband",
        ),
        ({"parameters": []}, "spec.parameters is empty"),
        ({"objective": {"type": "minimize"}}, "spec.objective needs objectiveMetricName"),
        ({"trialTemplate": {}}, "spec.trialTemplate.trialSpec: it is missing"),
        (
            {"earlyStopping": {"algorithmName": "magic"}},
            "spec.earlyStopping.algorithmName 'magic' is neither medianstop nor asha",
        ),
        ({"metricsCollectorSpec": {"collector": {"kind": "Push"}}}, "collector.kind 'Push' is none of StdOut"),
        ({"metricsCollectorSpec": {"collector": {"kind": "File"}}}, "the Job of trialSpec has no container whose file"),
        ({"resumePolicy": "Always"}, "spec.resumePolicy 'Always' is none of Never, LongRunning, FromVolume"),
        ({"algorithm": {"algorithmName": "hyperband"}}, "hyperband: r_l, the most of the resource that a trial gets"),
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


def setting(name: str, value: object) -> Obj:
    return {"name": name, "value": str(value)}


STOPPING = {
    "algorithmName": "medianstop",
    "algorithmSettings": [setting("min_trials_required", 2), setting("start_step", 3)],
}
ASHA = {
    "algorithmName": "asha",
    "algorithmSettings": [setting("start_step", 2), setting("reduction_factor", 2)],
}


def stood(world: World, name: str, **marks: float) -> None:
    """Write down how a trial stood after so many values: `_2=0.5`."""
    told = {step[1:]: {"count": int(step[1:]), "min": v, "max": v, "mean": v} for step, v in marks.items()}
    before = stopping.parse(world.get(TRIAL, name)["metadata"]["annotations"].get(RECORD, ""))
    text = stopping.write({**before, **told}, before, world.now)
    world.change(TRIAL, name, {"metadata": {"annotations": {RECORD: text}}})
    world.wait(1)


def rules_of(world: World, *names: str) -> list[object]:
    return [world.get(TRIAL, name)["spec"].get("earlyStoppingRules") for name in names]


def test_later_trials_are_compared_with_the_median_of_those_before_them() -> None:
    world = World(EXPERIMENT_OPERATOR, experiment(earlyStopping=STOPPING, maxTrialCount=4))
    world.settle()
    assert world.of(TRIAL)[0]["metadata"]["annotations"][STEPS] == "3"
    for name, average in zip(active(world), (0.5, 0.3), strict=True):
        finish(world, name, "0.1")
        stood(world, name, _3=average)
    world.settle()
    rule = {"name": "loss", "value": "0.4", "comparison": "greater", "startStep": 3}
    assert rules_of(world, *active(world)) == [[rule]] * 2
    (suggestion,) = world.of(SUGGESTION)
    told = [s.get("earlyStoppingRules") for s in suggestion["status"]["suggestions"]]
    assert sorted(told, key=bool) == [None, None, [rule], [rule]]


def test_who_falls_behind_at_a_rung_is_ended_and_who_came_first_is_not() -> None:
    world = World(EXPERIMENT_OPERATOR, experiment(earlyStopping=ASHA, maxTrialCount=3, parallelTrialCount=3))
    world.settle()
    first, second, third = active(world)
    stood(world, first, _2=0.9)
    stood(world, second, _2=0.5)
    stood(world, third, _2=0.6)
    world.settle()
    ended = {"name": "loss", "value": "0.5", "comparison": "greater", "startStep": 2}
    assert rules_of(world, first, second, third) == [None, None, [ended]], "the first had nobody to fall behind"
    stood(world, second, _4=0.4)
    stood(world, first, _4=0.8)
    world.settle()
    assert rules_of(world, first, second) == [[{**ended, "value": "0.4", "startStep": 4}], None]


def test_fewer_beside_each_other_end_the_newest() -> None:
    world = World(EXPERIMENT_OPERATOR, experiment(parallelTrialCount=3, maxTrialCount=9))
    world.settle()
    before = sorted(world.of(TRIAL), key=lambda t: t["metadata"]["annotations"]["argosy.dev/trial-number"])
    world.edit({"spec": {"parallelTrialCount": 1}})
    world.settle()
    assert world.of(TRIAL) == before[:1]
    assert world.of(SUGGESTION)[0]["status"]["suggestionCount"] == 1
    world.edit({"spec": {"parallelTrialCount": 3}})
    world.settle()
    again = {t["metadata"]["name"]: t["spec"]["parameterAssignments"] for t in world.of(TRIAL)}
    assert again == {t["metadata"]["name"]: t["spec"]["parameterAssignments"] for t in before}, "the same ones"


def test_a_trial_that_somebody_deleted_is_made_again() -> None:
    world = World(EXPERIMENT_OPERATOR, experiment())
    world.settle()
    name = active(world)[0]
    spec = world.get(TRIAL, name)["spec"]
    world.remove(TRIAL, name)
    world.settle()
    assert world.get(TRIAL, name)["spec"] == spec


def test_a_template_may_come_in_a_config_map_that_comes_later() -> None:
    place = {"configMapName": "c", "configMapNamespace": "default", "templatePath": "t"}
    given = {"trialParameters": [{"name": "rate", "reference": "lr"}], "configMap": place}
    world = World(EXPERIMENT_OPERATOR, experiment(trialTemplate=given))
    world.settle()
    assert words(world.status) == ["Created=True"]
    assert "ConfigMap default/c is not there" in world.told("TemplateMissing")[0]
    text = "apiVersion: batch/v1\nkind: Job\nspec: {n: ${trialParameters.rate}}"
    found = {"metadata": {"name": "c", "namespace": "default", "uid": "c"}, "data": {"t": text}}
    world.objects[kinds.CONFIG_MAP, Key("default", "c")] = found
    world.settle()
    (first, _) = world.of(TRIAL)
    value = first["spec"]["parameterAssignments"][0]["value"]
    assert first["spec"]["runSpec"]["spec"]["n"] == float(value)


def test_hyperband_waits_for_a_round_to_end() -> None:
    spec = {
        "parameters": [
            {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}},
            {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "4"}},
        ],
        "algorithm": {
            "algorithmName": "hyperband",
            "algorithmSettings": [setting("r_l", 2), setting("eta", 2), setting("resource_name", "epochs")],
        },
        "parallelTrialCount": 9,
        "maxTrialCount": None,
    }
    world = World(EXPERIMENT_OPERATOR, experiment(**spec))
    world.settle()

    def running() -> list[tuple[str, str]]:
        given = [world.get(TRIAL, name)["spec"]["parameterAssignments"] for name in active(world)]
        return [(pair[0]["value"], pair[1]["value"]) for pair in given]

    assert [epochs for _, epochs in running()] == ["1", "1"]
    best = running()[1][0]
    for name, loss in zip(active(world), ("0.5", "0.1"), strict=True):
        finish(world, name, loss)
    world.settle()
    # The next bracket does not wait for this one's last round.
    assert sorted(running()) == sorted([(best, "2"), *(r for r in running() if r[0] != best)])
    assert [epochs for _, epochs in running()] == ["2"] * len(running())
    for name in active(world):
        finish(world, name, "0.3")
    world.settle()
    assert world.status["conditions"][-1]["reason"] == "ExperimentSuggestionEndReached"


@pytest.mark.parametrize(
    ("policy", "says"),
    [("Never", "can't be restarted"), ("FromVolume", "can be restarted"), ("LongRunning", "Suggestion is running")],
)
def test_the_suggestion_ends_as_the_policy_says(policy: str, says: str) -> None:
    world = World(EXPERIMENT_OPERATOR, experiment(maxTrialCount=1, resumePolicy=policy))
    world.settle()
    finish(world, active(world)[0], "0.1")
    world.settle()
    (suggestion,) = world.of(SUGGESTION)
    assert says in suggestion["status"]["conditions"][-1]["message"]
    assert suggestion["spec"]["resumePolicy"] == policy


def watched(*values: float, ended: bool = False) -> World:
    """A trial with a rule for its third value, that has printed these."""
    rule = {"name": "loss", "value": "0.4", "comparison": "greater", "startStep": 3}
    world = trial(earlyStoppingRules=[rule])
    assert world.subject is not None
    world.subject["metadata"]["annotations"] = {STEPS: "3"}
    world.settle()
    collected = Collected(Wanted(("loss", "acc"), marks=(3,)))
    for value in values:
        collected.take(f"loss={value}")
    if ended:
        collected.close()
    world.probed = {"ended": ended, "metrics": collected.metrics, "marks": collected.marks}
    return world


def test_a_trial_that_does_worse_is_ended() -> None:
    for values, stopped in (((0.9, 0.8), False), ((0.9, 0.8, 0.39), False), ((0.9, 0.8, 0.41), True)):
        world = watched(*values)
        world.settle()
        assert (words(world.status)[-1] == "EarlyStopped=True") is stopped
        assert (world.of(kinds.JOB) == []) is stopped
    assert words(world.status) == ["Created=True", "Running=False", "EarlyStopped=True"]
    assert world.status["observation"]["metrics"][0]["min"] == "0.41"
    assert "loss is greater than 0.4 after 3 values" in world.status["conditions"][-1]["message"]


@pytest.mark.parametrize(("values", "mean"), [((0.3, 0.2, 0.1, 0.0), 0.2), ((0.3, 0.1), 0.2)])
def test_what_a_trial_averaged_is_written_down(values: tuple[float, ...], mean: float) -> None:
    world = watched(*values, ended=True)
    end_job(world)
    world.settle()
    assert world.subject is not None
    record = stopping.parse(world.subject["metadata"]["annotations"][RECORD])
    assert record["3"]["mean"] == pytest.approx(mean)
    assert words(world.status)[-1] == "Succeeded=True"


def test_what_a_program_pushed_into_its_train_job_counts_where_it_printed_nothing() -> None:
    meta = {"name": "t", "namespace": "default"}
    world = trial(runSpec={"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": meta})
    world.settle()
    pushed = {"metrics": [{"name": "loss", "value": "0.3"}, {"name": "other", "value": "1"}]}
    ended = {"type": "Complete", "status": "True", "lastTransitionTime": rfc3339(world.now)}
    name = world.names(TRAIN_JOB)[0]
    world.change(TRAIN_JOB, name, {"status": {"conditions": [ended], "trainerStatus": pushed}})
    world.settle()
    assert words(world.status)[-1] == "Succeeded=True"
    assert world.status["observation"]["metrics"] == [{"name": "loss", "min": "0.3", "max": "0.3", "latest": "0.3"}]


def add_pod(world: World, phase: str) -> None:
    name = world.names(kinds.JOB)[0]
    meta = {"name": "p", "namespace": "default", "uid": "p", "labels": {"batch.kubernetes.io/job-name": name}}
    pod = {"metadata": meta, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": phase}}
    world.objects[kinds.POD, Key("default", "p")] = pod


def test_a_log_is_followed_only_where_that_may_end_the_trial() -> None:
    plain, stoppable = trial(), watched(0.1)
    for world in (plain, stoppable):
        world.settle()
        assert source(world.observe()) is None, "there is no pod yet"
        add_pod(world, "Running")
    assert source(plain.observe()) is None
    followed = source(stoppable.observe())
    assert followed is not None
    assert (followed.container, followed.ended, followed.wanted.marks) == ("c", False, (3,))
    add_pod(plain, "Succeeded")
    read = source(plain.observe())
    assert read is not None
    assert (read.ended, read.wanted.names) == (True, ("loss", "acc"))


def test_a_page_is_scraped_while_there_is_one() -> None:
    world = trial(metricsCollector={"collector": {"kind": "PrometheusMetric"}})
    world.settle()
    add_pod(world, "Running")
    found = source(world.observe())
    assert found is not None
    assert found.page == "8080/metrics"
    add_pod(world, "Succeeded")
    assert source(world.observe()) is None
    world.probed = {"metrics": [{"name": "loss", "min": "1", "max": "2", "latest": "1"}], "marks": {}, "ended": False}
    end_job(world)
    world.settle()
    assert words(world.status)[-1] == "Succeeded=True"
