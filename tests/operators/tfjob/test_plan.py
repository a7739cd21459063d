"""TFJob: its cluster as TensorFlow reads it, who leads, and who may be missed."""

from __future__ import annotations

import json

import pytest
from training_jobs import env, job, role, running, settled

from argosy import kinds
from argosy.operators.tfjob.operator import TENSORFLOW


def config(world, pod: str):
    return json.loads(env(world, pod)["TF_CONFIG"])


def test_the_cluster_is_told_to_every_pod():
    w = settled(TENSORFLOW, job(TENSORFLOW, {"PS": 1, "Worker": 2, "Chief": 1, "Evaluator": 1}))
    cluster = {
        "chief": ["job-chief-0.default.svc:2222"],
        "evaluator": ["job-evaluator-0.default.svc:2222"],
        "ps": ["job-ps-0.default.svc:2222"],
        "worker": ["job-worker-0.default.svc:2222", "job-worker-1.default.svc:2222"],
    }
    task = {"type": "worker", "index": 1}
    assert config(w, "job-worker-1") == {"cluster": cluster, "task": task, "environment": "cloud"}
    assert env(w, "job-worker-1")["TF_CONFIG"] == json.dumps(config(w, "job-worker-1"), separators=(",", ":"))
    assert config(w, "job-ps-0")["task"] == {"type": "ps", "index": 0}
    assert w.names(kinds.SERVICE) == w.names(kinds.POD)
    service = w.get(kinds.SERVICE, "job-ps-0")
    assert service["spec"]["ports"] == [{"name": "tfjob-port", "port": 2222}]
    assert service["spec"]["selector"]["training.kubeflow.org/operator-name"] == "tfjob-controller"
    assert {name: role(w, name) for name in w.names(kinds.POD) if role(w, name)} == {"job-chief-0": "master"}


def test_only_the_training_container_is_told_and_a_lone_pod_is_not():
    subject = job(TENSORFLOW, {"Worker": 2})
    containers = subject["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"]
    containers.append({"name": "log-shipper", "image": "x"})
    w = settled(TENSORFLOW, subject)
    assert list(env(w, "job-worker-0", 1)) == []
    assert list(env(w, "job-worker-0")) == ["TF_CONFIG"]
    assert list(env(settled(TENSORFLOW, job(TENSORFLOW, {"Worker": 1})), "job-worker-0")) == []


def test_dynamic_workers_know_of_themselves_and_the_servers():
    w = settled(TENSORFLOW, job(TENSORFLOW, {"PS": 2, "Worker": 3}, enableDynamicWorker=True))
    servers = ["job-ps-0.default.svc:2222", "job-ps-1.default.svc:2222"]
    assert config(w, "job-worker-2") == {
        "cluster": {"worker": {"2": "job-worker-2.default.svc:2222"}, "ps": servers},
        "task": {"type": "worker", "index": 2},
    }
    assert config(w, "job-ps-1")["cluster"] == {"worker": {}, "ps": servers[1:]}
    alone = settled(TENSORFLOW, job(TENSORFLOW, {"Worker": 2}, enableDynamicWorker=True))
    assert config(alone, "job-worker-0")["cluster"] == {"worker": {"0": "job-worker-0.default.svc:2222"}, "ps": None}


@pytest.mark.parametrize("lead", ["Chief", "Master"])
def test_chief_or_master_decides(lead):
    w = running(TENSORFLOW, {lead: 1, "Worker": 2})
    w.exit("job-worker-0", 0, container="tensorflow")
    w.exit("job-worker-1", 0, container="tensorflow")
    w.settle()
    assert w.conditions()[-1] == ("Running", "True")
    w.exit(f"job-{lead.lower()}-0", 0, container="tensorflow")
    w.settle()
    assert w.conditions()[-1] == ("Succeeded", "True")
    assert w.status["conditions"][-1]["reason"] == "TFJobSucceeded"


@pytest.mark.parametrize("policy", ["", "AllWorkers"])
def test_without_a_chief_worker_0_decides_or_all_of_them(policy):
    w = running(TENSORFLOW, {"PS": 1, "Worker": 2}, successPolicy=policy)
    assert role(w, "job-worker-0") == "master"
    assert role(w, "job-worker-1") is None
    w.exit("job-worker-0", 0, container="tensorflow")
    w.settle()
    assert w.conditions()[-1][0] == ("Succeeded" if not policy else "Running")
    w.exit("job-worker-1", 0, container="tensorflow")
    w.settle()
    assert w.conditions()[-1] == ("Succeeded", "True")


@pytest.mark.parametrize(("policy", "kept"), [({}, False), ({"cleanPodPolicy": "None"}, True)])
def test_parameter_servers_go_with_the_job_unless_they_are_to_be_kept(policy, kept):
    w = running(TENSORFLOW, {"PS": 1, "Worker": 1}, runPolicy=policy)
    w.exit("job-worker-0", 0, container="tensorflow")
    w.settle()
    assert ("job-ps-0" in w.names(kinds.POD)) is kept
    assert "job-worker-0" in w.names(kinds.POD)


def test_a_failure_ends_the_job_by_default():
    w = running(TENSORFLOW, {"Worker": 2})
    w.exit("job-worker-1", 1, container="tensorflow", message="ValueError: shapes differ")
    w.settle()
    assert w.conditions() == [("Created", "True"), ("Running", "False"), ("Failed", "True")]
    assert "ValueError: shapes differ" in w.status["conditions"][-1]["message"]
    assert w.status["conditions"][-1]["reason"] == "TFJobFailed"


def test_dynamic_workers_may_fail_as_long_as_one_is_left():
    w = running(TENSORFLOW, {"PS": 1, "Worker": 2}, enableDynamicWorker=True)
    w.exit("job-worker-1", 1, container="tensorflow")
    w.settle()
    assert w.conditions()[-1] == ("Running", "True")
    assert w.status["replicaStatuses"]["Worker"]["failed"] == 1
    w.exit("job-worker-0", 1, container="tensorflow")
    w.settle()
    assert w.conditions()[-1] == ("Failed", "True")


def test_a_dynamic_worker_that_may_be_retried_is_replaced_alone():
    w = running(TENSORFLOW, {"PS": 1, "Worker": 2}, enableDynamicWorker=True, policy="ExitCode")
    w.slow_deletes = True
    before = {name: w.get(kinds.POD, name)["metadata"]["uid"] for name in w.names(kinds.POD)}
    w.exit("job-worker-1", 137, container="tensorflow", signal=9)
    w.settle()
    w.bury()
    w.settle()
    after = {name: w.get(kinds.POD, name)["metadata"]["uid"] for name in w.names(kinds.POD)}
    assert {name for name in after if after[name] != before[name]} == {"job-worker-1"}
    assert "that pod alone is replaced" in w.told("TFJobRestarting")[0]
    assert len(w.told("TFJobRestarting")) == 1
    assert w.subject["metadata"]["annotations"]["argosy.dev/pods-replaced"] == "1"


@pytest.mark.parametrize(
    ("replicas", "spec", "says"),
    [
        ({"Chief": 1, "Master": 1}, {}, "has both Chief and Master"),
        ({"PS": 1}, {}, "nothing would end the job"),
        ({"Leader": 1}, {}, "the type must be Chief, Evaluator, Master, PS or Worker"),
        ({"Worker": 1}, {"successPolicy": "Most"}, "successPolicy 'Most'"),
    ],
)
def test_what_no_retry_mends_is_said_at_once(replicas, spec, says):
    w = settled(TENSORFLOW, job(TENSORFLOW, replicas, **spec))
    assert w.status["conditions"][-1]["reason"] == "TFJobFailedValidation"
    assert says in w.status["conditions"][-1]["message"]
    assert w.objects == {}
    assert w.told("TFJobFailedValidation")


def test_a_vanished_dynamic_worker_is_lost_once_and_a_second_loss_waits():
    w = running(TENSORFLOW, {"PS": 1, "Worker": 3}, enableDynamicWorker=True, policy="OnFailure")
    w.remove(kinds.POD, "job-worker-1")
    w.settle()
    assert len(w.of(kinds.POD)) == 4
    assert len(w.told("TFJobRestarting")) == 1
    w.pods("Running")
    w.settle()
    w.exit("job-worker-2", 1, container="tensorflow")
    w.settle()
    assert len(w.of(kinds.POD)) == 3
    assert w.again == 10
    w.wait(10)
    w.settle()
    assert len(w.of(kinds.POD)) == 4


def test_replaced_pods_count_towards_the_backoff_limit():
    run = {"backoffLimit": 1}
    w = running(TENSORFLOW, {"PS": 1, "Worker": 3}, enableDynamicWorker=True, policy="OnFailure", runPolicy=run)
    for _ in range(2):
        w.exit("job-worker-2", 1, container="tensorflow")
        w.settle()
        w.pods("Running")
        w.settle()
    assert w.conditions()[-1] == ("Failed", "True")
    assert "backoff limit (1)" in w.status["conditions"][-1]["message"]
