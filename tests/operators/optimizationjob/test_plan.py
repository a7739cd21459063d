"""OptimizationJobs in a small world: TrainJobs are made, read and counted, and the best one is known."""

from __future__ import annotations

import json

import pytest

from argosy import kinds
from argosy.clock import rfc3339
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key
from argosy.operators.optimizationjob import trials
from argosy.operators.optimizationjob.operator import operator
from argosy.operators.optimizationjob.plan import read, source
from argosy.operators.optimizationjob.schema import environment_name
from argosy.operators.trainjob.schema import TRAIN_JOB

from operator_world import World  # isort: skip

LR = {"name": "learning-rate", "searchSpace": {"logUniform": {"min": "1e-4", "max": "0.1", "type": "Float"}}}
SIZE = {"name": "size", "searchSpace": {"categorical": {"choices": ["16", "32"]}}}


def job(**spec: object) -> Obj:
    trainer = {"image": "x", "env": [{"name": "A", "value": "1"}, {"name": "KUBEFLOW_TRAINER_OPT_SIZE", "value": "9"}]}
    template = {"metadata": {"labels": {"team": "a"}}, "spec": {"runtimeRef": {"name": "torch"}, "trainer": trainer}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "OptimizationJob",
        "metadata": {"name": "tuning"},
        "spec": {
            "objectives": [{"metric": "loss", "direction": "Minimize"}],
            "searchAlgorithm": {"random": {"seed": 7}},
            "parameters": [LR, SIZE],
            "numTrials": 3,
            "parallelTrials": 2,
            "trainJobTemplate": template,
            **spec,
        },
    }


def end(world: World, name: str, loss: str = "", *, type: str = "Complete", **status: object) -> None:
    condition = {"type": type, "status": "True", "message": "why", "lastTransitionTime": rfc3339(world.now)}
    pushed = {"trainerStatus": {"metrics": [{"name": "loss", "value": loss}]}} if loss else {}
    world.change(TRAIN_JOB, name, {"status": {"conditions": [condition], **pushed, **status}})


def states(world: World) -> list[str]:
    return [f"{t['state']}{':' + t['reason'] if 'reason' in t else ''}" for t in world.status["trials"]]


def test_trials_run_until_there_were_enough_and_the_best_is_known() -> None:
    world = World(operator(), job())
    world.settle()
    assert world.names(TRAIN_JOB) == ["tuning-trial-0", "tuning-trial-1"]
    assert world.conditions() == [("Created", "True"), ("Running", "True")]
    end(world, "tuning-trial-1", "0.5")
    world.settle()
    assert world.names(TRAIN_JOB)[-1] == "tuning-trial-2"
    assert world.status["result"]["trainJobName"] == "tuning-trial-1"
    end(world, "tuning-trial-0", "0.2")
    end(world, "tuning-trial-2", "0.9")
    world.settle()
    assert world.conditions() == [("Created", "True"), ("Running", "False"), ("Complete", "True")]
    assert world.status["conditions"][-1]["reason"] == "MaxTrialsReached"
    best = json.loads(world.of(TRAIN_JOB)[0]["metadata"]["annotations"]["trainer.kubeflow.org/optimization-parameters"])
    assert world.status["result"] == {"trainJobName": "tuning-trial-0", "parameters": best}
    assert states(world) == ["Succeeded"] * 3


def test_a_trial_is_the_template_told_its_parameters() -> None:
    world = World(operator(), job())
    world.settle()
    made = world.of(TRAIN_JOB)[0]
    assert made["metadata"]["labels"] == {"team": "a", "trainer.kubeflow.org/optimizationjob-name": "tuning"}
    env = {each["name"]: each["value"] for each in made["spec"]["trainer"]["env"]}
    given = {p["name"]: p["value"] for p in world.status["trials"][0]["parameters"]}
    assert env == {
        "A": "1",
        "KUBEFLOW_TRAINER_OPT_LEARNING_RATE": given["learning-rate"],
        "KUBEFLOW_TRAINER_OPT_SIZE": given["size"],
    }
    assert 1e-4 <= float(given["learning-rate"]) <= 0.1
    assert made["spec"]["runtimeRef"] == {"name": "torch"}


def test_the_same_seed_makes_the_same_trials() -> None:
    def drawn(**spec: object) -> object:
        world = World(operator(), job(**spec))
        world.settle()
        return [t["parameters"] for t in world.status["trials"]]

    assert drawn() == drawn()
    assert drawn() != drawn(searchAlgorithm={"random": {"seed": 8}})


def test_a_template_without_a_trainer_gets_one() -> None:
    world = World(operator(), job(trainJobTemplate={"spec": {"runtimeRef": {"name": "torch"}}}))
    world.settle()
    assert len(world.of(TRAIN_JOB)[0]["spec"]["trainer"]["env"]) == 2


def test_the_highest_is_the_best_where_that_is_asked_for() -> None:
    world = World(operator(), job(objectives=[{"metric": "loss", "direction": "Maximize"}], numTrials=2))
    world.settle()
    end(world, "tuning-trial-0", "0.5")
    end(world, "tuning-trial-1", "1e1")
    world.settle()
    assert world.status["result"]["trainJobName"] == "tuning-trial-1"


def test_a_grid_tries_every_combination_and_then_it_is_over() -> None:
    other = {"name": "kind", "searchSpace": {"categorical": {"choices": ["a", "b"]}}}
    world = World(
        operator(), job(parameters=[SIZE, other], searchAlgorithm={"grid": {}}, numTrials=9, parallelTrials=9)
    )
    world.settle()
    tried = [trials.assignments_of(t) for t in world.status["trials"]]
    assert tried == [{"size": s, "kind": k} for s in ("16", "32") for k in ("a", "b")]
    for name in world.names(TRAIN_JOB):
        end(world, name, "0.1")
    world.settle()
    assert world.status["conditions"][-1]["reason"] == "SearchSpaceExhausted"


def test_a_failure_counts_and_all_of_them_are_one() -> None:
    world = World(operator(), job(numTrials=2))
    world.settle()
    end(world, "tuning-trial-0", type="Failed")
    world.settle()
    assert states(world) == ["Failed:TrainJobFailed", "Running"]
    end(world, "tuning-trial-1", type="Failed")
    world.settle()
    last = world.status["conditions"][-1]
    assert (last["type"], last["reason"]) == ("Failed", "AllTrialsFailed")
    assert last["message"] == "2 out of 2 trials failed; at last tuning-trial-1: why"


def add_pod(world: World, train_job: str, **labels: str) -> None:
    named = {"jobset.sigs.k8s.io/jobset-name": train_job, "batch.kubernetes.io/job-completion-index": "0", **labels}
    meta = {"name": f"{train_job}-p", "namespace": "default", "uid": f"{train_job}-p", "labels": named}
    pod = {"metadata": meta, "spec": {"containers": [{"name": "node"}]}, "status": {"phase": "Succeeded"}}
    world.objects[kinds.POD, Key("default", f"{train_job}-p")] = pod


def test_what_a_trial_printed_is_read_once_and_written_down() -> None:
    world = World(operator(), job(numTrials=2))
    world.settle()
    assert source(world.observe()) is None
    end(world, "tuning-trial-1")
    add_pod(world, "tuning-trial-1")
    add_pod(world, "other")
    world.settle()
    found = source(world.observe())
    assert found is not None
    assert (found.log.pod.name, found.log.container, found.log.ended) == ("tuning-trial-1-p", "node", True)
    metric = {"name": "loss", "min": "0.1", "max": "0.9", "latest": "0.3"}
    world.probed = {"of": found.uid, "metrics": [metric], "marks": {}, "ended": True}
    world.settle()
    assert states(world) == ["Running", "Succeeded"]
    assert world.status["trials"][1]["metrics"] == [{"name": "loss", "value": "0.3"}], "the last that it printed"
    assert source(world.observe()) is None
    end(world, "tuning-trial-0", "0.5")
    world.settle()
    assert world.status["result"]["trainJobName"] == "tuning-trial-1"


@pytest.mark.parametrize("gone", [True, False])
def test_a_trial_that_told_nothing_has_failed(gone: bool) -> None:
    world = World(operator(), job(numTrials=1, parallelTrials=1))
    world.settle()
    end(world, "tuning-trial-0")
    world.settle()
    assert states(world) == ["Running"]
    if gone:
        world.wait(11)
    else:
        uid = world.of(TRAIN_JOB)[0]["metadata"]["uid"]
        world.probed = {"of": uid, "metrics": [{"name": "loss", "latest": "unavailable"}], "ended": True}
    world.settle()
    assert states(world) == ["Failed:MetricsUnavailable"]
    assert "told no loss: print loss=NUMBER, or push it" in world.status["conditions"][-1]["message"]


def test_what_is_known_of_a_trial_outlives_its_train_job() -> None:
    world = World(operator(), job())
    world.settle()
    end(world, "tuning-trial-0", "0.1")
    world.settle()
    world.remove(TRAIN_JOB, "tuning-trial-0")
    world.remove(TRAIN_JOB, "tuning-trial-1")
    world.settle()
    assert states(world) == ["Succeeded", "Failed:TrainJobDeleted", "Running"]
    end(world, "tuning-trial-2", "0.2")
    world.settle()
    assert world.status["result"]["trainJobName"] == "tuning-trial-0"
    assert world.conditions()[-1] == ("Complete", "True")


def test_a_history_that_the_cluster_does_not_keep_is_found_again() -> None:
    world = World(operator(), job())
    world.settle()
    before = world.status["trials"]
    world.edit({"status": {"trials": None}})
    world.settle()
    assert [(t["trainJobName"], t["parameters"]) for t in world.status["trials"]] == [
        (t["trainJobName"], t["parameters"]) for t in before
    ]
    assert len(world.of(TRAIN_JOB)) == 2


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ([LR, {**SIZE, "name": "Learning_Rate"}], "two parameters are told as KUBEFLOW_TRAINER_OPT_LEARNING_RATE"),
        (
            [{"name": "n", "searchSpace": {"uniform": {"min": "1.2", "max": "1.8", "type": "Int"}}}],
            "parameter n: there is no whole number from 1.2 to 1.8",
        ),
    ],
)
def test_bad_input_is_one_reason(parameters: list[Obj], says: str) -> None:
    world = World(operator(), job(parameters=parameters))
    world.settle()
    assert world.conditions() == [("Created", "True"), ("Failed", "True")]
    assert says in world.status["conditions"][-1]["message"]
    assert world.of(TRAIN_JOB) == []


def test_whole_numbers_are_whole() -> None:
    space = {"uniform": {"min": "0.5", "max": "3.9", "type": "Int"}}
    search, wrong = read(job(parameters=[{"name": "n", "searchSpace": space}]))
    assert wrong == []
    assert {search.parameters[0].at(unit) for unit in (0.0, 0.2, 0.5, 0.9, 1.0)} == {"1", "2", "3"}


def test_names() -> None:
    long: Obj = {"metadata": {"name": "a" * 60, "uid": "u"}}
    assert len(trials.trial_name(long, 99)) <= 50
    assert trials.prefix_and_number(trials.trial_name(long, 99)) == (trials.prefix_of(long), 99)
    assert trials.prefix_of({"metadata": {"name": "a" * 60, "uid": "v"}}) != trials.prefix_of(long)
    assert trials.prefix_and_number("no") == ("", -1)
    assert environment_name("a.b-c") == "KUBEFLOW_TRAINER_OPT_A_B_C"
    assert dig(job(), "spec", "numTrials") == 3
