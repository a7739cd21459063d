"""What is read of a job, whatever its kind."""

from __future__ import annotations

import pytest

from argosy.meta.json import Obj, decode
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.tracking import job as jobs
from argosy.operators.tracking.job import Outcome


def subject(spec: Obj | None = None, annotations: dict[str, str] | None = None, **status: object) -> Obj:
    metadata = {"name": "lm", "namespace": "team", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata | {"annotations": annotations or {}}, "spec": spec or {}, "status": status}


def conditions(*types: str) -> list[Obj]:
    return [{"type": t, "status": "True", "lastTransitionTime": f"2026-01-01T00:0{n}:00Z"} for n, t in enumerate(types)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, Outcome.running),
        ({"conditions": conditions("Created", "Running")}, Outcome.running),
        ({"conditions": conditions("Created", "Succeeded")}, Outcome.succeeded),
        ({"conditions": conditions("Complete")}, Outcome.succeeded),
        ({"conditions": conditions("Completed")}, Outcome.succeeded),
        ({"conditions": conditions("Created", "Failed")}, Outcome.failed),
        ({"conditions": conditions("Created", "Suspended")}, Outcome.suspended),
        ({"conditions": [{"type": "Suspended", "status": "False"}]}, Outcome.running),
        ({"jobDeploymentStatus": "Running"}, Outcome.running),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, Outcome.succeeded),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, Outcome.stopped),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}, Outcome.failed),
        ({"jobDeploymentStatus": "Suspended"}, Outcome.suspended),
    ],
)
def test_every_kind_says_how_far_it_is(status: Obj, expected: Outcome) -> None:
    assert jobs.outcome(subject(**status)) is expected


def test_a_job_is_tracked_when_its_pods_know_a_server_or_a_model_is_wanted() -> None:
    told = {"trainer": {"env": [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow"}]}}
    assert not jobs.asked_for(subject())
    assert jobs.asked_for(subject(told))
    assert jobs.asked_for(subject(annotations={jobs.REGISTER: "lm"}))
    made = subject(told)
    made["metadata"]["ownerReferences"] = [{"kind": "TrainJob", "controller": True, "name": "lm", "uid": "t"}]
    assert not jobs.asked_for(made)


@pytest.mark.parametrize(
    ("condition", "model", "minutes", "due"),
    [
        ("Running", "", 9, True),
        ("Running", "lm", 11, False),
        ("Failed", "lm", 59, True),
        ("Failed", "lm", 61, False),
        ("Succeeded", "", 61, False),
        ("Succeeded", "lm", 100_000, True),
    ],
)
def test_a_server_is_not_asked_for_ever_but_for_models(condition: str, model: str, minutes: int, due: bool) -> None:
    spec = {"env": [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow"}]}
    told = subject(spec, {jobs.REGISTER: model}, conditions=conditions(condition))
    assert jobs.is_due(told, jobs.created_ms(told) + minutes * 60_000) is due
    assert not jobs.is_due(subject(), 0)


def template(*mounts: Obj, env: dict[str, str]) -> Obj:
    container = {
        "name": "c", "image": "i", "volumeMounts": list(mounts), "env": [{"name": k, "value": v} for k, v in env.items()],
    }  # fmt: skip
    volumes = [
        {"name": "all", "persistentVolumeClaim": {"claimName": "models"}},
        {"name": "deep", "persistentVolumeClaim": {"claimName": "own"}},
        {"name": "scratch", "emptyDir": {}},
    ]
    return {"pytorchReplicaSpecs": {"Master": {"template": {"spec": {"containers": [container], "volumes": volumes}}}}}


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([{"name": "all", "mountPath": "/data"}], "pvc://models/run/1"),
        ([{"name": "all", "mountPath": "/data/"}, {"name": "deep", "mountPath": "/data/run"}], "pvc://own/1"),
        ([{"name": "all", "mountPath": "/data/run/1", "subPath": "x/y"}], "pvc://models/x/y"),
        ([{"name": "all", "mountPath": "/data/ru"}], ""),
        ([{"name": "scratch", "mountPath": "/data"}], ""),
        ([{"name": "all", "mountPath": "/data", "subPathExpr": "$(POD)"}], ""),
        ([{"name": "all", "mountPath": "/"}], "pvc://models/data/run/1"),
        ([], ""),
    ],
)
def test_a_checkpoint_on_a_claim_has_an_address(mounts: list[Obj], expected: str) -> None:
    spec = template(*mounts, env={"CHECKPOINT_DIR": "/data/run/1/"})
    assert jobs.checkpoint_source(subject(spec)) == expected


def test_lineage_tells_what_is_known_and_nothing_else() -> None:
    annotations = {
        "argosy.dev/git-commit": "abc", "argosy.dev/git-dirty": "true", "argosy.dev/restart-epoch": "2",
        "argosy.dev/dataset-versions": "corpus@v1", "argosy.dev/command": "x" * 9000,
    }  # fmt: skip
    told = jobs.lineage(subject(template(env={}), annotations), PYTORCH_JOB)
    assert len(told.pop("command")) == 4900
    assert told == {
        "job": "lm", "namespace": "team", "job-path": "/apis/kubeflow.org/v1/namespaces/team/pytorchjobs/lm",
        "job-kind": "PyTorchJob.kubeflow.org/v1", "job-uid": "u1", "git-commit": "abc", "git-dirty": "true",
        "dataset-versions": "corpus@v1", "image": "i", "restarts": "2",
    }  # fmt: skip
    assert decode(jobs.run_context(subject(), PYTORCH_JOB).encode())["job"] == "lm"


def test_times_are_those_of_the_end() -> None:
    assert jobs.ended_ms(subject()) == 0
    ended = subject(conditions=conditions("Created", "Complete"))
    assert jobs.ended_ms(ended) - jobs.created_ms(ended) == 60_000
    assert jobs.ended_ms(subject(conditions=conditions("Failed"), completionTime="nonsense")) == jobs.created_ms(ended)


@pytest.mark.parametrize(
    ("name", "fits"), [("", True), ("lm v2 ü", True), ("a/b", False), ("a:1", False), ("x" * 251, False)]
)
def test_names_that_mlflow_refuses(name: str, fits: bool) -> None:
    assert (jobs.unfit(name) == "") is fits
