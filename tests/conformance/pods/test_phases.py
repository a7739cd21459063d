"""Phases, conditions and container states, as the documentation of the pod's life tells them."""

from __future__ import annotations

import pytest

from argosy.meta.conditions import is_true
from conformance.manifests import pod_spec, shell, sleeper

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
    assert not is_true(pod, "Ready")
    assert is_true(pod, "PodScheduled")
    assert is_true(pod, "Initialized")


async def test_a_running_pod_has_an_address_and_its_conditions(namespace):
    await namespace.pod("up", pod_spec(sleeper()))
    pod = await namespace.ready("up")
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"] in [each["ip"] for each in pod["status"]["podIPs"]]
    assert pod["status"]["hostIP"]
    assert "running" in pod["status"]["containerStatuses"][0]["state"]
    assert pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    for condition in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        assert is_true(pod, condition), condition
