"""The scheduler on the real API server: binding, gangs, preemption, reports."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from small_cluster import Cluster, in_cluster

from argosy.kinds import (
    EVENT,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    PRIORITY_CLASS,
    SERVICE_ACCOUNT,
    STORAGE_CLASS,
)
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, labels_of, name_of


def pod(name: str, cpu: str = "1", labels: dict[str, str] | None = None, **spec: object) -> Obj:
    container = {"name": "main", "image": "busybox", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
        "spec": {"containers": [container], **spec},
    }


def running(obj: Obj) -> bool:
    return bool(dig(obj, "status", "phase") == "Running")


async def ready(cluster: Cluster) -> None:
    await cluster.until(SERVICE_ACCOUNT, "default", lambda _: True)


def test_all_are_placed_and_none_too_many(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        await asyncio.gather(*[cluster.client.create(POD, pod(f"p{i:03}")) for i in range(12)])
        placed = await cluster.count(POD, 8, running)
        by_node = [sum(dig(p, "spec", "nodeName") == node for p in placed) for node in ("n1", "n2")]
        assert by_node == [4, 4]
        events = await cluster.count(EVENT, 4, lambda e: e["reason"] == "FailedScheduling")
        assert all(e["message"].startswith("0/2 nodes are available: 2 Insufficient cpu.") for e in events)
        await cluster.client.delete(POD, Key("default", name_of(placed[0])), grace_seconds=0)
        await cluster.count(POD, 8, running)

    in_cluster(tmp_path, test, nodes=("n1", "n2"), cpu="4")


def test_a_gang_waits_for_room_for_all(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        await client.create(POD, pod("first", "2"))
        await cluster.count(POD, 1, running)
        labels = {"scheduling.x-k8s.io/pod-group": "g", "argosy.dev/gang-size": "4"}
        for number in range(4):
            await client.create(POD, pod(f"g{number}", labels=labels))
        told = await cluster.until(POD, "g0", lambda p: "needs 4 pods" in str(dig(p, "status", "conditions")))
        assert "2 fit" in str(told["status"]["conditions"])
        assert not [p for p in (await client.list(POD)).items if labels_of(p) and dig(p, "spec", "nodeName")]
        await client.delete(POD, Key("default", "first"), grace_seconds=0)
        await cluster.count(POD, 4, running)

    in_cluster(tmp_path, test, cpu="4")


def test_a_gang_is_bound_in_one_transaction(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        store = cluster.app.api.store
        labels = {"scheduling.x-k8s.io/pod-group": "g", "argosy.dev/gang-size": "50"}
        with closing(store.watch("pods", store.revision)) as changes:
            await asyncio.gather(*[cluster.client.create(POD, pod(f"g{i:02}", labels=labels)) for i in range(50)])
            async for batch in changes:
                bound = [change for change in batch if dig(change.record.obj, "spec", "nodeName")]
                if bound:
                    assert len({change.record.key for change in bound}) == 50
                    return

    in_cluster(tmp_path, test, cpu="100")


def test_a_claim_that_waits_is_bound_where_its_pod_goes(tmp_path: Path) -> None:
    """Disks that a person made on one node: the pod goes there, and the claim with it."""

    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        disks = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
        kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "disks"}}
        await client.create(STORAGE_CLASS, {**kind, **disks})
        here = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]
        common = {"accessModes": ["ReadWriteOnce"], "storageClassName": "disks"}
        volume = {
            **common, "capacity": {"storage": "1Gi"}, "local": {"path": "/disk"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": here}},
        }  # fmt: skip
        kind = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}}
        await client.create(PERSISTENT_VOLUME, {**kind, "spec": volume})
        claim = {**common, "resources": {"requests": {"storage": "1Gi"}}}
        for name in ("data", "too-many"):
            kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
            meta = {"name": name, "namespace": "default"}
            await client.create(PERSISTENT_VOLUME_CLAIM, {**kind, "metadata": meta, "spec": claim})
        mounted = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        await client.create(POD, pod("user", volumes=mounted))
        placed = await cluster.until(POD, "user", running)
        assert placed["spec"]["nodeName"] == "n2"
        bound = await cluster.until(PERSISTENT_VOLUME_CLAIM, "data", lambda c: dig(c, "status", "phase") == "Bound")
        assert bound["spec"]["volumeName"] == "disk"
        mounted = [{"name": "data", "persistentVolumeClaim": {"claimName": "too-many"}}]
        await client.create(POD, pod("late", volumes=mounted))
        told = await cluster.until(POD, "late", lambda p: "persistent volumes" in str(dig(p, "status", "conditions")))
        assert "2 node(s) didn't find available persistent volumes to bind" in str(told["status"]["conditions"])

    in_cluster(tmp_path, test, nodes=("n1", "n2"), cpu="4")


def test_preemption(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        await client.create(
            PRIORITY_CLASS,
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": "high"},
                "value": 1000,
            },
        )
        for number in range(4):
            await client.create(POD, pod(f"low{number}"))
        await cluster.count(POD, 4, running)
        await client.create(POD, pod("vip", "2", priorityClassName="high"))
        await cluster.until(POD, "vip", running)
        assert len([p for p in (await client.list(POD)).items if name_of(p).startswith("low")]) == 2
        await cluster.count(EVENT, 2, lambda e: e["reason"] == "Preempted")

    in_cluster(tmp_path, test, cpu="4")


def test_one_that_comes_later_is_told_why_its_kin_wait(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        for name in ("first", "second"):
            await cluster.client.create(POD, pod(name, "9"))
            await cluster.until(POD, name, lambda p: "Insufficient cpu" in str(dig(p, "status", "conditions")))

    in_cluster(tmp_path, test, cpu="4")


def test_a_node_that_comes_later_takes_the_waiting(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        await client.create(POD, pod("picky", nodeSelector={"disk": "ssd"}))
        await client.create(POD, pod("gated", schedulingGates=[{"name": "wait"}]))
        await client.create(POD, pod("other", schedulerName="another"))
        await cluster.until(POD, "picky", lambda p: "node affinity/selector" in str(dig(p, "status", "conditions")))
        await client.patch(NODE, Key("", "n1"), {"metadata": {"labels": {"disk": "ssd"}}})
        await cluster.until(POD, "picky", running)
        left = [p for p in (await client.list(POD)).items if not dig(p, "spec", "nodeName")]
        assert [name_of(p) for p in left] == ["gated", "other"]
        await client.patch(POD, Key("default", "gated"), {"spec": {"schedulingGates": None}})
        await cluster.until(POD, "gated", running)

    in_cluster(tmp_path, test)
