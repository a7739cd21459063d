"""StatefulSets: ordinals in order, names that stay, claims of their own, partitions."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.objects import is_deleting, labels_of, pod_is_ready
from conformance.manifests import pod_spec, sleeper, workload

pytestmark = pytest.mark.needs("pods")


def _set(replicas=3, container=None, **spec):
    return workload("db", pod_spec(container or sleeper()), serviceName="db", replicas=replicas, **spec)


def _ready(count):
    def verdict(found):
        status = found.get("status") or {}
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and (status.get("readyReplicas", 0), status.get("replicas", 0)) == (count, count)
        )  # fmt: skip

    return verdict


def _names(pods):
    return sorted(pod["metadata"]["name"] for pod in pods)


async def test_pods_are_made_one_after_the_other_and_removed_in_reverse(namespace):
    await namespace.create(kinds.STATEFUL_SET, _set())

    def grows(pods):
        for number, name in enumerate(sorted(pods)):
            assert name == f"db-{number}"
            assert number == 0 or pod_is_ready(pods[f"db-{number - 1}"]), "made before the one before it was ready"
        return len(pods) == 3

    await namespace.observe(kinds.POD, grows, labels="app=db")
    stateful = await namespace.until(kinds.STATEFUL_SET, "db", _ready(3))
    pod = await namespace.get(kinds.POD, "db-1")
    assert pod["spec"]["hostname"] == "db-1"
    assert pod["spec"]["subdomain"] == "db"
    assert labels_of(pod)["statefulset.kubernetes.io/pod-name"] == "db-1"
    assert labels_of(pod)["apps.kubernetes.io/pod-index"] == "1"
    assert labels_of(pod)["controller-revision-hash"] == stateful["status"]["currentRevision"]
    await namespace.patch(kinds.STATEFUL_SET, "db", {"spec": {"replicas": 1}})

    def shrinks(pods):
        going = [name for name, pod in pods.items() if is_deleting(pod)]
        assert "db-2" not in pods or "db-1" not in going, "db-1 may go only after db-2 is gone"
        return sorted(pods) == ["db-0"]

    await namespace.observe(kinds.POD, shrinks, labels="app=db")


@pytest.mark.needs("controllers", only=True)
async def test_pods_in_parallel_do_not_wait_for_each_other(namespace):
    never = sleeper(readinessProbe={"exec": {"command": ["false"]}, "periodSeconds": 1})
    await namespace.create(kinds.STATEFUL_SET, _set(container=never, podManagementPolicy="Parallel"))
    await namespace.observe(kinds.POD, lambda pods: sorted(pods) == ["db-0", "db-1", "db-2"])


async def test_a_pod_that_is_lost_comes_back_under_its_name(namespace):
    await namespace.create(kinds.STATEFUL_SET, _set(replicas=2))
    await namespace.until(kinds.STATEFUL_SET, "db", _ready(2))
    before = await namespace.get(kinds.POD, "db-0")
    await namespace.remove(kinds.POD, "db-0")

    def back(pods):
        pod = pods.get("db-0")
        return pod and pod["metadata"]["uid"] != before["metadata"]["uid"] and pod_is_ready(pod)

    await namespace.observe(kinds.POD, back)


async def test_an_update_goes_from_the_last_ordinal_down_to_the_partition(namespace):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    await namespace.create(kinds.STATEFUL_SET, _set(updateStrategy=strategy))
    await namespace.until(kinds.STATEFUL_SET, "db", _ready(3))
    env = [{"name": "V", "value": "2"}]
    await namespace.patch(
        kinds.STATEFUL_SET, "db", {"spec": {"template": {"spec": {"containers": [sleeper(env=env)]}}}}
    )

    def new(pods):
        return _names(pod for pod in pods.values() if pod["spec"]["containers"][0].get("env") and pod_is_ready(pod))

    def updated(pods):
        assert new(pods) != ["db-1"], "db-2 comes before db-1"
        return new(pods) == ["db-1", "db-2"]

    await namespace.observe(kinds.POD, updated)

    def halted(found):
        status = found["status"]
        return (
            status.get("updatedReplicas") == 2
            and status.get("currentReplicas") == 1
            and status.get("readyReplicas") == 3
        )

    stateful = await namespace.until(kinds.STATEFUL_SET, "db", halted)
    assert stateful["status"]["currentRevision"] != stateful["status"]["updateRevision"]
    await namespace.patch(kinds.STATEFUL_SET, "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    await namespace.observe(kinds.POD, lambda pods: len(new(pods)) == 3)

    def settled(found):
        return found["status"]["currentRevision"] == found["status"]["updateRevision"]

    await namespace.until(kinds.STATEFUL_SET, "db", settled)


async def test_on_delete_updates_only_what_somebody_deletes(namespace):
    await namespace.create(kinds.STATEFUL_SET, _set(replicas=1, updateStrategy={"type": "OnDelete"}))
    await namespace.until(kinds.STATEFUL_SET, "db", _ready(1))
    before = await namespace.get(kinds.POD, "db-0")
    env = [{"name": "V", "value": "2"}]
    await namespace.patch(
        kinds.STATEFUL_SET, "db", {"spec": {"template": {"spec": {"containers": [sleeper(env=env)]}}}}
    )
    await namespace.until(
        kinds.STATEFUL_SET, "db", lambda s: s["status"]["updateRevision"] != s["status"]["currentRevision"]
    )
    assert (await namespace.get(kinds.POD, "db-0"))["metadata"]["uid"] == before["metadata"]["uid"]
    await namespace.remove(kinds.POD, "db-0")
    await namespace.observe(kinds.POD, lambda pods: "db-0" in pods and pods["db-0"]["spec"]["containers"][0].get("env"))


async def test_ordinals_may_start_elsewhere(namespace):
    await namespace.create(kinds.STATEFUL_SET, _set(replicas=2, ordinals={"start": 5}))
    await namespace.observe(kinds.POD, lambda pods: sorted(pods) == ["db-5", "db-6"])


@pytest.mark.needs("storage")
async def test_each_pod_has_claims_of_its_own_that_are_kept_as_wanted(namespace):
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    container = sleeper(volumeMounts=[{"name": "data", "mountPath": "/data"}])
    keep = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    made = _set(
        replicas=2, container=container, volumeClaimTemplates=templates, persistentVolumeClaimRetentionPolicy=keep
    )
    await namespace.create(kinds.STATEFUL_SET, made)
    await namespace.until(kinds.STATEFUL_SET, "db", _ready(2))
    assert _names(await namespace.list(kinds.PERSISTENT_VOLUME_CLAIM)) == ["data-db-0", "data-db-1"]
    await namespace.says("db-0", "sh", "-c", "echo kept > /data/file")
    before = await namespace.get(kinds.POD, "db-0")
    await namespace.remove(kinds.POD, "db-0")

    def back(pods):
        pod = pods.get("db-0")
        return pod and pod["metadata"]["uid"] != before["metadata"]["uid"] and pod_is_ready(pod)

    await namespace.observe(kinds.POD, back)
    assert await namespace.says("db-0", "cat", "/data/file") == "kept\n"
    await namespace.patch(kinds.STATEFUL_SET, "db", {"spec": {"replicas": 1}})
    await namespace.until_gone(kinds.PERSISTENT_VOLUME_CLAIM, "data-db-1")
    await namespace.remove(kinds.STATEFUL_SET, "db")
    await namespace.until_gone(kinds.POD, "db-0")
    assert _names(await namespace.list(kinds.PERSISTENT_VOLUME_CLAIM)) == ["data-db-0"]
