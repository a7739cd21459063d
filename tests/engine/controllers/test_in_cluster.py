"""The controllers and the scheduler on the real API server, end to end."""

from __future__ import annotations

import asyncio
from pathlib import Path

from small_cluster import Cluster, in_cluster

from argosy.control.pool import Informers
from argosy.engine.apiserver.backends import ContainerUsage, PodUsage
from argosy.engine.controllers import ControllerSettings, run
from argosy.errors import NotFound
from argosy.kinds import (
    CONFIG_MAP,
    CRON_JOB,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HORIZONTAL_POD_AUTOSCALER,
    JOB,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
)
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of, name_of


def template(app: str, **facts: object) -> Obj:
    annotations = facts.pop("annotations", {})
    return {
        "metadata": {"labels": {"app": app}, "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "busybox", **facts.pop("container", {})}], **facts},  # type: ignore[dict-item]
    }


def deployment(name: str = "web", replicas: int = 3, namespace: str = "default") -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name),
        },
    }


def job(name: str = "job", **spec: object) -> Obj:
    code = spec.pop("code", "0")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template(name, annotations={"test/exit": code}, restartPolicy="Never"), **spec},
    }


async def ready(cluster: Cluster) -> None:
    await cluster.until(SERVICE_ACCOUNT, "default", lambda _: True)


def test_a_deployment_rolls_out_and_back_in(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        await client.create(DEPLOYMENT, deployment())
        service = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        }
        await client.create(SERVICE, {"apiVersion": "v1", "kind": "Service", **service})
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 3)
        await cluster.count(
            ENDPOINT_SLICE, 1, lambda s: sum(e["conditions"]["ready"] for e in s["endpoints"] or ()) == 3
        )
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "other"}]}}}}
        await client.patch(DEPLOYMENT, Key("default", "web"), patch)
        done = await cluster.until(
            DEPLOYMENT,
            "web",
            lambda d: (
                dig(d, "status", "updatedReplicas") == dig(d, "status", "replicas") == 3
                and d["status"].get("availableReplicas") == 3
                and d["status"]["observedGeneration"] == d["metadata"]["generation"]
            ),
        )
        assert is_true(done, "Progressing")
        await cluster.count(REPLICA_SET, 2)
        await client.delete(DEPLOYMENT, Key("default", "web"))
        await cluster.count(REPLICA_SET, 0)
        await cluster.count(POD, 0)

    in_cluster(tmp_path, test, nodes=("n1", "n2"))


def test_jobs_succeed_and_fail(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        await client.create(JOB, job("good", completions=3, parallelism=2))
        await client.create(JOB, job("bad", code="1", backoffLimit=0))
        await client.create(JOB, job("indexed", completions=3, parallelism=3, completionMode="Indexed"))
        good = await cluster.until(JOB, "good", lambda j: is_true(j, "Complete"))
        assert good["status"]["succeeded"] == 3
        assert good["status"]["completionTime"]
        bad = await cluster.until(JOB, "bad", lambda j: is_true(j, "Failed"))
        assert bad["status"]["failed"] == 1
        indexed = await cluster.until(JOB, "indexed", lambda j: is_true(j, "Complete"))
        assert indexed["status"]["completedIndexes"] == "0-2"
        for name in ("good", "bad", "indexed"):
            await client.delete(JOB, Key("default", name))
        await cluster.count(JOB, 0)
        await cluster.count(POD, 0)

    in_cluster(tmp_path, test)


def test_a_stateful_set_with_claims(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        claim = {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        await client.create(
            STATEFUL_SET,
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": {"name": "db", "namespace": "default"},
                "spec": {
                    "replicas": 2,
                    "serviceName": "db",
                    "selector": {"matchLabels": {"app": "db"}},
                    "template": template("db"),
                    "volumeClaimTemplates": [claim],
                },
            },
        )
        await cluster.until(STATEFUL_SET, "db", lambda s: dig(s, "status", "readyReplicas") == 2)
        bound = await cluster.until(
            PERSISTENT_VOLUME_CLAIM, "data-db-1", lambda c: dig(c, "status", "phase") == "Bound"
        )
        volume = await client.get(PERSISTENT_VOLUME, bound["spec"]["volumeName"])
        path = Path(volume["spec"]["hostPath"]["path"])
        assert path.parent == tmp_path / "volumes" / "default"
        path.mkdir(parents=True)
        (path / "file").write_text("data")
        await client.delete(STATEFUL_SET, Key("default", "db"))
        await cluster.count(POD, 0)
        await client.delete(PERSISTENT_VOLUME_CLAIM, Key("default", "data-db-1"))
        await cluster.gone(PERSISTENT_VOLUME, name_of(volume))
        assert not path.exists()

    in_cluster(tmp_path, test, real_time=True)


def test_a_namespace_is_filled_and_emptied(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        client = cluster.client
        await client.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        await cluster.until(SERVICE_ACCOUNT, "default", lambda _: True, "team")
        authority = await cluster.until(CONFIG_MAP, "kube-root-ca.crt", lambda _: True, "team")
        assert authority["data"] == {"ca.crt": "CA"}
        await client.create(DEPLOYMENT, deployment(namespace="team"))
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 3, "team")
        await client.delete(NAMESPACE, Key("", "team"))
        await cluster.gone(NAMESPACE, "team")
        for kind in (POD, REPLICA_SET, DEPLOYMENT, CONFIG_MAP):
            assert (await client.list(kind, "team")).items == []

    in_cluster(tmp_path, test)


def test_owners_in_the_foreground_and_orphans(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        await client.create(DEPLOYMENT, deployment("fore"))
        await client.create(DEPLOYMENT, deployment("left"))
        for name in ("fore", "left"):
            await cluster.until(DEPLOYMENT, name, lambda d: dig(d, "status", "availableReplicas") == 3)
        await client.delete(DEPLOYMENT, Key("default", "fore"), propagation="Foreground")
        await cluster.gone(DEPLOYMENT, "fore")
        assert not [p for p in (await client.list(POD)).items if p["metadata"]["labels"]["app"] == "fore"]
        await client.delete(DEPLOYMENT, Key("default", "left"), propagation="Orphan")
        await cluster.gone(DEPLOYMENT, "left")
        (orphan,) = await cluster.count(REPLICA_SET, 1, lambda rs: not rs["metadata"].get("ownerReferences"))
        assert len((await client.list(POD)).items) == 3
        await client.create(DEPLOYMENT, deployment("left"))
        await cluster.until(REPLICA_SET, name_of(orphan), lambda rs: bool(rs["metadata"].get("ownerReferences")))

    in_cluster(tmp_path, test)


def test_custom_kinds_are_collected_too(tmp_path: Path) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }

    async def test(cluster: Cluster) -> None:
        from argosy.control.capabilities import until_served
        from argosy.kinds import CUSTOM_RESOURCE_DEFINITION
        from argosy.meta.kind import Kind
        from argosy.meta.objects import owner_reference

        client = cluster.client
        boats = Kind("example.com", "v1", "Boat", "boats")
        await client.create(CUSTOM_RESOURCE_DEFINITION, crd)
        await until_served(client, boats, timeout=10)
        boat = await client.create(
            boats, {"apiVersion": "example.com/v1", "kind": "Boat", "metadata": {"name": "b", "namespace": "default"}}
        )
        meta = {"name": "owned", "namespace": "default", "ownerReferences": [owner_reference(boat, boats)]}
        await client.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        await cluster.until(CONFIG_MAP, "owned", lambda _: True)
        await client.delete(boats, key_of(boat))
        await cluster.gone(CONFIG_MAP, "owned")

    in_cluster(tmp_path, test)


def test_pods_of_a_removed_node_go(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        await client.create(DEPLOYMENT, deployment(replicas=4))
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 4)
        await client.delete(NODE, Key("", "n2"))
        await cluster.count(
            POD, 4, lambda p: dig(p, "spec", "nodeName") == "n1" and dig(p, "status", "phase") == "Running"
        )

    in_cluster(tmp_path, test, nodes=("n1", "n2"))


def test_what_does_not_fit_says_why(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        big = template("big", container={"resources": {"requests": {"cpu": "200"}}})
        pod = {"apiVersion": "v1", "kind": "Pod", **big, "metadata": {"name": "big", "namespace": "default"}}
        await client.create(POD, pod)
        told = await cluster.until(POD, "big", lambda p: bool(dig(p, "status", "conditions")))
        (condition,) = told["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "PodScheduled",
            "False",
            "Unschedulable",
        )
        assert condition["message"].startswith("0/1 nodes are available: 1 Insufficient cpu.")
        assert "the largest node has 64" in condition["message"]

    in_cluster(tmp_path, test)


def test_deleting_twice_is_no_error(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        await cluster.client.create(JOB, job("gone"))
        await cluster.until(JOB, "gone", lambda j: is_true(j, "Complete"))
        await cluster.client.delete(JOB, Key("default", "gone"))
        await cluster.gone(JOB, "gone")
        try:
            await cluster.client.get(JOB, "gone", "default")
        except NotFound:
            return
        raise AssertionError("it is still there")

    in_cluster(tmp_path, test)


def test_ephemeral_volumes_live_with_their_pod(tmp_path: Path) -> None:
    claim = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": claim}}]

    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        body = {**template("p", volumes=volumes), "metadata": {"name": "p", "namespace": "default"}}
        await cluster.client.create(POD, {"apiVersion": "v1", "kind": "Pod", **body})
        await cluster.until(POD, "p", lambda p: dig(p, "status", "phase") == "Running")
        await cluster.until(PERSISTENT_VOLUME_CLAIM, "p-scratch", lambda c: dig(c, "status", "phase") == "Bound")
        await cluster.client.delete(POD, Key("default", "p"))
        await cluster.gone(PERSISTENT_VOLUME_CLAIM, "p-scratch")

    in_cluster(tmp_path, test)


def test_a_second_start_finds_nothing_to_do(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        await cluster.client.create(DEPLOYMENT, deployment())
        await cluster.client.create(JOB, job("done"))
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 3)
        await cluster.until(JOB, "done", lambda j: is_true(j, "Complete"))
        await cluster.quiet(5)
        async with Informers(cluster.client) as informers:
            settings = ControllerSettings(tmp_path / "volumes", "CA")
            second = asyncio.create_task(run(cluster.client, settings, cluster.clock, informers=informers))
            assert await cluster.quiet(4) == 0
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)

    in_cluster(tmp_path, test)


def test_quiet_means_quiet(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        await client.create(DEPLOYMENT, deployment())
        await client.create(JOB, job("done"))
        service = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        }
        await client.create(SERVICE, {"apiVersion": "v1", "kind": "Service", **service})
        budget = {"metadata": {"name": "b", "namespace": "default"}, "spec": {"minAvailable": 1, "selector": {}}}
        await client.create(POD_DISRUPTION_BUDGET, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", **budget})
        await cluster.quiet(30)
        assert await cluster.quiet(1000) == 100, "nothing but the node's lease is written"

    in_cluster(tmp_path, test)


def test_a_job_backs_off_and_is_forgotten(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        start = cluster.clock.now()
        await cluster.client.create(JOB, job("bad", code="1", backoffLimit=3, ttlSecondsAfterFinished=60))
        bad = await cluster.until(JOB, "bad", lambda j: is_true(j, "Failed"))
        assert bad["status"]["failed"] == 4
        assert 70 <= (cluster.clock.now() - start).total_seconds() <= 75, "10 + 20 + 40 seconds"
        await cluster.gone(JOB, "bad")
        await cluster.count(POD, 0)

    in_cluster(tmp_path, test)


def test_a_cron_job_runs_on_time(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        spec = {"schedule": "*/5 * * * *", "jobTemplate": {"spec": job()["spec"]}}
        meta = {"name": "tick", "namespace": "default"}
        await cluster.client.create(
            CRON_JOB, {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": spec}
        )
        await cluster.quiet(3660)
        jobs = await cluster.count(JOB, 3, lambda j: is_true(j, "Complete"))
        times = [j["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] for j in jobs]
        assert times == ["2026-01-01T00:50:00Z", "2026-01-01T00:55:00Z", "2026-01-01T01:00:00Z"]

    in_cluster(tmp_path, test)


def test_pods_leave_a_node_that_fell_silent(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        await cluster.client.create(DEPLOYMENT, deployment(replicas=4))
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 4)
        start = cluster.clock.now()
        cluster.kubelet.silent.add("n2")
        await cluster.until(NODE, "n2", lambda n: bool(dig(n, "spec", "taints")), timeout=100)
        assert (cluster.clock.now() - start).total_seconds() <= 41
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 2)
        await cluster.count(POD, 4, lambda p: dig(p, "spec", "nodeName") == "n1", timeout=1000)
        assert 340 <= (cluster.clock.now() - start).total_seconds() <= 345, "five minutes of toleration"

    in_cluster(tmp_path, test, nodes=("n1", "n2"))


def test_pods_of_a_dead_node_are_elsewhere_within_five_seconds(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        await cluster.client.create(DEPLOYMENT, deployment(replicas=4))
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 4)
        start = cluster.clock.now()
        cluster.kubelet.silent.add("n2")
        await cluster.count(POD, 4, lambda p: dig(p, "spec", "nodeName") == "n1")
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 4)
        assert (cluster.clock.now() - start).total_seconds() <= 5

    in_cluster(tmp_path, test, nodes=("n1", "n2"), quick=True)


class Meter:
    """The part of the node agent that measures: every pod of an app uses so much."""

    def __init__(self, cluster: Cluster) -> None:
        self.pods = cluster.informers.of(POD)
        self.cores = 0.0

    async def usage(self) -> list[PodUsage]:
        use = (ContainerUsage("main", self.cores, 1 << 20),)
        return [PodUsage("default", name_of(p), use) for p in self.pods.items()]


def test_autoscaling_up_at_once_and_down_after_the_window(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await ready(cluster)
        client = cluster.client
        meter = Meter(cluster)
        cluster.app.nodes = meter  # type: ignore[assignment]
        subject = deployment(replicas=1)
        subject["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
        await client.create(DEPLOYMENT, subject)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        use = {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
        }
        await client.create(
            HORIZONTAL_POD_AUTOSCALER,
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "h", "namespace": "default"},
                "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 4, "metrics": [use]},
            },
        )
        await cluster.until(HORIZONTAL_POD_AUTOSCALER, "h", lambda h: is_true(h, "ScalingActive"))
        start = cluster.clock.now()
        meter.cores = 1.0
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "availableReplicas") == 4)
        assert (cluster.clock.now() - start).total_seconds() <= 30
        meter.cores = 0.01
        start = cluster.clock.now()
        await cluster.until(DEPLOYMENT, "web", lambda d: dig(d, "status", "replicas") == 1, timeout=1000)
        assert 300 <= (cluster.clock.now() - start).total_seconds() <= 330

    in_cluster(tmp_path, test)
