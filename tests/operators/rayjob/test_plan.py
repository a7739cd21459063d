"""The RayJob operator over its whole life, in a small world that carries its plans out."""

from __future__ import annotations

import pytest
from operator_world import World

from argosy import kinds
from argosy.clock import rfc3339
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.rayjob.operator import operator
from argosy.operators.rayjob.schema import RAY_JOB
from argosy.operators.settings import OperatorSettings


def job(meta: Obj | None = None, **spec: object) -> Obj:
    container = {"name": "ray-head", "image": "rayproject/ray:2.52.0"}
    worker = {"groupName": "w", "template": {"spec": {"containers": [container]}}}
    cluster = {"headGroupSpec": {"template": {"spec": {"containers": [container]}}}, "workerGroupSpecs": [worker]}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "demo", **(meta or {})},
        "spec": {"entrypoint": "python main.py", "rayClusterSpec": cluster, **spec},
    }


def world(**spec: object) -> World:
    w = World(operator(OperatorSettings()), job(**spec))  # type: ignore[arg-type]
    w.settle()
    return w


def own_cluster(w: World) -> str:
    return str(w.status["rayClusterName"])


def started(**spec: object) -> World:
    """A job whose cluster is ready."""
    w = world(**spec)
    w.change(RAY_CLUSTER, own_cluster(w), {"status": {"state": "ready"}})
    w.settle()
    return w


def says(w: World, status: str, **more: object) -> None:
    """Ray's dashboard has something new to say."""
    w.probed = {"job": {"status": status, "message": f"it is {status}", "start_time": 1767225600000, **more}}
    w.settle()


def submitter_ends(w: World, type: str = "Complete") -> None:
    condition = {
        "type": type, "status": "True", "reason": "Why", "message": "words", "lastTransitionTime": rfc3339(w.now),
    }  # fmt: skip
    w.change(kinds.JOB, "demo", {"status": {"conditions": [condition]}})
    w.settle()


def state(w: World) -> tuple[str, str]:
    return w.status.get("jobDeploymentStatus", ""), w.status.get("jobStatus", "")


def test_names_come_first_then_the_cluster():
    w = World(operator(OperatorSettings()), job(meta={"labels": {"team": "a"}}))
    w.step()
    assert w.objects == {}
    assert state(w) == ("Initializing", "")
    assert w.status["jobId"].startswith("demo-")
    assert w.status["startTime"] == rfc3339(w.now)
    w.settle()
    cluster = w.get(RAY_CLUSTER, own_cluster(w))
    assert cluster["metadata"]["labels"] == {
        "team": "a",
        "ray.io/originated-from-cr-name": "demo",
        "ray.io/originated-from-crd": "RayJob",
        "ray.io/job-submission-mode": "K8sJobMode",
    }
    assert state(w) == ("Initializing", "")


def test_a_job_submits_and_succeeds():
    w = started(runtimeEnvYAML="env_vars: {A: b}", metadata={"k": "v"}, entrypointNumCpus=2)
    assert state(w) == ("Running", "")
    address = f"{own_cluster(w)}-head-svc.default.svc.cluster.local:8265"
    assert w.status["dashboardURL"] == address
    submitter = w.get(kinds.JOB, "demo")
    assert submitter["spec"]["backoffLimit"] == 2
    (container,) = submitter["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "ray-job-submitter"
    assert container["image"] == "rayproject/ray:2.52.0"
    assert container["command"] == ["/bin/bash", "-ce", "--"]
    job_id = w.status["jobId"]
    command = container["args"][0]
    assert f"if ! ray job status --address http://{address} {job_id} >/dev/null 2>&1 ; then" in command
    assert (
        f"ray job submit --address http://{address} --no-wait "
        r'--runtime-env-json "{\"env_vars\":{\"A\":\"b\"}}" --metadata-json "{\"k\":\"v\"}" '
        f"--submission-id {job_id} --entrypoint-num-cpus 2.000000 -- python main.py ; fi ;"
    ) in command
    assert command.endswith(f"ray job logs --address http://{address} --follow {job_id}")
    assert {e["name"]: e["value"] for e in container["env"]} == {
        "PYTHONUNBUFFERED": "1", "RAY_DASHBOARD_ADDRESS": address, "RAY_JOB_SUBMISSION_ID": job_id,
    }  # fmt: skip
    assert w.get(kinds.SERVICE, "demo-head-svc")["spec"]["selector"]["ray.io/cluster"] == own_cluster(w)
    says(w, "RUNNING")
    assert state(w) == ("Running", "RUNNING")
    assert w.status["rayJobInfo"] == {"startTime": "2026-01-01T00:00:00Z"}
    says(w, "SUCCEEDED", end_time=1767225700000)
    assert state(w) == ("Running", "SUCCEEDED"), "its log is still being followed"
    submitter_ends(w)
    assert state(w) == ("Complete", "SUCCEEDED")
    assert (w.status["succeeded"], w.status["failed"]) == (1, 0)
    assert w.status["endTime"] == rfc3339(w.now)
    assert w.names(RAY_CLUSTER), "nobody asked to shut it down"


def test_a_program_that_fails_is_told_with_its_own_words():
    w = started()
    says(w, "FAILED", end_time=1767225700000)
    submitter_ends(w)
    assert state(w) == ("Failed", "FAILED")
    assert (w.status["reason"], w.status["message"], w.status["failed"]) == ("AppFailed", "it is FAILED", 1)
    assert w.told("RayJobFailed") == ["RayJob demo failed: AppFailed: it is FAILED"]


def test_a_submitter_that_gives_up():
    w = started()
    w.probed = {"missing": True}
    submitter_ends(w, "Failed")
    assert state(w)[0] == "Failed"
    assert w.status["reason"] == "SubmissionFailed"
    assert "Reason: Why. Message: words" in w.status["message"]


def test_by_request():
    w = started(submissionMode="HTTPMode", runtimeEnvYAML="pip: [x]", entrypointResources='{"A": 1}')
    assert w.names(kinds.JOB) == []
    assert w.calls == []
    w.probed = {"missing": True}
    w.settle()
    (call,) = w.calls
    name = f"{own_cluster(w)}-head-svc:8265"
    assert (call.kind, call.key, call.method, call.path) == (kinds.SERVICE, ("default", name), "POST", "api/jobs/")
    assert call.body == {
        "entrypoint": "python main.py", "submission_id": w.status["jobId"], "runtime_env": {"pip": ["x"]},
        "entrypoint_resources": {"A": 1},
    }  # fmt: skip
    says(w, "SUCCEEDED")
    assert state(w) == ("Complete", "SUCCEEDED")


def test_beside_the_head():
    w = world(submissionMode="SidecarMode")
    cluster = w.get(RAY_CLUSTER, own_cluster(w))
    assert cluster["metadata"]["annotations"]["ray.io/disable-provisioned-head-restart"] == "true"
    spec = cluster["spec"]["headGroupSpec"]["template"]["spec"]
    assert spec["restartPolicy"] == "Never"
    sidecar = spec["containers"][1]
    assert sidecar["name"] == "ray-job-submitter"
    assert "ray job submit --address http://127.0.0.1:8265 --submission-id" in sidecar["args"][0]
    assert "ray job logs" not in sidecar["args"][0]
    w.change(RAY_CLUSTER, own_cluster(w), {"status": {"state": "ready"}})
    head = {"name": "h", "namespace": "default", "uid": "h"}
    labels = {"ray.io/cluster": own_cluster(w), "ray.io/node-type": "head"}

    w.objects[kinds.POD, Key("default", "h")] = {"metadata": {**head, "labels": labels}, "status": {}}
    w.settle()
    says(w, "SUCCEEDED")
    assert state(w) == ("Running", "SUCCEEDED")
    w.exit("h", 0, container="ray-job-submitter")
    w.settle()
    assert state(w) == ("Complete", "SUCCEEDED")


def test_with_a_lost_head_a_sidecar_job_is_lost():
    w = started(submissionMode="SidecarMode")
    assert state(w)[0] == "Failed"
    assert (w.status["reason"], w.status["message"]) == ("AppFailed", "Ray head pod not found.")


def test_interactively_somebody_else_submits():
    w = started(submissionMode="InteractiveMode", entrypoint="")
    assert state(w)[0] == "Waiting"
    assert "jobId" not in w.status
    w.edit({"spec": {"jobId": "mine"}})
    w.settle()
    assert (state(w)[0], w.status["jobId"]) == ("Running", "mine")
    says(w, "SUCCEEDED")
    assert state(w)[0] == "Complete"


def test_as_a_guest_on_a_cluster():
    given = job(clusterSelector={"ray.io/cluster": "theirs"})
    del given["spec"]["rayClusterSpec"]
    w = World(operator(OperatorSettings()), given)
    w.settle()
    assert w.told("RayClusterNotFound")
    assert w.objects == {}

    head = {"template": {"spec": {"containers": [{"name": "h", "image": "i"}]}}}
    w.objects[RAY_CLUSTER, Key("default", "theirs")] = {
        "metadata": {"name": "theirs", "namespace": "default", "uid": "t"},
        "spec": {"headGroupSpec": head},
        "status": {"state": "ready"},
    }
    w.settle()
    assert state(w)[0] == "Running"
    assert w.names(kinds.SERVICE) == []
    assert w.names(kinds.JOB) == ["demo"]
    assert w.subject is not None
    w.edit({"metadata": {"deletionTimestamp": rfc3339(w.now)}})
    w.settle()
    assert [(call.method, call.path) for call in w.calls] == [("POST", f"api/jobs/{w.status['jobId']}/stop")]
    assert w.subject["metadata"]["finalizers"] == []
    assert w.names(RAY_CLUSTER) == ["theirs"]


def test_it_is_shut_down_when_its_time_has_come():
    w = started(shutdownAfterJobFinishes=True, ttlSecondsAfterFinished=60, submissionMode="HTTPMode")
    says(w, "SUCCEEDED")
    assert w.names(RAY_CLUSTER)
    assert w.again == 60
    w.wait(61)
    w.settle()
    assert w.names(RAY_CLUSTER) == []
    assert state(w) == ("Complete", "SUCCEEDED")


def test_rules_delete_workers_then_the_cluster_then_the_job():
    def rule(policy: str, seconds: int) -> Obj:
        return {"policy": policy, "condition": {"jobStatus": "SUCCEEDED", "ttlSeconds": seconds}}

    rules = [rule("DeleteSelf", 30), rule("DeleteWorkers", 0), rule("DeleteCluster", 10)]
    w = started(deletionStrategy={"deletionRules": rules}, submissionMode="HTTPMode")
    says(w, "SUCCEEDED")
    (group,) = w.get(RAY_CLUSTER, own_cluster(w))["spec"]["workerGroupSpecs"]
    assert group["suspend"] is True
    w.wait(10)
    w.settle()
    assert w.names(RAY_CLUSTER) == []
    w.wait(20)
    w.settle()
    assert w.subject is None


def test_the_older_policies():
    strategy = {"onSuccess": {"policy": "DeleteNone"}, "onFailure": {"policy": "DeleteCluster"}}
    w = started(deletionStrategy=strategy, submissionMode="HTTPMode")
    says(w, "FAILED")
    assert w.names(RAY_CLUSTER) == []


def test_a_failed_attempt_is_tried_again_on_a_new_cluster():
    w = started(backoffLimit=1, submissionMode="HTTPMode")
    first, first_id = own_cluster(w), w.status["jobId"]
    w.wait(10)
    w.probed = {"job": {"status": "FAILED", "message": "no"}}
    w.step()
    assert state(w) == ("Retrying", "FAILED")
    assert w.status["failed"] == 1
    w.probed = None
    w.settle()
    assert w.names(RAY_CLUSTER) == [own_cluster(w)] != [first]
    assert w.status["jobId"] != first_id
    w.change(RAY_CLUSTER, own_cluster(w), {"status": {"state": "ready"}})
    w.settle()
    assert w.get(kinds.SERVICE, "demo-head-svc")["spec"]["selector"]["ray.io/cluster"] == own_cluster(w)
    says(w, "FAILED")
    assert state(w)[0] == "Failed"
    assert w.status["failed"] == 2


def test_suspend_and_resume():
    w = started(shutdownAfterJobFinishes=True)
    w.edit({"spec": {"suspend": True}})
    w.settle()
    assert state(w)[0] == "Suspended"
    assert w.names(RAY_CLUSTER) == w.names(kinds.JOB) == []
    w.edit({"spec": {"suspend": False}})
    w.settle()
    assert state(w)[0] == "Initializing"
    assert w.names(RAY_CLUSTER)


@pytest.mark.parametrize(
    ("field", "reason"),
    [("activeDeadlineSeconds", "DeadlineExceeded"), ("preRunningDeadlineSeconds", "PreRunningDeadlineExceeded")],
)
def test_deadlines(field, reason):
    w = world(**{field: 30, "backoffLimit": 0})
    assert w.again == 30
    w.wait(31)
    w.settle()
    assert state(w)[0] == "Failed"
    assert w.status["reason"] == reason
    assert field in w.status["message"]


def test_lasting_silence_of_the_dashboard_fails_the_job():
    w = started(submissionMode="HTTPMode")
    w.probed = {"error": "no answer"}
    w.settle()
    assert state(w)[0] == "Running"
    w.wait(200)
    says(w, "RUNNING")
    assert "jobStatusCheckFailureStartTime" not in w.status
    w.probed = {"error": "no answer"}
    w.settle()
    w.wait(301)
    w.settle()
    assert w.status["reason"] == "JobStatusCheckTimeoutExceeded"


def test_a_submitter_that_ends_before_the_program():
    w = started()
    says(w, "RUNNING")
    submitter_ends(w)
    assert state(w) == ("Running", "RUNNING")
    w.wait(31)
    w.settle()
    assert state(w) == ("Failed", "FAILED")
    assert w.status["reason"] == "JobDeploymentStatusTransitionGracePeriodExceeded"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"rayClusterSpec": None}, "one of RayClusterSpec or ClusterSelector must be set"),
        ({"clusterSelector": {"x": "y"}}, "cluster name in ClusterSelector should not be empty"),
        ({"submissionMode": "Sideways"}, "submissionMode Sideways is none of"),
        ({"entrypoint": " "}, "entrypoint is empty"),
        ({"suspend": True}, "shutdownAfterJobFinishes set to false is not allowed to be suspended"),
        ({"ttlSecondsAfterFinished": 5}, "cannot have TTLSecondsAfterFinished"),
        ({"runtimeEnvYAML": "a: ["}, "runtimeEnvYAML is not valid YAML"),
        ({"runtimeEnvYAML": "just words"}, "runtimeEnvYAML should be a YAML mapping"),
        ({"entrypointResources": "{"}, "entrypointResources should be a JSON object"),
        ({"activeDeadlineSeconds": 0}, "activeDeadlineSeconds must be a positive integer"),
        ({"backoffLimit": 1, "submissionMode": "InteractiveMode"}, "BackoffLimit is incompatible"),
        ({"submissionMode": "SidecarMode", "submitterConfig": {}}, "SidecarMode doesn't support SubmitterConfig"),
        ({"deletionStrategy": {}}, "DeletionStrategy requires either BOTH"),
    ],
)
def test_what_cannot_be_run_is_told_once(spec, said):
    w = world(**spec)
    assert w.objects == {}
    assert state(w)[0] == "ValidationFailed"
    assert w.status["reason"] == "ValidationFailed"
    assert said in w.status["message"]
    assert w.reasons[0].warning
    assert w.reasons[0].code == "InvalidRayJobSpec"


def test_a_mended_spec_runs():
    w = world(entrypoint="")
    w.edit({"spec": {"entrypoint": "true"}})
    w.settle()
    assert state(w)[0] == "Initializing"


def test_the_kind_is_kuberays():
    assert (RAY_JOB.api_version, RAY_JOB.plural) == ("ray.io/v1", "rayjobs")
