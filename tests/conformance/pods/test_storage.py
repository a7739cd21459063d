"""Volumes: shared between containers, claimed from a StorageClass, kept or thrown away afterwards."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.json import dig
from conformance.manifests import ending_of, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")


def _claim(name, **spec):
    resources = {"requests": {"storage": "16Mi"}}
    return {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec}}


def _user(claim, script, **fields):
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    mounts = [{"name": "data", "mountPath": "/data"}]
    return pod_spec(shell(script, volumeMounts=mounts), volumes=volumes, restartPolicy="Never", **fields)


async def test_an_empty_directory_is_shared_and_outlives_its_containers(namespace):
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "m", "mountPath": "/m"}]
    writes = shell(
        "[ -e /v/tried ] || { touch /v/tried /m/tried; exit 1; }; ls /v /m; touch /v/done",
        "writes",
        volumeMounts=mounts,
    )
    reads = shell(
        "until [ -e /other/done ]; do sleep 0.1; done", "reads", volumeMounts=[{"name": "v", "mountPath": "/other"}]
    )
    await namespace.pod("shares", pod_spec(writes, reads, volumes=volumes, restartPolicy="OnFailure"))
    pod = await namespace.ended("shares")
    assert pod["status"]["phase"] == "Succeeded"
    assert (await namespace.log("shares", "writes")).split() == ["/m:", "tried", "/v:", "tried"]


async def test_sub_paths_are_parts_of_one_volume(namespace):
    env = [{"name": "WHO", "value": "two"}]
    one = shell("echo one > /d/f", "one", volumeMounts=[{"name": "v", "mountPath": "/d", "subPath": "one"}])
    two = shell(
        "echo two > /d/f", "two", env=env, volumeMounts=[{"name": "v", "mountPath": "/d", "subPathExpr": "$(WHO)/deep"}]
    )
    main = shell("cat /v/one/f /v/two/deep/f", volumeMounts=[{"name": "v", "mountPath": "/v", "readOnly": True}])
    spec = pod_spec(main, initContainers=[one, two], volumes=[{"name": "v", "emptyDir": {}}], restartPolicy="Never")
    await namespace.pod("parts", spec)
    assert (await namespace.ended("parts"))["status"]["phase"] == "Succeeded"
    assert await namespace.log("parts") == "one\ntwo\n"


async def test_a_read_only_mount_cannot_be_written(namespace):
    mounts = [{"name": "v", "mountPath": "/v", "readOnly": True}]
    await namespace.pod(
        "reads",
        pod_spec(
            shell("touch /v/x", volumeMounts=mounts), volumes=[{"name": "v", "emptyDir": {}}], restartPolicy="Never"
        ),
    )
    pod = await namespace.ended("reads")
    assert pod["status"]["phase"] == "Failed"
    assert "Read-only file system" in await namespace.log("reads")
    assert ending_of(pod)["exitCode"]


@pytest.mark.needs("storage")
async def test_a_claim_is_bound_and_its_data_outlive_the_pod(namespace):
    await namespace.create(kinds.PERSISTENT_VOLUME_CLAIM, _claim("data"))
    await namespace.pod("writes", _user("data", "echo kept > /data/file"))
    assert (await namespace.ended("writes"))["status"]["phase"] == "Succeeded"
    claim = await namespace.get(kinds.PERSISTENT_VOLUME_CLAIM, "data")
    assert claim["status"]["phase"] == "Bound"
    assert claim["status"]["accessModes"] == ["ReadWriteOnce"]
    volume = await namespace.get(kinds.PERSISTENT_VOLUME, claim["spec"]["volumeName"])
    assert volume["status"]["phase"] == "Bound"
    assert (volume["spec"]["claimRef"]["name"], volume["spec"]["claimRef"]["uid"]) == ("data", claim["metadata"]["uid"])
    await namespace.remove(kinds.POD, "writes")
    await namespace.until_gone(kinds.POD, "writes")
    await namespace.pod("reads", _user("data", "cat /data/file"))
    assert (await namespace.ended("reads"))["status"]["phase"] == "Succeeded"
    assert await namespace.log("reads") == "kept\n"


@pytest.mark.needs("storage")
async def test_a_claim_in_use_is_deleted_only_after_its_pod_and_its_volume_with_it(namespace):
    await namespace.create(kinds.PERSISTENT_VOLUME_CLAIM, _claim("data"))
    await namespace.pod("uses", _user("data", "trap 'exit 0' TERM; sleep 86400 & wait"))
    await namespace.ready("uses")
    claim = await namespace.get(kinds.PERSISTENT_VOLUME_CLAIM, "data")
    volume = await namespace.get(kinds.PERSISTENT_VOLUME, claim["spec"]["volumeName"])
    await namespace.remove(kinds.PERSISTENT_VOLUME_CLAIM, "data")
    claim = await namespace.get(kinds.PERSISTENT_VOLUME_CLAIM, "data")
    assert claim["metadata"]["deletionTimestamp"]
    assert "kubernetes.io/pvc-protection" in claim["metadata"]["finalizers"]
    await namespace.remove(kinds.POD, "uses")
    await namespace.until_gone(kinds.PERSISTENT_VOLUME_CLAIM, "data")
    if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
        await namespace.until_gone(kinds.PERSISTENT_VOLUME, volume["metadata"]["name"])


@pytest.mark.needs("storage")
async def test_a_volume_that_is_to_be_retained_is_released_and_stays(namespace):
    await namespace.create(kinds.PERSISTENT_VOLUME_CLAIM, _claim("data"))
    await namespace.pod("uses", _user("data", "true"))
    await namespace.ended("uses")
    name = (await namespace.get(kinds.PERSISTENT_VOLUME_CLAIM, "data"))["spec"]["volumeName"]
    await namespace.patch(kinds.PERSISTENT_VOLUME, name, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    await namespace.remove(kinds.POD, "uses")
    await namespace.remove(kinds.PERSISTENT_VOLUME_CLAIM, "data")
    volume = await namespace.until(
        kinds.PERSISTENT_VOLUME, name, lambda volume: volume["status"]["phase"] == "Released"
    )
    assert volume["spec"]["claimRef"]["name"] == "data"
    # Handed back to its class, which throws it away.
    await namespace.patch(kinds.PERSISTENT_VOLUME, name, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    await namespace.until_gone(kinds.PERSISTENT_VOLUME, name)


async def test_a_claim_without_a_volume_keeps_its_pod_pending(namespace):
    """`storageClassName: ""` asks for a volume that somebody made by hand, and nobody has."""
    await namespace.create(
        kinds.PERSISTENT_VOLUME_CLAIM, _claim("by-hand", storageClassName="", volumeName="nobody-made-it")
    )
    await namespace.pod("waits", _user("by-hand", "true"))
    event = await namespace.event("waits", "FailedScheduling")
    assert "PersistentVolumeClaim" in event["message"]
    assert dig(await namespace.get(kinds.POD, "waits"), "status", "phase") == "Pending"


@pytest.mark.needs("storage")
async def test_an_ephemeral_claim_lives_as_long_as_its_pod(namespace):
    template = {"spec": _claim("ignored")["spec"]}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    mounts = [{"name": "scratch", "mountPath": "/scratch"}]
    await namespace.pod("owner", pod_spec(sleeper(volumeMounts=mounts), volumes=volumes))
    pod = await namespace.ready("owner")
    claim = await namespace.get(kinds.PERSISTENT_VOLUME_CLAIM, "owner-scratch")
    assert claim["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    await namespace.says("owner", "touch", "/scratch/file")
    await namespace.remove(kinds.POD, "owner")
    await namespace.until_gone(kinds.PERSISTENT_VOLUME_CLAIM, "owner-scratch")
