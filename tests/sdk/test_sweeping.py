from __future__ import annotations

import pytest

from argosy.errors import UserError
from argosy.meta.json import Obj
from argosy.operators.experiment.experiment import read
from argosy.sdk.sweeping import (
    TRIAL_NAME,
    Sweep,
    arguments_for,
    experiment,
    going_on,
    parse_objective,
    parse_parameter,
    parse_stopping,
    progress_of,
    rows,
)
from argosy.sdk.training import Shipment, TrainingRun
from argosy.sdk.workspace import Packed


@pytest.mark.parametrize(
    ("text", "type", "space"),
    [
        ("lr=1e-4..1e-2:log", "double", {"min": "1e-4", "max": "1e-2", "distribution": "logUniform"}),
        ("layers=1..8", "int", {"min": "1", "max": "8"}),
        ("n=1..64:log", "int", {"min": "1", "max": "64", "distribution": "logUniform"}),
        ("drop=0..0.5:0.1", "double", {"min": "0", "max": "0.5", "step": "0.1"}),
        ("bs=8,16", "categorical", {"list": ["8", "16"]}),
        ("kind=adam", "categorical", {"list": ["adam"]}),
    ],
)
def test_parameters(text: str, type: str, space: Obj) -> None:
    found = parse_parameter(text)
    assert (found["name"], found["parameterType"], found["feasibleSpace"]) == (
        text.split("=", maxsplit=1)[0],
        type,
        space,
    )


@pytest.mark.parametrize("text", ["lr", "=1..2", "lr=", "lr=1..", "lr=2..1", "lr=0..1:log", "lr=a,,b", "9=1,2"])
def test_bad_parameters(text: str) -> None:
    with pytest.raises(UserError, match="--param"):
        parse_parameter(text)


def test_objectives() -> None:
    assert [parse_objective(text) for text in ("loss", "loss:min", "acc:max")] == [
        ("loss", True), ("loss", True), ("acc", False),
    ]  # fmt: skip
    with pytest.raises(UserError, match="not METRIC:min"):
        parse_objective("loss:small")


def test_values_stand_where_they_are_asked_for() -> None:
    assert arguments_for(["--rate={lr}", "x"], ["lr", "bs"]) == (
        "--rate=${trialParameters.lr}", "x", "--bs", "${trialParameters.bs}",
    )  # fmt: skip


def test_the_operator_understands_the_experiment() -> None:
    sweep = Sweep("s", (parse_parameter("lr=0..1"),), "loss", goal=0.1, seed="7", early=parse_stopping("medianstop:5"))
    run = TrainingRun(
        TRIAL_NAME, ("python", "a.py", *arguments_for((), ["lr"])), annotations={"a": TRIAL_NAME, "b": "c"}
    )
    made = experiment(sweep, run, Shipment(Packed(b"x", "d" * 64), "loader"), "ns")
    found = read(made)
    assert found.wrong == ()
    assert (found.search.seed, found.goal, found.parallel, found.most) == ("7", 0.1, 3, 12)
    assert found.stop is not None
    assert found.stop.start_step == 5
    assert made["metadata"]["annotations"] == {"b": "c"}


def test_the_best_comes_first() -> None:
    def trial(name: str, value: str) -> Obj:
        metrics = [{"name": "loss", "min": value, "max": value}]
        return {"metadata": {"name": name}, "spec": {}, "status": {"observation": {"metrics": metrics}}}

    trials = [trial("a", "2"), trial("b", "unavailable"), trial("c", "1")]
    assert [row.name for row in rows(trials, "loss", lowest=True)] == ["c", "a", "b"]
    assert [row.name for row in rows(trials, "loss", lowest=False)] == ["a", "c", "b"]


def test_early_ends() -> None:
    assert parse_stopping("asha") == {"algorithmName": "asha"}
    settings = [{"name": "start_step", "value": "2"}, {"name": "reduction_factor", "value": "4"}]
    assert parse_stopping("asha:2:4") == {"algorithmName": "asha", "algorithmSettings": settings}
    for text in ("hyperband", "asha:0", "asha:1:1", "asha:1:2:3", "medianstop:x", ""):
        with pytest.raises(UserError, match="--early-stopping"):
            parse_stopping(text)


def an_experiment(type: str = "", reason: str = "", *, trials: int = 4, policy: str = "LongRunning") -> Obj:
    conditions = [{"type": type, "status": "True", "reason": reason, "message": "because"}] if type else []
    return {
        "metadata": {"name": "e"},
        "spec": {
            "maxTrialCount": 4,
            "parallelTrialCount": 2,
            "resumePolicy": policy,
            "objective": {"type": "minimize"},
        },
        "status": {"conditions": conditions, "trials": trials},
    }


def test_a_sweep_goes_on() -> None:
    enough = an_experiment("Succeeded", "ExperimentMaxTrialsReached")
    assert going_on(enough, 8, 3) == {"spec": {"maxTrialCount": 8, "parallelTrialCount": 3}}
    assert going_on(an_experiment(trials=2), 4, 2) == {}, "it runs as it is wanted"
    assert going_on(enough) == {}, "it is only looked at"
    assert going_on(an_experiment(trials=2), parallel=3) == {"spec": {"parallelTrialCount": 3}}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (an_experiment("Failed"), "experiment e has failed: because"),
        (an_experiment("Succeeded", "ExperimentGoalReached"), "experiment e is over: because"),
        (an_experiment("Succeeded", "ExperimentMaxTrialsReached", policy="Never"), "experiment e is over"),
        (an_experiment("Succeeded", "ExperimentMaxTrialsReached"), "has had 4 trials; name more: --trials 8"),
        (an_experiment(trials=5), "has 5 trials already"),
    ],
)
def test_what_cannot_go_on_is_told(found: Obj, says: str) -> None:
    with pytest.raises(UserError, match=says):
        going_on(found, 4, 2)


def test_progress_is_a_line() -> None:
    found = an_experiment()
    assert progress_of(found, "loss") == "0 of 4 trials"
    best = {"observation": {"metrics": [{"name": "loss", "min": "0.1", "latest": "0.4"}]}}
    counts = {"trialsSucceeded": 1, "trialsEarlyStopped": 2, "trialMetricsUnavailable": 1, "trialsRunning": 3}
    found["status"] |= {**counts, "currentOptimalTrial": best}
    assert progress_of(found, "loss") == "4 of 4 trials (2 ended early, 1 failed), 3 running, best loss=0.1"
