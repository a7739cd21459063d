"""What MLflow is told, by a ledger that keeps what it was told: also when calls are lost, and when operators end in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from argosy.intent import Call, Capabilities, Observed, Patch, Plan
from argosy.meta.json import Obj
from argosy.operators.mpijob.schema import MPI_JOB, MPI_JOB_V1
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.tracking import job as jobs
from argosy.operators.tracking.look import tags_of
from argosy.operators.tracking.plan import plan
from argosy.operators.tracking.server import Server

SERVER = Server("team", "mlflow", 5000)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def job(outcome: str, model: str = "", **annotations: str) -> Obj:
    env = [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow:5000"}]
    condition = {"type": outcome, "status": "True", "lastTransitionTime": "2026-01-01T01:00:00Z"}
    marks = {f"argosy.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    metadata = {
        "name": "lm", "namespace": "team", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": marks | ({jobs.REGISTER: model} if model else {}),
    }  # fmt: skip
    return {
        "metadata": metadata,
        "spec": {"containers": [{"image": "i", "env": env}]},
        "status": {"conditions": [condition]},
    }


@dataclass
class Ledger:
    """MLflow, as far as it is asked."""

    runs: list[Obj] = field(default_factory=list)
    models: set[str] = field(default_factory=set)
    versions: list[Obj] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def look(self, outcome: str = "Succeeded") -> Obj:
        versions = [{"version": str(n), "tags": tags_of(v["tags"])} for n, v in enumerate(self.versions, 1)]
        return {
            "outcome": outcome, "cluster": "c1", "server": SERVER, "runs": list(self.runs), "experiments": {"0": "Default"},
            "known": bool(self.models), "versions": versions, "progress": {"last-step": "7"},
        }  # fmt: skip

    def take(self, call: Call) -> None:
        method, body = call.path.removeprefix("api/2.0/mlflow/"), call.body or {}
        self.told.append(method)
        match method:
            case "runs/create":
                made = {
                    "id": f"r{len(self.runs)}",
                    "status": "RUNNING",
                    "tags": tags_of(body["tags"]),
                    "artifacts": "mlflow-artifacts:/x",
                }
                self.runs.insert(0, made)
            case "runs/update":
                next(run for run in self.runs if run["id"] == body["run_id"])["status"] = body["status"]
            case "runs/set-tag":
                next(run for run in self.runs if run["id"] == body["run_id"])["tags"][body["key"]] = body["value"]
            case "registered-models/create":
                self.models.add(body["name"])
            case "model-versions/create":
                assert body["name"] in self.models
                self.versions.append(body)
            case _:
                raise AssertionError(method)


def run(id: str, status: str = "RUNNING", **tags: str) -> Obj:
    return {"id": id, "status": status, "tags": tags, "artifacts": "mlflow-artifacts:/x"}


def decide(subject: Obj, ledger: Ledger) -> Plan:
    return plan(Observed(subject, NOW, probed=ledger.look(jobs.outcome(subject))), PYTORCH_JOB)


def settle(subject: Obj, ledger: Ledger, lost: int = -1) -> list[str]:
    """Plan until nothing is left; after the action `lost` the operator is a new one. The codes of what was told."""
    codes: list[str] = []
    for turn in range(20):
        made = decide(subject, ledger)
        codes += [] if turn == lost else [reason.code for reason in made.reasons]
        if not made.actions:
            return codes
        for action in made.actions:
            if isinstance(action, Call):
                ledger.take(action)
            elif isinstance(action, Patch) and turn != lost:
                marks: dict[str, Any] = subject["metadata"]["annotations"] | action.patch["metadata"]["annotations"]
                subject["metadata"]["annotations"] = {name: value for name, value in marks.items() if value is not None}
    raise AssertionError("it never settles")


@pytest.mark.parametrize("lost", range(-1, 7))
@pytest.mark.parametrize("tracked", [True, False])
def test_a_model_is_registered_once_whatever_is_interrupted(lost: int, tracked: bool) -> None:
    subject, ledger = job("Succeeded", "lm", git_commit="abc", environment="e"), Ledger([run("r0")] if tracked else [])
    assert settle(subject, ledger, lost) == ["ModelRegistered"]
    assert settle(subject, ledger) == []
    (version,) = ledger.versions
    assert (version["name"], version["run_id"], version["source"]) == ("lm", "r0", "mlflow-artifacts:/x")
    tags = tags_of(version["tags"])
    assert (tags["git-commit"], tags["environment"], tags["job-uid"], tags["last-step"]) == ("abc", "e", "u1", "7")
    assert [each["status"] for each in ledger.runs] == ["FINISHED"]
    marks = subject["metadata"]["annotations"]
    assert (marks[jobs.REGISTERED], marks[jobs.RUN], marks[jobs.TOLD]) == ("lm/1", "r0", "Succeeded")


@pytest.mark.parametrize(
    ("outcome", "before", "after"),
    [
        ("Succeeded", ["RUNNING"], ["FINISHED"]),
        ("Succeeded", ["KILLED", "FAILED"], ["FINISHED", "FAILED"]),  # was suspended; an epoch before had failed
        ("Succeeded", ["FAILED"], ["FAILED"]),
        ("Failed", ["RUNNING", "RUNNING"], ["FAILED", "FAILED"]),
        ("Failed", ["FINISHED", "FINISHED"], ["FAILED", "FINISHED"]),  # Python ended; the newest is the one that failed
        ("Failed", ["KILLED"], ["KILLED"]),
        ("Suspended", ["RUNNING", "FINISHED"], ["KILLED", "FINISHED"]),
    ],
)
def test_runs_end_as_the_job_did(outcome: str, before: list[str], after: list[str]) -> None:
    ledger = Ledger([run(f"r{n}", status) for n, status in enumerate(before)])
    settle(job(outcome), ledger)
    assert [each["status"] for each in ledger.runs] == after


def test_what_mlflow_said_before_the_end_is_no_ground_to_end_on() -> None:
    """A short program starts its run, and ends, between two looks."""
    stale = Observed(job("Failed"), NOW, probed=Ledger().look("Running"))
    assert plan(stale, PYTORCH_JOB) == Plan()


def test_a_failed_job_registers_nothing() -> None:
    ledger = Ledger([run("r0")])
    assert settle(job("Failed", "lm"), ledger) == []
    assert ledger.told == ["runs/update"]


def test_the_run_of_a_running_job_is_noted_and_children_are_not_taken_for_it() -> None:
    ledger = Ledger([run("child", **{"mlflow.parentRunId": "top"}), run("top")])
    subject = job("Running", tracked="Suspended")
    settle(subject, ledger)
    assert subject["metadata"]["annotations"] == {jobs.RUN: "top"}
    assert [(each["tags"]["cluster"], each["tags"]["job"]) for each in ledger.runs] == [("c1", "lm")] * 2
    assert set(ledger.told) == {"runs/set-tag"}


@pytest.mark.parametrize(
    ("outcome", "model", "trouble", "codes"),
    [
        ("Running", "lm", "NoTrackingServer", ["NoTrackingServer"]),
        ("Succeeded", "lm", "NoTrackingServer", ["NoTrackingServer"]),
        ("Succeeded", "", "NoTrackingServer", []),
        ("Succeeded", "", "TrackingFailed", ["TrackingFailed"]),
        ("Running", "lm", "TrackingFailed", []),
    ],
)
def test_trouble_is_told_to_who_waits(outcome: str, model: str, trouble: str, codes: list[str]) -> None:
    seen = Observed(job(outcome, model), NOW, probed={"outcome": outcome, "trouble": trouble, "message": "it is away"})
    made = plan(seen, PYTORCH_JOB)
    assert (made.actions, [reason.code for reason in made.reasons]) == ((), codes)
    assert all(reason.warning for reason in made.reasons)


def test_nothing_is_done_for_jobs_that_go_or_have_a_newer_self_or_an_impossible_name() -> None:
    going = job("Succeeded", "lm")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert decide(going, Ledger([run("r")])) == Plan()
    newer = Capabilities(frozenset(["mpijobs.v2beta1.kubeflow.org"]))
    seen = Observed(job("Succeeded", "lm"), NOW, probed=Ledger().look(), capabilities=newer)
    assert plan(seen, MPI_JOB_V1, (MPI_JOB,)) == Plan()
    (told,) = decide(job("Succeeded", "a/b"), Ledger()).reasons
    assert told.code == "ModelNotRegistered"
    assert "argosy.dev/register-model" in told.message
