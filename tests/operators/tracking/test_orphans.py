"""Which runs are nobody's any more."""

from __future__ import annotations

from datetime import UTC, datetime

from argosy.clock import SystemClock
from argosy.intent import Call, Observed, Plan
from argosy.meta.json import Obj
from argosy.operators.tracking.orphans import Open, is_orphan, open_runs, plan

PATH = "/apis/kubeflow.org/v1/namespaces/team/pytorchjobs/lm"


def found(path: str) -> Obj:
    tags = [{"key": "job-path", "value": path}]
    return {"runs": [{"info": {"run_id": "r", "start_time": 5000}, "data": {"tags": tags}}]}


def test_only_paths_of_jobs_are_asked_about() -> None:
    assert open_runs(found(PATH)) == [Open("r", PATH, 5000)]
    assert open_runs({}) == []
    for strange in (
        "",
        "/api/v1/namespaces/team/secrets/s",
        f"{PATH}/../../x",
        f"{PATH}?watch=1",
        "/apis/x/v1/nodes/n",
    ):
        assert open_runs(found(strange)) == []


def test_a_run_is_an_orphan_when_its_job_is_gone_or_another_has_its_name() -> None:
    run = Open("r", PATH, 1_767_225_605_000)  # 2026-01-01T00:00:05Z
    assert is_orphan(run, None)
    assert not is_orphan(run, {"metadata": {"name": "lm", "creationTimestamp": "2026-01-01T00:00:05Z"}})
    assert is_orphan(run, {"metadata": {"name": "lm", "creationTimestamp": "2026-01-01T00:00:06Z"}})


def test_orphans_are_ended() -> None:
    service = {"metadata": {"name": "mlflow", "namespace": "ml"}, "spec": {"ports": [{"port": 80}]}}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    (call,) = plan(Observed(service, now, probed={"orphans": ["r"]}), SystemClock()).actions
    assert isinstance(call, Call)
    assert call.body is not None
    assert (call.key.name, call.body["run_id"], call.body["status"]) == ("mlflow:80", "r", "KILLED")
    assert plan(Observed(service, now), SystemClock()) == Plan()
