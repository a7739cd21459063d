"""Phases, conditions and container states, as the documentation of the pod's life tells them."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.conditions import find, is_true
from argosy.meta.json import dig
from conformance.manifests import container_of, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")


async def test_a_pod_whose_containers_end_well_has_succeeded(namespace):
    await namespace.pod("done", pod_spec(shell("echo bye"), shell("exit 0", "other"), restartPolicy="Never"))
    pod = await namespace.ended("done")
    assert pod["status"]["phase"] == "Succeeded"
    for status in pod["status"]["containerStatuses"]:
        ended = status["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
        assert ended["startedAt"] <= ended["finishedAt"]
        assert (status["ready"], status["started"], status["restartCount"]) == (False, False, 0)
    for condition in ("Ready", "ContainersReady"):
        found = find(pod, condition)
        assert (found["status"], found["reason"]) == ("False", "PodCompleted")
    assert is_true(pod, "PodScheduled")
    assert is_true(pod, "Initialized")


async def test_a_pod_one_of_whose_containers_fails_has_failed_once_all_have_ended(namespace):
    scripts = shell("exit 3", "bad"), shell("sleep 1; exit 0", "good")
    await namespace.pod("failed", pod_spec(*scripts, restartPolicy="Never"))
    pod = await namespace.ended("failed")
    assert pod["status"]["phase"] == "Failed"
    endings = {name: container_of(pod, name)["state"]["terminated"] for name in ("bad", "good")}
    assert (endings["bad"]["exitCode"], endings["bad"]["reason"]) == (3, "Error")
    assert (endings["good"]["exitCode"], endings["good"]["reason"]) == (0, "Completed")
    assert find(pod, "Ready")["reason"] == "PodFailed"


async def test_a_running_pod_has_an_address_and_its_conditions(namespace):
    await namespace.pod("up", pod_spec(sleeper()))
    pod = await namespace.ready("up")
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"] in [each["ip"] for each in pod["status"]["podIPs"]]
    assert pod["status"]["hostIP"]
    assert pod["status"]["startTime"]
    status = container_of(pod)
    assert "running" in status["state"]
    assert status["started"] is True
    assert status["containerID"].partition("://")[2]
    assert status["imageID"]
    for condition in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        assert is_true(pod, condition), condition


@pytest.mark.needs("controllers", only=True)
async def test_a_pod_that_no_node_can_take_is_pending_and_says_why(namespace):
    await namespace.pod("nowhere", pod_spec(sleeper(), nodeSelector={"argosy-conformance/no-such": "node"}))
    pod = await namespace.until(kinds.POD, "nowhere", lambda pod: find(pod, "PodScheduled"))
    assert pod["status"]["phase"] == "Pending"
    assert (find(pod, "PodScheduled")["status"], find(pod, "PodScheduled")["reason"]) == ("False", "Unschedulable")
    message = find(pod, "PodScheduled")["message"]
    assert "nodes are available" in message or "no nodes available" in message, "where there is no node at all"
    assert not dig(pod, "spec", "nodeName")
    assert (await namespace.event("nowhere", "FailedScheduling"))["type"] == "Warning"


async def test_unready_containers_are_named(namespace):
    never = sleeper("slow", readinessProbe={"exec": {"command": ["false"]}, "periodSeconds": 1})
    await namespace.pod("half", pod_spec(sleeper("quick"), never))
    pod = await namespace.until(kinds.POD, "half", lambda pod: pod["status"].get("phase") == "Running")
    for condition in ("Ready", "ContainersReady"):
        found = find(pod, condition)
        assert (found["status"], found["reason"]) == ("False", "ContainersNotReady")
    pod = await namespace.until(kinds.POD, "half", lambda pod: container_of(pod, "quick")["ready"])
    assert find(pod, "Ready")["message"] == "containers with unready status: [slow]"


async def test_a_pod_that_is_deleted_is_gone_only_when_its_containers_have_ended(namespace):
    script = "trap 'sleep 1; exit 7' TERM; while true; do sleep 0.1; done"
    await namespace.pod("slow", pod_spec(shell(script), terminationGracePeriodSeconds=30))
    await namespace.ready("slow")
    await namespace.remove(kinds.POD, "slow")
    states = []

    def gone(found):
        states.extend(found.values())
        return not found

    await namespace.observe(kinds.POD, gone)
    assert any(pod["metadata"].get("deletionGracePeriodSeconds") == 30 for pod in states)
    ended = [container_of(pod)["state"]["terminated"] for pod in states if "terminated" in container_of(pod)["state"]]
    assert ended, "it was gone before its container was reported as ended"
    assert ended[-1]["exitCode"] == 7


async def test_an_image_that_cannot_be_had_is_told(namespace):
    absent = {**sleeper(), "image": "registry.k8s.io/argosy-conformance/no-such-image:0", "imagePullPolicy": "Never"}
    wrong = {**sleeper(), "image": "UPPER:case:twice"}
    await namespace.pod("absent", pod_spec(absent))
    await namespace.pod("wrong", pod_spec(wrong))

    def waiting(*reasons):
        return lambda pod: dig(container_of(pod), "state", "waiting", "reason") in reasons

    pod = await namespace.until(kinds.POD, "absent", waiting("ErrImageNeverPull"))
    assert pod["status"]["phase"] == "Pending"
    await namespace.until(kinds.POD, "wrong", waiting("InvalidImageName"))


async def test_an_image_that_no_registry_has_is_backed_off_from(namespace):
    await namespace.pod("pulls", pod_spec({**sleeper(), "image": "registry.k8s.io/argosy-conformance/no-such-image:0"}))
    seen = set()

    def backs_off(pod):
        seen.add(dig(container_of(pod), "state", "waiting", "reason"))
        return "ImagePullBackOff" in seen

    await namespace.until(kinds.POD, "pulls", backs_off)
    assert seen <= {None, "ContainerCreating", "ErrImagePull", "ImagePullBackOff"}
    assert (await namespace.event("pulls", "Failed"))["type"] == "Warning"
