"""PaddleJob: collective without a Master, parameter servers with one."""

from __future__ import annotations

from training_jobs import env, job, role, running, settled

from argosy import kinds
from argosy.operators.paddlejob.operator import PADDLE

OWN = {"fieldRef": {"fieldPath": "status.podIP"}}


def test_collective_jobs_meet_at_worker_0():
    w = settled(PADDLE, job(PADDLE, {"Worker": 2}))
    shared = {"PYTHONUNBUFFERED": "1", "PADDLE_JOB_ID": "job", "PADDLE_NNODES": "2"}
    assert env(w, "job-worker-0") == shared | {"POD_IP_DUMMY": OWN, "PADDLE_MASTER": "$(POD_IP_DUMMY):36543"}
    assert env(w, "job-worker-1") == shared | {"PADDLE_MASTER": "job-worker-0:36543"}
    assert w.get(kinds.SERVICE, "job-worker-1")["spec"]["ports"] == [{"name": "master", "port": 36543}]
    assert role(w, "job-worker-0") is None


def test_servers_and_trainers_meet_at_master_0():
    w = settled(PADDLE, job(PADDLE, {"Master": 2, "Worker": 1}))
    shared = {"PYTHONUNBUFFERED": "1", "PADDLE_JOB_ID": "job", "PADDLE_NNODES": "3"}
    master = shared | {"POD_IP_DUMMY": OWN, "PADDLE_MASTER": "$(POD_IP_DUMMY):36543", "PADDLE_SERVER_NUM": "1"}
    assert env(w, "job-master-0") == master
    there = {"PADDLE_MASTER": "job-master-0:36543"}
    assert env(w, "job-master-1") == shared | there | {"PADDLE_SERVER_NUM": "1"}
    assert env(w, "job-worker-0") == shared | there | {"PADDLE_TRAINER_NUM": "1"}
    assert role(w, "job-master-1") == "master"


def test_all_masters_decide_or_else_all_workers():
    w = running(PADDLE, {"Master": 2, "Worker": 1})
    w.exit("job-master-0", 0, container="paddle")
    w.settle()
    assert w.conditions()[-1] == ("Running", "True")
    w.exit("job-master-1", 0, container="paddle")
    w.settle()
    assert w.conditions()[-1] == ("Succeeded", "True")
    w = running(PADDLE, {"Worker": 2})
    w.exit("job-worker-0", 0, container="paddle")
    w.exit("job-worker-1", 0, container="paddle")
    w.settle()
    assert w.conditions()[-1] == ("Succeeded", "True")


def test_a_failure_restarts_the_gang_by_default():
    w = running(PADDLE, {"Worker": 2})
    w.exit("job-worker-1", 1, container="paddle")
    w.settle()
    assert w.conditions()[-1] == ("Restarting", "True")
    assert len(w.of(kinds.POD)) == 2
