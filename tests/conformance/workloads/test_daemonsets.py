"""DaemonSets: a pod on every node that is meant, new nodes' labels and taints included."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.conditions import is_true
from argosy.meta.json import dig
from argosy.meta.objects import controller_of, pod_is_ready
from conformance.manifests import pod_spec, sleeper, workload

pytestmark = pytest.mark.needs("pods")


async def _nodes(namespace):
    return [
        node for node in await namespace.list(kinds.NODE) if is_true(node, "Ready") and not dig(node, "spec", "taints")
    ]


async def test_there_is_a_pod_on_every_node(namespace):
    nodes = {node["metadata"]["name"] for node in await _nodes(namespace)}
    await namespace.create(kinds.DAEMON_SET, workload("agent", pod_spec(sleeper())))

    def everywhere(pods):
        return nodes <= {pod["spec"].get("nodeName") for pod in pods.values() if pod_is_ready(pod)}

    await namespace.observe(kinds.POD, everywhere)

    def counted(found):
        status = found["status"]
        return status.get("numberReady") == status.get("desiredNumberScheduled") and status[
            "desiredNumberScheduled"
        ] >= len(nodes)

    await namespace.until(kinds.DAEMON_SET, "agent", counted)
    for pod in await namespace.list(kinds.POD):
        assert controller_of(pod)["kind"] == "DaemonSet"
        tolerated = {each["key"] for each in pod["spec"]["tolerations"]}
        assert {
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
            "node.kubernetes.io/unschedulable",
        } <= tolerated


async def test_it_follows_the_labels_of_nodes(namespace):
    node = (await _nodes(namespace))[0]["metadata"]["name"]
    label = f"{namespace.name}/agent"
    spec = pod_spec(sleeper(), nodeSelector={label: "yes"})
    await namespace.create(kinds.DAEMON_SET, workload("agent", spec))

    def idle(found):
        status = found.get("status") or {}
        return status.get("observedGeneration") and status.get("desiredNumberScheduled") == 0

    await namespace.until(kinds.DAEMON_SET, "agent", idle)
    try:
        await namespace.patch(kinds.NODE, node, {"metadata": {"labels": {label: "yes"}}})
        await namespace.observe(kinds.POD, lambda pods: [p for p in pods.values() if p["spec"].get("nodeName") == node])
    finally:
        await namespace.patch(kinds.NODE, node, {"metadata": {"labels": {label: None}}})
    await namespace.observe(kinds.POD, lambda pods: not pods)


async def test_an_update_replaces_pods_node_by_node(namespace):
    await namespace.create(kinds.DAEMON_SET, workload("agent", pod_spec(sleeper())))

    def updated(found):
        status = found.get("status") or {}
        wanted = status.get("desiredNumberScheduled")
        return (
            wanted and status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("updatedNumberScheduled") == status.get("numberAvailable") == wanted
        )  # fmt: skip

    await namespace.until(kinds.DAEMON_SET, "agent", updated)
    env = [{"name": "V", "value": "2"}]
    await namespace.patch(
        kinds.DAEMON_SET, "agent", {"spec": {"template": {"spec": {"containers": [sleeper(env=env)]}}}}
    )
    await namespace.until(kinds.DAEMON_SET, "agent", updated)
    staying = [pod for pod in await namespace.list(kinds.POD) if "deletionTimestamp" not in pod["metadata"]]
    assert staying
    assert all(pod["spec"]["containers"][0].get("env") for pod in staying)
