"""Budgets, eviction, taints, priority and preemption, affinity and spreading, cordon and drain."""

from __future__ import annotations

import asyncio

import pytest

from argosy import kinds
from argosy.errors import Conflict, Forbidden
from argosy.meta.conditions import find, is_true
from argosy.meta.json import dig
from argosy.meta.objects import is_deleting, namespace_of, pod_is_ready
from conformance.cluster import refused
from conformance.manifests import pause, pod_spec, sleeper, workload

pytestmark = pytest.mark.needs("pods")


async def _evict(namespace, name, **options):
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace.name}}
    return await namespace.client.create_subresource(
        kinds.POD, namespace.key(name), "eviction", {**eviction, **options}
    )


async def _nodes(namespace):
    def usable(nodes):
        ready = [node for node in nodes.values() if is_true(node, "Ready")]
        free = [node for node in ready if not dig(node, "spec", "taints") and not dig(node, "spec", "unschedulable")]
        return [node["metadata"]["name"] for node in free]

    return await namespace.observe(kinds.NODE, usable)


async def _taint(namespace, node, effect):
    """A taint of the test's own; give `""` to take it away."""
    key = f"{namespace.name}/reserved"
    while True:
        found = await namespace.get(kinds.NODE, node)
        taints = [taint for taint in dig(found, "spec", "taints", default=[]) if taint["key"] != key]
        taints += [{"key": key, "value": "yes", "effect": effect}] if effect else []
        version = found["metadata"]["resourceVersion"]
        try:
            await namespace.patch(
                kinds.NODE, node, {"metadata": {"resourceVersion": version}, "spec": {"taints": taints}}
            )
        except Conflict:
            continue  # somebody else has written it
        return key


async def _priority_class(namespace, name, **fields):
    """A PriorityClass that pods can be of: admission hears of it a moment after it is made."""
    await namespace.create(kinds.PRIORITY_CLASS, {"metadata": {"name": name}, **fields})
    trial = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "trial", "namespace": namespace.name}}
    trial["spec"] = pod_spec(pause(), priorityClassName=name)
    async with asyncio.timeout(namespace.cluster.patience):
        while True:
            try:
                return await namespace.client.create(kinds.POD, trial, dry_run=True)
            except Forbidden:
                await asyncio.sleep(0.1)


async def test_a_budget_lets_only_as_many_go_as_it_allows(namespace):
    await namespace.create(kinds.DEPLOYMENT, workload("web", pod_spec(sleeper()), replicas=2))
    await namespace.until(kinds.DEPLOYMENT, "web", lambda found: dig(found, "status", "availableReplicas") == 2)
    budget = {"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}}
    await namespace.create(kinds.POD_DISRUPTION_BUDGET, budget)
    found = await namespace.until(
        kinds.POD_DISRUPTION_BUDGET, "web", lambda found: dig(found, "status", "currentHealthy") == 2
    )
    status = found["status"]
    assert (status["desiredHealthy"], status["expectedPods"], status["disruptionsAllowed"]) == (2, 2, 0)
    assert find(found, "DisruptionAllowed")["reason"] == "InsufficientPods"
    name = (await namespace.list(kinds.POD))[0]["metadata"]["name"]
    error = await refused(_evict(namespace, name))
    assert error.code == 429
    assert "Cannot evict pod as it would violate the pod's disruption budget." in str(error)
    await namespace.patch(kinds.POD_DISRUPTION_BUDGET, "web", {"spec": {"minAvailable": 1}})
    await namespace.until(kinds.POD_DISRUPTION_BUDGET, "web", lambda found: found["status"]["disruptionsAllowed"] == 1)
    await _evict(namespace, name)
    await namespace.until_gone(kinds.POD, name)


async def test_an_evicted_pod_says_that_it_was(namespace):
    await namespace.pod("leaves", pod_spec(sleeper(), terminationGracePeriodSeconds=5))
    await namespace.ready("leaves")
    states = []

    def gone(pods):
        states.extend(pods.values())
        return not pods

    watching = asyncio.ensure_future(namespace.observe(kinds.POD, gone))
    await _evict(namespace, "leaves")
    await watching
    condition = next(filter(None, (find(pod, "DisruptionTarget") for pod in reversed(states))), None)
    assert condition, "it never said so"
    assert (condition["status"], condition["reason"]) == ("True", "EvictionByEvictionAPI")


async def test_a_dry_eviction_changes_nothing(namespace):
    await namespace.pod("stays", pod_spec(sleeper()))
    await namespace.ready("stays")
    await _evict(namespace, "stays", deleteOptions={"dryRun": ["All"]})
    assert not is_deleting(await namespace.get(kinds.POD, "stays"))


async def test_a_tainted_node_takes_only_pods_that_tolerate_it(namespace):
    node = (await _nodes(namespace))[0]
    selector = {
        "kubernetes.io/hostname": (await namespace.get(kinds.NODE, node))["metadata"]["labels"][
            "kubernetes.io/hostname"
        ]
    }
    try:
        key = await _taint(namespace, node, "NoSchedule")
        await namespace.pod("refused", pod_spec(pause(), nodeSelector=selector))
        pod = await namespace.until(kinds.POD, "refused", lambda pod: find(pod, "PodScheduled"))
        assert "untolerated taint" in find(pod, "PodScheduled")["message"]
        tolerates = [{"key": key, "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]
        await namespace.pod("tolerates", pod_spec(pause(), nodeSelector=selector, tolerations=tolerates))
        await namespace.ready("tolerates")
    finally:
        await _taint(namespace, node, "")
    await namespace.ready("refused")


async def test_no_execute_drives_out_who_does_not_tolerate_it(namespace):
    node = (await _nodes(namespace))[0]
    key = f"{namespace.name}/reserved"
    tolerates = [{"key": key, "operator": "Exists"}]
    briefly = [{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]
    # Others' pods on that node are not to be driven out: only where all of them are the test's own, or tolerate all.
    others = await namespace.client.list(kinds.POD, fields=f"spec.nodeName={node}")
    if any(not _spares(pod) for pod in others.items):
        pytest.skip(f"other pods run on {node}, which NoExecute would drive out")
    for name, tolerations in (("stays", tolerates), ("briefly", briefly), ("leaves", [])):
        await namespace.pod(name, pod_spec(sleeper(), nodeName=node, tolerations=tolerations))
        await namespace.ready(name)
    try:
        await _taint(namespace, node, "NoExecute")
        await namespace.until_gone(kinds.POD, "leaves")
        await namespace.until_gone(kinds.POD, "briefly")
        assert not is_deleting(await namespace.get(kinds.POD, "stays"))
    finally:
        await _taint(namespace, node, "")


def _spares(pod):
    """Whether nobody minds: it tolerates everything, is leaving anyway, or is one of the suite's."""
    tolerates = any(
        each.get("operator") == "Exists" and not each.get("key") for each in pod["spec"].get("tolerations") or ()
    )
    return tolerates or is_deleting(pod) or namespace_of(pod).startswith("conformance-")


async def test_what_matters_more_is_placed_by_driving_out_what_matters_less(namespace):
    """With a resource of the test's own, advertised on a node as the documentation describes it."""
    node, resource = (await _nodes(namespace))[0], "argosy-conformance.example.com/seat"
    high, low = f"{namespace.name}-high", f"{namespace.name}-low"
    for name, value in ((high, 1000), (low, 10)):
        await _priority_class(namespace, name, value=value)
    seat = pause(resources={"requests": {resource: "1"}, "limits": {resource: "1"}})
    try:
        await namespace.patch(
            kinds.NODE,
            node,
            {"status": {"capacity": {resource: "1"}, "allocatable": {resource: "1"}}},
            subresource="status",
        )
        made = await namespace.pod("low", pod_spec(seat, priorityClassName=low))
        assert made["spec"]["priority"] == 10
        await namespace.ready("low")
        await namespace.pod("patient", pod_spec(seat, priorityClassName=low))
        pod = await namespace.until(kinds.POD, "patient", lambda pod: find(pod, "PodScheduled"))
        assert f"Insufficient {resource}" in find(pod, "PodScheduled")["message"]
        await namespace.pod("high", pod_spec(seat, priorityClassName=high))
        await namespace.until_gone(kinds.POD, "low")
        assert (await namespace.ready("high"))["spec"]["nodeName"] == node
        assert await namespace.event("low", "Preempted")
        assert not (await namespace.get(kinds.POD, "patient"))["spec"].get("nodeName")
    finally:
        await namespace.patch(
            kinds.NODE,
            node,
            {"status": {"capacity": {resource: None}, "allocatable": {resource: None}}},
            subresource="status",
        )


@pytest.mark.needs("controllers", only=True)
async def test_a_class_that_does_not_exist_is_refused_and_one_that_never_preempts_waits(namespace):
    error = await refused(namespace.pod("odd", pod_spec(pause(), priorityClassName=f"{namespace.name}-nobody")))
    assert error.code == 403
    assert "no PriorityClass with name" in str(error)
    await _priority_class(namespace, namespace.name, value=5, preemptionPolicy="Never")
    made = await namespace.pod("polite", pod_spec(pause(), priorityClassName=namespace.name))
    assert made["spec"]["preemptionPolicy"] == "Never"


@pytest.mark.needs("nodes")
async def test_pods_repel_and_attract_each_other(namespace):
    def near(app, kind):
        term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}
        return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}

    await namespace.pod("first", pod_spec(pause()), labels={"app": "a"})
    first = await namespace.ready("first")
    await namespace.pod("with", pod_spec(pause(), affinity=near("a", "podAffinity")))
    await namespace.pod("without", pod_spec(pause(), affinity=near("a", "podAntiAffinity")))
    assert (await namespace.ready("with"))["spec"]["nodeName"] == first["spec"]["nodeName"]
    assert (await namespace.ready("without"))["spec"]["nodeName"] != first["spec"]["nodeName"]


@pytest.mark.needs("nodes")
async def test_pods_are_spread_over_the_nodes(namespace):
    nodes = await _nodes(namespace)
    constraint = {
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}, "nodeTaintsPolicy": "Honor",
    }  # fmt: skip
    spec = pod_spec(pause(), topologySpreadConstraints=[constraint])
    await namespace.create(kinds.DEPLOYMENT, workload("web", spec, replicas=2 * len(nodes)))
    pods = await namespace.observe(
        kinds.POD, lambda pods: len(pods) == 2 * len(nodes) and all(map(pod_is_ready, pods.values())) and pods
    )
    places = [pod["spec"]["nodeName"] for pod in pods.values()]
    assert {places.count(node) for node in nodes} == {2}


async def test_node_affinity_chooses_by_labels_and_by_names(namespace):
    node = (await _nodes(namespace))[0]
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [here]}}
    await namespace.pod("here", pod_spec(pause(), affinity={"nodeAffinity": required}))
    assert (await namespace.ready("here"))["spec"]["nodeName"] == node


@pytest.mark.needs("kubectl")
@pytest.mark.needs("nodes")
async def test_a_node_is_cordoned_and_drained(namespace):
    """Drained of the test's own pods: nobody else's are touched."""
    await namespace.create(kinds.DEPLOYMENT, workload("web", pod_spec(sleeper()), replicas=1))
    await namespace.until(kinds.DEPLOYMENT, "web", lambda found: dig(found, "status", "availableReplicas") == 1)
    (pod,) = await namespace.list(kinds.POD)
    node = pod["spec"]["nodeName"]
    try:
        await namespace.kubectl("cordon", node)
        found = await namespace.get(kinds.NODE, node)
        assert found["spec"]["unschedulable"] is True
        found = await namespace.until(kinds.NODE, node, lambda node: dig(node, "spec", "taints"))
        assert {"node.kubernetes.io/unschedulable"} <= {each["key"] for each in found["spec"]["taints"]}
        selector = f"--pod-selector=app=web,pod-template-hash={pod['metadata']['labels']['pod-template-hash']}"
        await namespace.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", selector)
        await namespace.until_gone(kinds.POD, pod["metadata"]["name"])

        def moved(pods):
            return all(pod_is_ready(pod) and pod["spec"]["nodeName"] != node for pod in pods.values()) and pods

        await namespace.observe(kinds.POD, moved)
    finally:
        await namespace.kubectl("uncordon", node)
    await namespace.until(kinds.NODE, node, lambda node: not dig(node, "spec", "unschedulable"))


async def test_a_pod_that_is_put_on_a_node_by_name_runs_there_unseen_by_the_scheduler(namespace):
    node = (await _nodes(namespace))[0]
    await namespace.pod("put", pod_spec(pause(), nodeName=node))
    assert (await namespace.ready("put"))["spec"]["nodeName"] == node
    assert (await refused(namespace.patch(kinds.POD, "put", {"spec": {"nodeName": "elsewhere"}}))).code == 422
