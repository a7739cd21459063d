"""XGBoostJob: the master runs the tracker and decides; LightGBM learns of all workers."""

from __future__ import annotations

import pytest
from training_jobs import env, job, role, running, settled

from argosy import kinds
from argosy.operators.xgboostjob.operator import XGBOOST


def test_ranks_follow_the_master():
    w = settled(XGBOOST, job(XGBOOST, {"Master": 1, "Worker": 2}))
    assert list(env(w, "job-worker-1").items()) == [
        ("MASTER_PORT", "9999"),
        ("MASTER_ADDR", "job-master-0"),
        ("WORLD_SIZE", "3"),
        ("RANK", "2"),
        ("PYTHONUNBUFFERED", "1"),
        ("WORKER_PORT", "9999"),
        ("WORKER_ADDRS", "job-worker-0,job-worker-1"),
    ]
    assert env(w, "job-master-0")["RANK"] == "0"
    assert w.get(kinds.SERVICE, "job-master-0")["spec"]["ports"] == [{"name": "xgboostjob-port", "port": 9999}]
    assert {name: role(w, name) for name in w.names(kinds.POD) if role(w, name)} == {"job-master-0": "master"}


def test_a_lone_master_has_no_workers_to_name():
    w = settled(XGBOOST, job(XGBOOST, {"Master": 1}))
    assert not {"WORKER_PORT", "WORKER_ADDRS"} & env(w, "job-master-0").keys()


def test_the_master_decides():
    w = running(XGBOOST, {"Master": 1, "Worker": 2})
    w.exit("job-worker-0", 0, container="xgboost")
    w.settle()
    assert w.conditions()[-1] == ("Running", "True")
    w.exit("job-master-0", 0, container="xgboost")
    w.settle()
    assert w.conditions()[-1] == ("Succeeded", "True")


@pytest.mark.parametrize(
    ("replicas", "says"),
    [({"Worker": 2}, "has no Master, which leads the job"), ({"Master": 2}, "Master.replicas must be 1")],
)
def test_what_no_retry_mends_is_said_at_once(replicas, says):
    w = settled(XGBOOST, job(XGBOOST, replicas))
    assert w.status["conditions"][-1]["reason"] == "XGBoostJobFailedValidation"
    assert says in w.status["conditions"][-1]["message"]
