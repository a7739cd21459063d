"""What is added to a pod that runs already: ephemeral containers, and conditions that somebody else sets."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.client.requests import STRATEGIC_PATCH
from argosy.meta.conditions import find, is_true
from conformance.cluster import refused
from conformance.manifests import container_of, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")


async def test_an_ephemeral_container_joins_a_running_pod_and_is_never_restarted(namespace):
    await namespace.pod("host", pod_spec(sleeper()))
    await namespace.ready("host")
    added = shell("echo here in $(hostname); exit 5", "debugger")
    patch = {"spec": {"ephemeralContainers": [added]}}
    key = namespace.key("host")
    await namespace.client.patch(kinds.POD, key, patch, subresource="ephemeralcontainers", content_type=STRATEGIC_PATCH)
    pod = await namespace.until(kinds.POD, "host", lambda pod: "terminated" in container_of(pod, "debugger")["state"])
    assert container_of(pod, "debugger")["state"]["terminated"]["exitCode"] == 5
    assert container_of(pod, "debugger")["restartCount"] == 0
    assert await namespace.log("host", "debugger") == f"here in {await namespace.says('host', 'hostname')}"
    assert is_true(pod, "Ready"), "it has no part in the pod's readiness"


@pytest.mark.needs("controllers", only=True)
async def test_ephemeral_containers_are_not_part_of_an_ordinary_change(namespace):
    await namespace.pod("host", pod_spec(sleeper()))
    change = namespace.patch(kinds.POD, "host", {"spec": {"ephemeralContainers": [shell("true", "debugger")]}})
    assert (await refused(change)).code == 422


async def test_a_pod_with_readiness_gates_waits_for_them(namespace):
    gate = "example.com/open"
    await namespace.pod("gated", pod_spec(sleeper(), readinessGates=[{"conditionType": gate}]))
    pod = await namespace.until(kinds.POD, "gated", lambda pod: is_true(pod, "ContainersReady"))
    pod = await namespace.until(kinds.POD, "gated", lambda pod: find(pod, "Ready"))
    assert (find(pod, "Ready")["status"], find(pod, "Ready")["reason"]) == ("False", "ReadinessGatesNotReady")
    for status in ("True", "False"):
        condition = {"type": gate, "status": status}
        patch = {"status": {"conditions": [condition]}}
        await namespace.client.patch(
            kinds.POD, namespace.key("gated"), patch, subresource="status", content_type=STRATEGIC_PATCH
        )
        await namespace.until(
            kinds.POD, "gated", lambda pod, wanted=status: is_true(pod, "Ready") is (wanted == "True")
        )


async def test_a_pod_with_scheduling_gates_is_not_scheduled_until_they_are_gone(namespace):
    await namespace.pod("gated", pod_spec(sleeper(), schedulingGates=[{"name": "example.com/wait"}]))
    pod = await namespace.until(kinds.POD, "gated", lambda pod: find(pod, "PodScheduled"))
    assert find(pod, "PodScheduled")["reason"] == "SchedulingGated"
    await namespace.patch(kinds.POD, "gated", {"spec": {"schedulingGates": []}})
    await namespace.ready("gated")
