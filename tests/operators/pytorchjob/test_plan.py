"""The PyTorchJob operator over its whole life, in a small world that carries its plans out."""

from __future__ import annotations

import pytest
from operator_world import World

from argosy import kinds
from argosy.intent import Capabilities
from argosy.meta.json import Obj
from argosy.operators.gang import podgroup
from argosy.operators.pytorchjob.operator import operator
from argosy.operators.settings import OperatorSettings


def template(**spec: object) -> Obj:
    return {"spec": {"containers": [{"name": "pytorch", "image": "argosy/torch"}], **spec}}


def job(
    *, workers: int = 1, policy: str = "OnFailure", master: bool = True, annotations: Obj | None = None, **spec: object
) -> Obj:
    replicas: Obj = {"Master": {"restartPolicy": policy, "template": template()}} if master else {}
    if workers:
        replicas["Worker"] = {"replicas": workers, "restartPolicy": policy, "template": template()}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "ddp", "annotations": annotations or {}},
        "spec": {"pytorchReplicaSpecs": replicas, **spec},
    }


def world(**given: object) -> World:
    return World(operator(OperatorSettings()), job(**given))  # type: ignore[arg-type]


def running(**given: object) -> World:
    w = world(**given)
    w.settle()
    w.pods("Running")
    w.settle()
    return w


def env(pod: Obj, container: int = 0) -> dict[str, str]:
    return {e["name"]: e["value"] for e in pod["spec"]["containers"][container]["env"]}


def test_a_job_becomes_pods_and_headless_services():
    w = world(workers=2)
    w.settle()
    assert w.names(kinds.POD) == w.names(kinds.SERVICE) == ["ddp-master-0", "ddp-worker-0", "ddp-worker-1"]
    service = w.get(kinds.SERVICE, "ddp-worker-1")
    labels = {
        "training.kubeflow.org/job-name": "ddp",
        "training.kubeflow.org/operator-name": "pytorchjob-controller",
        "training.kubeflow.org/replica-type": "worker",
        "training.kubeflow.org/replica-index": "1",
    }
    assert service["spec"] == {
        "clusterIP": "None",
        "selector": labels,
        "ports": [{"name": "pytorchjob-port", "port": 23456}],
    }
    pod = w.get(kinds.POD, "ddp-worker-1")
    assert labels.items() <= pod["metadata"]["labels"].items()
    assert "training.kubeflow.org/job-role" not in pod["metadata"]["labels"]
    assert w.get(kinds.POD, "ddp-master-0")["metadata"]["labels"]["training.kubeflow.org/job-role"] == "master"
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["containers"][0]["ports"] == [{"name": "pytorchjob-port", "containerPort": 23456}]
    assert [c["name"] for c in pod["spec"]["initContainers"]] == ["init-pytorch"]
    assert "initContainers" not in w.get(kinds.POD, "ddp-master-0")["spec"]
    assert w.conditions() == [("Created", "True")]
    assert w.status["conditions"][0]["reason"] == "PyTorchJobCreated"
    assert w.told("SuccessfulCreatePod") == [f"Created pod: {n}" for n in w.names(kinds.POD)]


def test_a_job_runs_and_succeeds_when_its_master_does():
    w = running(workers=2)
    assert w.conditions() == [("Created", "True"), ("Running", "True")]
    selector = "training.kubeflow.org/job-name=ddp,training.kubeflow.org/operator-name=pytorchjob-controller"
    assert w.status["replicaStatuses"] == {
        "Master": {"active": 1, "selector": f"{selector},training.kubeflow.org/replica-type=master"},
        "Worker": {"active": 2, "selector": f"{selector},training.kubeflow.org/replica-type=worker"},
    }
    w.exit("ddp-worker-0", 0)
    w.settle()
    assert w.conditions()[-1] == ("Running", "True")
    w.wait(5)
    w.exit("ddp-master-0", 0)
    w.settle()
    assert w.conditions() == [("Created", "True"), ("Running", "False"), ("Succeeded", "True")]
    assert w.status["completionTime"] == "2026-01-01T00:00:05Z"
    assert {t: s.get("succeeded") for t, s in w.status["replicaStatuses"].items()} == {"Master": 1, "Worker": 2}
    assert len(w.of(kinds.POD)) == 3, "the default cleanPodPolicy keeps everything"


@pytest.mark.parametrize(("policy", "kept"), [("None", 3), ("Running", 2), ("All", 0)])
def test_clean_up_follows_the_policy(policy, kept):
    w = running(workers=2, runPolicy={"cleanPodPolicy": policy})
    w.exit("ddp-worker-0", 0)
    w.exit("ddp-master-0", 0)
    w.settle()
    assert len(w.of(kinds.POD)) == len(w.of(kinds.SERVICE)) == kept


def test_one_killed_worker_restarts_the_whole_gang_in_a_new_epoch():
    w = running(workers=2, annotations={"argosy.dev/checkpoint-dir": "/ckpt"})
    w.slow_deletes = True
    first = env(w.get(kinds.POD, "ddp-worker-0"))
    assert first["ARGOSY_RESTART_EPOCH"] == "0"
    assert (first["CHECKPOINT_DIR"], first["RESUME_FROM"]) == ("/ckpt", "latest")
    w.exit("ddp-worker-1", 137, signal=9)
    w.settle()
    assert all(p["metadata"].get("deletionTimestamp") for p in w.of(kinds.POD))
    assert w.conditions() == [("Created", "True"), ("Restarting", "True")]
    last = w.status["conditions"][-1]
    assert last["reason"] == "PyTorchJobRestarting"
    assert "pod ddp-worker-1 was killed by signal 9 (SIGKILL, exit code 137)" in last["message"]
    assert len(w.told("PyTorchJobRestarting")) == 1
    w.bury()
    w.settle()
    assert {env(p)["ARGOSY_RESTART_EPOCH"] for p in w.of(kinds.POD)} == {"1"}
    assert len(w.of(kinds.POD)) == len(w.of(kinds.SERVICE)) == 3
    w.pods("Running")
    w.settle()
    assert w.conditions() == [("Created", "True"), ("Running", "True")]
    w.exit("ddp-master-0", 0)
    w.settle()
    assert w.conditions()[-1] == ("Succeeded", "True")


@pytest.mark.parametrize("gone", ["deleting", "vanished"])
def test_a_pod_that_is_taken_away_restarts_the_gang(gone):
    w = running(workers=2)
    if gone == "deleting":
        w.change(kinds.POD, "ddp-worker-0", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
        w.step()
        w.bury()
    else:
        w.remove(kinds.POD, "ddp-worker-0")
    w.settle()
    assert {p["metadata"]["labels"]["argosy.dev/restart-epoch"] for p in w.of(kinds.POD)} == {"1"}
    assert "ddp-worker-0" in w.status["conditions"][-1]["message"]


def test_pods_that_could_not_be_made_yet_are_no_loss():
    w = world(workers=2)
    w.step()
    w.remove(kinds.POD, "ddp-worker-1")  # as if its creation had been refused
    w.pods("Running")
    w.settle()
    assert len(w.of(kinds.POD)) == 3
    assert {p["metadata"]["labels"]["argosy.dev/restart-epoch"] for p in w.of(kinds.POD)} == {"0"}


def test_the_first_failure_decides_not_the_echo():
    w = running(workers=1, policy="ExitCode")
    w.exit("ddp-master-0", 1, at=1, message="RuntimeError: Connection closed by peer")
    w.exit("ddp-worker-0", 137, signal=9)
    w.settle()
    assert "ddp-worker-0" in w.told("PyTorchJobRestarting")[0]


def test_a_program_error_under_exit_code_fails_at_once():
    w = running(workers=1, policy="ExitCode")
    w.exit("ddp-worker-0", 1, message="Traceback (most recent call last):\n  …\nValueError: no such data set\n")
    w.exit("ddp-master-0", 1, at=0, message="RuntimeError: Connection closed by peer")
    w.exit("ddp-master-0", 134, signal=6)
    w.settle()
    assert w.conditions() == [("Created", "True"), ("Running", "False"), ("Failed", "True")]
    message = w.status["conditions"][-1]["message"]
    assert message.startswith("PyTorchJob ddp is failed because 1 Worker replica(s) failed:")
    assert "ValueError: no such data set" in message
    assert len(w.of(kinds.POD)) == 2, "pods that ended stay, for their logs"


def test_a_permanent_failure_waits_a_moment_for_earlier_news():
    w = running(workers=1, policy="ExitCode")
    w.exit("ddp-master-0", 1)
    w.settle()
    assert w.conditions()[-1] == ("Running", "True")
    assert w.again == 2.0
    w.wait(2)
    w.settle()
    assert w.conditions()[-1] == ("Failed", "True")
    assert w.names(kinds.POD) == ["ddp-master-0"], "the survivor would hang for ever"


def test_never_means_never():
    w = running(policy="Never")
    w.exit("ddp-worker-0", 137, signal=9)
    w.settle()
    assert w.conditions()[-1] == ("Failed", "True")
    assert "restartPolicy Never" in w.status["conditions"][-1]["message"]


def test_the_backoff_limit_counts_restarts_of_the_gang():
    w = running(workers=1, runPolicy={"backoffLimit": 2})
    for epoch in range(3):
        w.exit("ddp-worker-0", 1)
        w.settle()
        if epoch < 2:
            w.wait(w.again or 0)
            w.settle()
            w.pods("Running")
            w.settle()
    assert w.conditions() == [("Created", "True"), ("Running", "False"), ("Failed", "True")]
    assert "has reached the specified backoff limit (2)" in w.status["conditions"][-1]["message"]


def test_repeated_failures_back_off_and_a_healthy_run_resets_that():
    w = running(workers=1)
    w.exit("ddp-worker-0", 1)
    w.settle()
    assert len(w.of(kinds.POD)) == 2, "the first restart is immediate"
    w.pods("Running")
    w.exit("ddp-worker-0", 1)
    w.settle()
    assert w.of(kinds.POD) == []
    assert w.again == 10
    assert "2026-01-01T00:00:10Z" in w.status["conditions"][-1]["message"]
    w.wait(10)
    w.settle()
    w.pods("Running")
    w.settle()
    w.wait(601)
    w.exit("ddp-worker-0", 1)
    w.settle()
    assert len(w.of(kinds.POD)) == 2


def test_suspend_takes_all_away_and_resume_brings_it_back():
    w = running(workers=1, runPolicy={"suspend": False})
    w.slow_deletes = True
    w.edit({"spec": {"runPolicy": {"suspend": True}}})
    w.settle()
    assert w.conditions() == [("Created", "True"), ("Running", "False"), ("Suspended", "True")]
    assert w.of(kinds.SERVICE) == []
    w.edit({"spec": {"runPolicy": {"suspend": False}}})
    w.settle()
    assert w.conditions()[-1] == ("Suspended", "False")
    assert w.status["conditions"][-1]["reason"] == "PyTorchJobResumed"
    assert all(p["metadata"].get("deletionTimestamp") for p in w.of(kinds.POD)), "old pods are in the way"
    w.bury()
    w.settle()
    w.pods("Running")
    w.settle()
    assert w.conditions()[-1] == ("Running", "True")
    assert {p["metadata"]["labels"]["argosy.dev/restart-epoch"] for p in w.of(kinds.POD)} == {"0"}


def test_a_job_may_start_suspended():
    w = world(runPolicy={"suspend": True})
    w.settle()
    assert w.conditions() == [("Created", "True"), ("Suspended", "True")]
    assert w.objects == {}


def test_deadline_and_time_to_live():
    w = running(runPolicy={"activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 30})
    assert w.again == 60
    w.wait(60)
    w.settle()
    assert "active longer than specified deadline" in w.status["conditions"][-1]["message"]
    assert w.again == 30
    w.wait(30)
    w.settle()
    assert w.subject is None


def test_a_job_of_another_manager_is_left_alone():
    w = world(runPolicy={"managedBy": "kueue.x-k8s.io/multikueue"})
    w.settle()
    assert w.objects == {}
    assert w.status == {}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"pytorchReplicaSpecs": {}}, "is empty"),
        ({"pytorchReplicaSpecs": {"Chief": {"template": template()}}}, "must be Master or Worker"),
        ({"pytorchReplicaSpecs": {"Master": {"replicas": 2, "template": template()}}}, "replicas must be 1"),
        ({"pytorchReplicaSpecs": {"Master": {"template": {"spec": {"containers": [{"name": "x", "image": "y"}]}}}}}, "named pytorch"),
        ({"pytorchReplicaSpecs": {"Master": {"restartPolicy": "Sometimes", "template": template()}}}, "'Sometimes'"),
        ({"pytorchReplicaSpecs": {"Worker": {"template": template()}}, "elasticPolicy": {"minReplicas": 3, "maxReplicas": 2}}, "over maxReplicas"),
        ({"pytorchReplicaSpecs": {"Master": {"template": template()}}, "elasticPolicy": {}}, "needs a Worker"),
        ({"pytorchReplicaSpecs": {"Worker": {"template": template()}}, "elasticPolicy": {"rdzvBackend": "zeus"}}, "'zeus' is none of"),
        ({"pytorchReplicaSpecs": {"Worker": {"template": template()}}, "nprocPerNode": "2", "elasticPolicy": {"nProcPerNode": 2}}, "say the same twice"),
        ({"pytorchReplicaSpecs": {"Master": {"template": template()}}, "nprocPerNode": "four"}, "'four' is neither a number"),
        ({"pytorchReplicaSpecs": {"Master": {"template": template()}}, "nprocPerNode": "0"}, "'0' is neither a number"),
        ({"pytorchReplicaSpecs": {"Master": {"template": {"spec": {"containers": [{"name": "pytorch"}]}}}}}, "pytorch has no image"),
        ({"pytorchReplicaSpecs": {"Master": {"template": template()}}, "runPolicy": {"cleanPodPolicy": "Some"}}, "'Some' is none of"),
    ],
)  # fmt: skip
def test_what_no_retry_mends_is_said_at_once(spec, says):
    subject = job()
    subject["spec"] = spec
    w = World(operator(OperatorSettings()), subject)
    w.settle()
    assert w.conditions()[-1] == ("Failed", "True")
    assert w.status["conditions"][-1]["reason"] == "PyTorchJobFailedValidation"
    assert says in w.status["conditions"][-1]["message"]
    assert says in w.told("PyTorchJobFailedValidation")[0]
    assert w.objects == {}


def test_workers_alone_succeed_together_and_elastic_ones_with_the_first():
    for elastic in (False, True):
        policy = {"minReplicas": 1, "maxReplicas": 3} if elastic else None
        w = running(master=False, workers=2, **({"elasticPolicy": policy} if policy else {}))
        assert w.get(kinds.POD, "ddp-worker-0")["metadata"]["labels"]["training.kubeflow.org/job-role"] == "master"
        w.exit("ddp-worker-1", 0)
        w.settle()
        assert w.conditions()[-1][0] == ("Succeeded" if elastic else "Running")


def test_elastic_jobs_scale_without_a_restart():
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]
    w = running(master=False, workers=2, elasticPolicy={"minReplicas": 1, "maxReplicas": 4, "metrics": metrics})
    hpa = w.get(kinds.HORIZONTAL_POD_AUTOSCALER, "ddp")
    assert hpa["spec"]["scaleTargetRef"] == {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "ddp"}
    w.edit({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 3}}}})
    w.settle()
    assert len(w.of(kinds.POD)) == 3
    w.edit({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 1}}}})
    w.settle()
    assert w.names(kinds.POD) == w.names(kinds.SERVICE) == ["ddp-worker-0"]
    assert {p["metadata"]["labels"]["argosy.dev/restart-epoch"] for p in w.of(kinds.POD)} == {"0"}
    w.exit("ddp-worker-0", 0)
    w.settle()
    assert w.of(kinds.HORIZONTAL_POD_AUTOSCALER) == []


def test_an_elastic_gang_starts_with_its_least_workers_and_restarts_as_a_whole():
    native = frozenset({"podgroups.v1alpha2.scheduling.k8s.io"})
    policy = {"minReplicas": 2, "maxReplicas": 4, "maxRestarts": 3}
    w = world(master=False, workers=3, elasticPolicy=policy)
    w.capabilities = Capabilities(native)
    w.settle()
    assert w.get(podgroup.NATIVE_ALPHA, "ddp")["spec"] == {"schedulingPolicy": {"gang": {"minCount": 2}}}
    w.pods("Running", "ddp-worker-0", "ddp-worker-1")
    w.settle()
    assert w.conditions()[-1] == ("Running", "True"), "the third may find no node"
    w.exit("ddp-worker-1", 137, signal=9)
    w.settle()
    assert {env(p)["ARGOSY_RESTART_EPOCH"] for p in w.of(kinds.POD)} == {"1"}


def test_another_number_of_workers_starts_a_static_gang_anew():
    w = running(workers=1)
    w.capabilities = Capabilities(frozenset({"podgroups.v1alpha2.scheduling.k8s.io"}))
    w.settle()
    w.slow_deletes = True
    w.edit({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 3}}}})
    w.settle()
    assert w.conditions()[-1] == ("Restarting", "True")
    assert "its number of pods is now 4" in w.status["conditions"][-1]["message"]
    assert len(w.of(kinds.POD)) == 2
    w.bury()
    w.settle()
    assert {env(pod)["WORLD_SIZE"] for pod in w.of(kinds.POD)} == {"4"}
    assert {env(pod)["ARGOSY_RESTART_EPOCH"] for pod in w.of(kinds.POD)} == {"0"}, "nothing has failed"
    assert w.get(podgroup.NATIVE_ALPHA, "ddp")["spec"] == {"schedulingPolicy": {"gang": {"minCount": 4}}}
    w.pods("Running")
    w.settle()
    assert w.conditions() == [("Created", "True"), ("Running", "True")]
    assert len(w.told("PyTorchJobRestarting")) == 1
    w.edit({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 0}}}})
    w.settle()
    w.bury()
    w.settle()
    assert w.names(kinds.POD) == w.names(kinds.SERVICE) == ["ddp-master-0"]


def test_the_autoscaler_follows_the_policy():
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]
    w = running(master=False, workers=2, elasticPolicy={"minReplicas": 1, "maxReplicas": 4, "metrics": metrics})
    w.edit({"spec": {"elasticPolicy": {"maxReplicas": 8}}})
    w.settle()
    assert w.get(kinds.HORIZONTAL_POD_AUTOSCALER, "ddp")["spec"]["maxReplicas"] == 8


def test_upstreams_scope_replaces_only_the_pod_that_failed():
    w = running(workers=2, policy="ExitCode", annotations={"argosy.dev/restart-scope": "pod"})
    master = w.get(kinds.POD, "ddp-master-0")["metadata"]["uid"]
    w.exit("ddp-worker-1", 143)
    w.settle()
    assert w.get(kinds.POD, "ddp-master-0")["metadata"]["uid"] == master
    assert len(w.of(kinds.POD)) == 3
    assert w.told("PyTorchJobRestarting")
    w.exit("ddp-worker-0", 2)
    w.settle()
    assert w.conditions()[-1] == ("Failed", "True")
    on_failure = running(annotations={"argosy.dev/restart-scope": "pod"})
    assert on_failure.get(kinds.POD, "ddp-worker-0")["spec"]["restartPolicy"] == "OnFailure"


def test_a_gang_is_announced_as_the_cluster_wants_it():
    plain = world(workers=1)
    plain.settle()
    assert "schedulingGroup" not in plain.get(kinds.POD, "ddp-worker-0")["spec"]
    w = world(workers=1)
    w.capabilities = Capabilities(
        frozenset({"podgroups.v1alpha2.scheduling.k8s.io", "podgroups.v1alpha1.scheduling.x-k8s.io"})
    )
    w.settle()
    group = w.get(podgroup.NATIVE_ALPHA, "ddp")
    assert group["spec"] == {"schedulingPolicy": {"gang": {"minCount": 2}}}
    assert w.get(kinds.POD, "ddp-worker-0")["spec"]["schedulingGroup"] == {"podGroupName": "ddp"}
    w.pods("Running")
    w.exit("ddp-master-0", 0)
    w.settle()
    assert w.of(podgroup.NATIVE_ALPHA) == []
    c = world(workers=1)
    c.capabilities = Capabilities(frozenset({"podgroups.v1alpha1.scheduling.x-k8s.io"}))
    c.settle()
    assert c.get(kinds.POD, "ddp-worker-0")["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] == "ddp"
