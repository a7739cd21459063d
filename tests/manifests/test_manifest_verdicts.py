"""What the objects say about a manifest's fate."""

from __future__ import annotations

from manifest_verdicts import ends_by_itself, lack, moved, pod_stand, stand

META = {"name": "x", "generation": 1}


def pod(**status: object) -> dict:
    containers = [{"name": "c", "image": "nobody/knows"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": META, "spec": {"containers": containers}, "status": status}


def test_ends():
    scaled = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": META, "spec": {"replicas": 2}}
    assert not stand(scaled).ended
    assert stand({**scaled, "status": {"readyReplicas": 2, "observedGeneration": 1}}).ended
    ready = {"type": "Ready", "status": "True"}
    assert pod_stand(pod(phase="Running", conditions=[ready])).ended
    assert pod_stand(pod(phase="Failed")).final
    assert stand({"kind": "ConfigMap", "apiVersion": "v1", "metadata": META}).ended


def test_a_job_may_fail_only_as_its_own_policy_asks():
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "m"}]}
    job = {"kind": "Job", "apiVersion": "batch/v1", "metadata": META, "spec": {}, "status": failed}
    assert not stand(job).ended
    assert stand(job).final
    assert stand({**job, "spec": {"podFailurePolicy": {}}}).ended


def test_a_job_that_runs_has_not_come_to_its_end():
    def at(kind: str, type: str) -> dict:
        return {"kind": kind, "metadata": META, "status": {"conditions": [{"type": type, "status": "True"}]}}

    assert not stand(at("MPIJob", "Running")).ended
    assert stand(at("MPIJob", "Succeeded")).ended
    assert stand(at("TrainJob", "Failed")).final
    assert not stand(at("InferenceService", "PredictorReady")).ended
    assert stand(at("InferenceService", "Ready")).ended
    ray = {"kind": "RayJob", "metadata": META, "status": {"jobDeploymentStatus": "Running"}}
    assert not stand(ray).ended
    assert stand({**ray, "status": {"jobDeploymentStatus": "Complete"}}).ended


def test_what_is_lacking():
    waiting = {"name": "c", "image": "nobody/knows", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    assert lack([pod(containerStatuses=[waiting])], []) == "the image nobody/knows"
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/1: 1 Insufficient nvidia.com/gpu. preemption: no",
    }
    assert lack([pod(conditions=[condition])], []) == "more nvidia.com/gpu"
    claim = {"spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"}}
    assert lack([], [claim]) == "the StorageClass fast"
    assert lack([pod(phase="Running")], []) == ""


def test_a_shell_without_work_ends_anywhere():
    ended = {"name": "c", "state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 0}}}
    assert ends_by_itself(pod(containerStatuses=[ended]))
    assert not ends_by_itself(pod(initContainerStatuses=[ended]))
    ended["lastState"]["terminated"]["exitCode"] = 1
    assert not ends_by_itself(pod(containerStatuses=[ended]))


def test_namespaces_are_moved_wherever_they_are_named():
    binding = {"kind": "RoleBinding", "metadata": {"name": "b", "namespace": "a"}, "subjects": [{"namespace": "a"}]}
    there = moved(binding, {"a": "z"})
    assert (there["metadata"]["namespace"], there["subjects"][0]["namespace"]) == ("z", "z")
    assert (
        moved({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "a"}}, {"a": "z"})["metadata"]["name"]
        == "z"
    )
