"""Deployments and ReplicaSets: rolling updates within their bounds, pauses, history and the way back."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.conditions import find, is_true
from argosy.meta.json import dig
from argosy.meta.objects import annotations_of, controller_of, is_deleting, labels_of, pod_is_ready
from conformance.manifests import pod_spec, sleeper, workload

pytestmark = pytest.mark.needs("pods")

_REVISION = "deployment.kubernetes.io/revision"


def _deployment(name="web", replicas=3, **spec):
    return workload(name, pod_spec(sleeper(env=[{"name": "V", "value": "1"}])), replicas=replicas, **spec)


def _version(number):
    """A change of the template that makes pods of another revision."""
    return {"spec": {"template": {"spec": {"containers": [sleeper(env=[{"name": "V", "value": str(number)}])]}}}}


def complete(deployment):
    """As `kubectl rollout status` sees it."""
    status, wanted = deployment.get("status") or {}, deployment["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")]
    return status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == [wanted] * 4


async def _rolled_out(namespace, name="web"):
    return await namespace.until(kinds.DEPLOYMENT, name, complete)


async def _revisions(namespace):
    sets = await namespace.list(kinds.REPLICA_SET, "app=web")
    return {annotations_of(each)[_REVISION]: each for each in sets}


async def test_a_deployment_makes_its_pods_through_a_replica_set(namespace):
    await namespace.create(kinds.DEPLOYMENT, _deployment())
    deployment = await _rolled_out(namespace)
    assert is_true(deployment, "Available")
    assert find(deployment, "Progressing")["reason"] == "NewReplicaSetAvailable"
    (replicas,) = await namespace.list(kinds.REPLICA_SET)
    assert controller_of(replicas)["name"] == "web"
    pods = await namespace.list(kinds.POD)
    assert len(pods) == 3
    for pod in pods:
        assert controller_of(pod)["name"] == replicas["metadata"]["name"]
        assert labels_of(pod)["pod-template-hash"] == labels_of(replicas)["pod-template-hash"]


async def test_a_rolling_update_stays_within_its_bounds(namespace):
    await namespace.create(
        kinds.DEPLOYMENT,
        _deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
    )
    await _rolled_out(namespace)
    await namespace.patch(kinds.DEPLOYMENT, "web", _version(2))

    def renewed(pods):
        living = [pod for pod in pods.values() if not is_deleting(pod)]
        ready = [pod for pod in living if pod_is_ready(pod)]
        assert len(ready) >= 3, "none may be unavailable"
        assert len(living) <= 4, "one more than wanted at the most"
        new = [pod for pod in ready if pod["spec"]["containers"][0]["env"][0]["value"] == "2"]
        return len(new) == 3 and len(pods) == 3

    await namespace.observe(kinds.POD, renewed)
    await _rolled_out(namespace)
    assert {revision: each["spec"]["replicas"] for revision, each in (await _revisions(namespace)).items()} == {
        "1": 0,
        "2": 3,
    }


async def test_recreate_ends_the_old_pods_before_it_makes_new_ones(namespace):
    await namespace.create(kinds.DEPLOYMENT, _deployment(replicas=2, strategy={"type": "Recreate"}))
    await _rolled_out(namespace)
    await namespace.patch(kinds.DEPLOYMENT, "web", _version(2))

    def renewed(pods):
        running = [pod for pod in pods.values() if pod["status"].get("phase") == "Running"]
        versions = {pod["spec"]["containers"][0]["env"][0]["value"] for pod in running}
        assert len(versions) <= 1, "old and new at once"
        return versions == {"2"} and len(running) == 2

    await namespace.observe(kinds.POD, renewed)


async def test_a_paused_deployment_waits_to_roll_out_but_scales(namespace):
    await namespace.create(kinds.DEPLOYMENT, _deployment(replicas=1))
    await _rolled_out(namespace)
    await namespace.patch(kinds.DEPLOYMENT, "web", {"spec": {"paused": True, "replicas": 2, **_version(2)["spec"]}})

    def scaled(deployment):
        return deployment["status"].get("readyReplicas") == 2 and not deployment["status"].get("updatedReplicas")

    deployment = await namespace.until(kinds.DEPLOYMENT, "web", scaled)
    assert find(deployment, "Progressing")["reason"] == "DeploymentPaused"
    assert len(await namespace.list(kinds.REPLICA_SET)) == 1
    await namespace.patch(kinds.DEPLOYMENT, "web", {"spec": {"paused": False}})
    await _rolled_out(namespace)
    assert len(await namespace.list(kinds.REPLICA_SET)) == 2


@pytest.mark.needs("kubectl")
async def test_history_is_kept_as_long_as_wanted_and_leads_back(namespace):
    await namespace.create(kinds.DEPLOYMENT, _deployment(replicas=1, revisionHistoryLimit=2))
    await _rolled_out(namespace)
    for number in (2, 3, 4):
        await namespace.patch(kinds.DEPLOYMENT, "web", _version(number))
        await _rolled_out(namespace)

    def trimmed(sets):
        return {annotations_of(each)[_REVISION] for each in sets.values()} == {"2", "3", "4"}

    await namespace.observe(kinds.REPLICA_SET, trimmed)
    assert "2" in await namespace.kubectl("rollout", "history", "deployment/web")
    await namespace.kubectl("rollout", "undo", "deployment/web", "--to-revision=2")
    await _rolled_out(namespace)

    def back(sets):
        live = [each for each in sets.values() if each["spec"]["replicas"]]
        return len(live) == 1 and annotations_of(live[0]).get(_REVISION) == "5" and live[0]

    live = await namespace.observe(kinds.REPLICA_SET, back)
    assert live["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == "2"


async def test_a_roll_out_that_does_not_get_on_is_told(namespace):
    await namespace.create(kinds.DEPLOYMENT, _deployment(replicas=1, progressDeadlineSeconds=2))
    await _rolled_out(namespace)
    never = {"nodeSelector": {"argosy-conformance/no-such": "node"}}
    await namespace.patch(kinds.DEPLOYMENT, "web", {"spec": {"template": {"spec": never}}})

    def stuck(deployment):
        return (find(deployment, "Progressing") or {}).get("reason") == "ProgressDeadlineExceeded"

    deployment = await namespace.until(kinds.DEPLOYMENT, "web", stuck)
    assert find(deployment, "Progressing")["status"] == "False"
    assert is_true(deployment, "Available"), "the old pod is still there"


async def test_pods_count_as_available_only_after_a_while(namespace):
    await namespace.create(kinds.DEPLOYMENT, _deployment(replicas=1, minReadySeconds=2))
    seen = []

    def available(deployment):
        status = deployment.get("status") or {}
        seen.append((status.get("readyReplicas", 0), status.get("availableReplicas", 0)))
        return status.get("availableReplicas")

    await namespace.until(kinds.DEPLOYMENT, "web", available)
    assert (1, 0) in seen


async def test_a_replica_set_replaces_adopts_and_releases_pods(namespace):
    await namespace.pod("orphan", pod_spec(sleeper()), labels={"app": "web"})
    await namespace.create(kinds.REPLICA_SET, workload("web", pod_spec(sleeper()), replicas=2))

    def full(pods):
        mine = [pod for pod in pods.values() if dig(controller_of(pod), "name") == "web" and not is_deleting(pod)]
        return len(mine) == 2 and mine

    mine = await namespace.observe(kinds.POD, full)
    assert "orphan" in {pod["metadata"]["name"] for pod in mine}, "a pod that matches is adopted"
    await namespace.patch(kinds.POD, "orphan", {"metadata": {"labels": {"app": "else"}}})
    mine = await namespace.observe(kinds.POD, lambda pods: not controller_of(pods["orphan"]) and full(pods))
    first = mine[0]["metadata"]["name"]
    await namespace.remove(kinds.POD, first)
    await namespace.observe(kinds.POD, lambda pods: first not in pods and full(pods))
    await namespace.until(kinds.REPLICA_SET, "web", lambda each: each["status"].get("readyReplicas") == 2)


async def test_what_belongs_to_a_deleted_deployment_goes_with_it_or_stays(namespace):
    await namespace.create(kinds.DEPLOYMENT, _deployment(replicas=1))
    await _rolled_out(namespace)
    await namespace.remove(kinds.DEPLOYMENT, "web", propagation="Orphan")
    await namespace.until_gone(kinds.DEPLOYMENT, "web")
    (left,) = await namespace.observe(
        kinds.REPLICA_SET, lambda sets: [s for s in sets.values() if not controller_of(s)]
    )
    await namespace.remove(kinds.REPLICA_SET, left["metadata"]["name"], propagation="Foreground")
    await namespace.until_gone(kinds.REPLICA_SET, left["metadata"]["name"])
    assert not await namespace.list(kinds.POD), "foreground: the owner goes last"


@pytest.mark.needs("controllers", only=True)
async def test_scaling_and_history_need_no_running_pods(namespace):
    """What the controllers decide by themselves: pods that no node takes are enough."""
    nowhere = pod_spec(sleeper(), nodeSelector={"argosy-conformance/no-such": "node"})
    await namespace.create(kinds.DEPLOYMENT, workload("web", nowhere, replicas=2))
    await namespace.observe(kinds.POD, lambda pods: len(pods) == 2)
    deployment = await namespace.until(kinds.DEPLOYMENT, "web", lambda d: dig(d, "status", "unavailableReplicas") == 2)
    assert find(deployment, "Available")["reason"] == "MinimumReplicasUnavailable"
    await namespace.patch(kinds.DEPLOYMENT, "web", {"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}})

    def both(sets):
        return {annotations_of(each).get(_REVISION): each["spec"]["replicas"] for each in sets.values()}.keys() == {
            "1",
            "2",
        }

    await namespace.observe(kinds.REPLICA_SET, both)
    # A quarter more, rounded up, may be there; a quarter less, rounded down, may be missing: the old ones stay at two.
    await namespace.observe(kinds.POD, lambda pods: len(pods) == 3)
    await namespace.remove(kinds.DEPLOYMENT, "web", propagation="Foreground")
    await namespace.until_gone(kinds.DEPLOYMENT, "web")
    assert not await namespace.list(kinds.POD)
