"""The RayCluster operator over its whole life, in a small world that carries its plans out."""

from __future__ import annotations

import pytest
from operator_world import World

from argosy import kinds
from argosy.clock import rfc3339
from argosy.meta.json import Obj
from argosy.operators.raycluster.operator import operator
from argosy.operators.settings import OperatorSettings


def group(name: str = "small", **given: object) -> Obj:
    container = {"name": "ray-worker", "image": "rayproject/ray:2.52.0"}
    spec = {"groupName": name, "replicas": 1, "minReplicas": 0, "maxReplicas": 5, "numOfHosts": 1, "rayStartParams": {}}
    return {**spec, "template": {"spec": {"containers": [container]}}, **given}


def cluster(*groups: Obj, head: Obj | None = None, meta: Obj | None = None, **spec: object) -> Obj:
    container = {"name": "ray-head", "image": "rayproject/ray:2.52.0"}
    head_group = {"rayStartParams": {}, "template": {"spec": {"containers": [container]}}, **(head or {})}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "demo", **(meta or {})},
        "spec": {"rayVersion": "2.52.0", "headGroupSpec": head_group, "workerGroupSpecs": list(groups), **spec},
    }


def world(*groups: Obj, **given: object) -> World:
    w = World(operator(OperatorSettings()), cluster(*(groups or (group(),)), **given))  # type: ignore[arg-type]
    w.settle()
    return w


def ready(w: World) -> World:
    for name in w.names(kinds.POD):
        condition = {"type": "Ready", "status": "True"}
        w.change(kinds.POD, name, {"status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [condition]}})
    w.settle()
    return w


def pods(w: World, node_type: str) -> list[Obj]:
    return [pod for pod in w.of(kinds.POD) if pod["metadata"]["labels"]["ray.io/node-type"] == node_type]


def scale(w: World, **change: object) -> None:
    assert w.subject is not None
    groups = [{**each, **change} for each in w.subject["spec"]["workerGroupSpecs"]]
    w.edit({"spec": {"workerGroupSpecs": groups}})
    w.settle()


def env(container: Obj) -> dict[str, str]:
    return {e["name"]: e.get("value") or e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"]}


def test_a_cluster_becomes_a_head_workers_and_a_headless_service():
    w = world(group(replicas=2))
    (head,), workers = pods(w, "head"), pods(w, "worker")
    assert len(workers) == 2
    assert head["metadata"]["name"].startswith("demo-head-")
    assert all(pod["metadata"]["name"].startswith("demo-small-worker-") for pod in workers)
    labels = {
        "ray.io/cluster": "demo",
        "ray.io/node-type": "head",
        "ray.io/identifier": "demo-head",
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
    }
    assert {**labels, "ray.io/group": "headgroup", "ray.io/is-ray-node": "yes"} == head["metadata"]["labels"]
    service = w.get(kinds.SERVICE, "demo-head-svc")
    assert service["metadata"]["labels"] == labels
    assert service["spec"] == {
        "selector": labels,
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "ports": [
            {"name": name, "port": port, "appProtocol": "tcp"}
            for name, port in (
                ("client", 10001), ("dashboard", 8265), ("gcs-server", 6379), ("metrics", 8080), ("serve", 8000),
            )
        ],
    }  # fmt: skip
    assert workers[0]["metadata"]["labels"]["ray.io/group"] == "small"
    assert [c["name"] for c in workers[0]["spec"]["initContainers"]] == ["wait-gcs-ready"]
    assert "initContainers" not in head["spec"]


def test_the_environment_is_kuberays():
    w = world()
    (head,), (worker,) = pods(w, "head"), pods(w, "worker")
    address = "demo-head-svc.default.svc.cluster.local"
    own = {
        "RAY_CLUSTER_NAME": "metadata.labels['ray.io/cluster']",
        "RAY_CLUSTER_NAMESPACE": "metadata.namespace",
        "RAY_CLOUD_INSTANCE_ID": "metadata.name",
        "RAY_NODE_TYPE_NAME": "metadata.labels['ray.io/group']",
        "RAY_PORT": "6379",
        "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
        "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE": "1",
    }
    found = env(head["spec"]["containers"][0])
    start = found.pop("KUBERAY_GEN_RAY_START_CMD")
    assert found.pop("RAY_USAGE_STATS_EXTRA_TAGS").endswith(";kuberay_crd=RayCluster")
    assert found == {**own, "RAY_ADDRESS": "127.0.0.1:6379"}
    assert start == (
        "ray start --head  --block  --dashboard-agent-listen-port=52365  --dashboard-host=0.0.0.0 "
        " --metrics-export-port=8080 "
    )
    assert head["spec"]["containers"][0]["args"] == [f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; {start}"]
    assert head["spec"]["containers"][0]["command"] == ["/bin/bash", "-c", "--"]
    container = worker["spec"]["containers"][0]
    found = env(container)
    start = found.pop("KUBERAY_GEN_RAY_START_CMD")
    host = {"FQ_RAY_IP": address, "RAY_IP": "demo-head-svc"}
    assert found == {**own, **host, "RAY_ADDRESS": f"{address}:6379"}
    assert start.startswith(f"ray start  --address={address}:6379  --block ")
    assert env(worker["spec"]["initContainers"][0]) == host
    assert container["volumeMounts"] == [{"name": "shared-mem", "mountPath": "/dev/shm"}]
    assert worker["spec"]["volumes"] == [{"name": "shared-mem", "emptyDir": {"medium": "Memory"}}]
    assert container["ports"] == [{"name": "metrics", "containerPort": 8080}]
    assert "exec" in container["readinessProbe"]


def test_from_2_53_on_the_agent_tells_the_health():
    w = world(rayVersion="2.60.0")
    probe = pods(w, "head")[0]["spec"]["containers"][0]["livenessProbe"]
    assert probe["httpGet"] == {"path": "/api/healthz", "port": 52365}


def test_status_follows_the_pods():
    resources = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "nvidia.com/gpu": "1"}}
    worker = {"name": "w", "image": "i", "resources": resources}
    w = world(group(replicas=2, template={"spec": {"containers": [worker]}}))
    assert w.status["desiredWorkerReplicas"] == 2
    assert w.status["maxWorkerReplicas"] == 5
    assert w.status["minWorkerReplicas"] == 0
    assert (w.status["desiredCPU"], w.status["desiredMemory"], w.status["desiredGPU"]) == ("1", "2Gi", "2")
    assert w.conditions() == [
        ("HeadPodReady", "False"), ("RayClusterProvisioned", "False"), ("RayClusterSuspended", "False"),
        ("RayClusterSuspending", "False"),
    ]  # fmt: skip
    assert "state" not in w.status
    ready(w)
    assert w.status["state"] == "ready"
    assert w.status["readyWorkerReplicas"] == w.status["availableWorkerReplicas"] == 2
    head = pods(w, "head")[0]["metadata"]["name"]
    assert w.status["head"] == {
        "podIP": "10.0.0.1", "podName": head, "serviceIP": "10.0.0.1", "serviceName": "demo-head-svc",
    }  # fmt: skip
    assert w.status["endpoints"]["dashboard"] == "8265"
    reasons = {c["type"]: c["reason"] for c in w.status["conditions"]}
    assert reasons["HeadPodReady"] == "HeadPodRunningAndReady"
    assert reasons["RayClusterProvisioned"] == "AllPodRunningAndReadyFirstTime"
    assert w.status["stateTransitionTimes"] == {"ready": rfc3339(w.now)}


def test_workers_alone_are_no_cluster():
    w = world()
    (head,), (worker,) = pods(w, "head"), pods(w, "worker")
    w.remove(kinds.POD, head["metadata"]["name"])
    up = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    w.change(kinds.POD, worker["metadata"]["name"], {"status": up})
    seen = w.plan().status
    assert seen is not None
    assert {c["type"]: c["status"] for c in seen["conditions"]}["RayClusterProvisioned"] == "False"


def test_scaling_up_and_down_takes_the_unready_and_the_youngest_first():
    w = ready(world(group(replicas=1)))
    first = pods(w, "worker")[0]["metadata"]["name"]
    w.wait(60)
    scale(w, replicas=3)
    assert len(pods(w, "worker")) == 3
    assert sorted(p["metadata"]["labels"]["ray.io/worker-group-replica-index"] for p in pods(w, "worker")) == list(
        "012"
    )
    ready(w)
    scale(w, replicas=1)
    assert [pod["metadata"]["name"] for pod in pods(w, "worker")] == [first]
    assert len(w.told("DeletedWorkerPod")) == 2
    scale(w, replicas=9)
    assert len(pods(w, "worker")) == 5, "never more than maxReplicas"


def test_the_chosen_workers_go_and_a_slow_end_is_not_counted():
    w = ready(world(group(replicas=3)))
    w.slow_deletes = True
    victim = pods(w, "worker")[1]["metadata"]["name"]
    scale(w, replicas=2, scaleStrategy={"workersToDelete": [victim]})
    going = [p["metadata"]["name"] for p in pods(w, "worker") if p["metadata"].get("deletionTimestamp")]
    assert going == [victim]
    w.bury()
    w.settle()
    assert len(pods(w, "worker")) == 2


def test_an_autoscaled_cluster_is_scaled_down_by_name_only():
    w = ready(world(group(replicas=3), enableInTreeAutoscaling=True))
    scale(w, replicas=1)
    assert len(pods(w, "worker")) == 3
    doomed = [pod["metadata"]["name"] for pod in pods(w, "worker")[:2]]
    scale(w, replicas=1, scaleStrategy={"workersToDelete": doomed})
    assert len(pods(w, "worker")) == 1


def test_a_lost_worker_is_replaced_and_one_that_cannot_start_makes_no_storm():
    w = ready(world(group(replicas=1)))
    w.wait(60)
    w.remove(kinds.POD, pods(w, "worker")[0]["metadata"]["name"])
    w.settle()
    (worker,) = pods(w, "worker")
    w.exit(worker["metadata"]["name"], 1, container="ray-worker")
    w.settle()
    assert [pod["metadata"]["name"] for pod in pods(w, "worker")] == [worker["metadata"]["name"]]
    assert w.again == 5.0
    w.wait(5)
    w.settle()
    (other,) = pods(w, "worker")
    assert other["metadata"]["name"] != worker["metadata"]["name"]
    assert "Pod status: Failed" in w.told("DeletedWorkerPod")[0]


def test_the_hosts_of_a_replica_live_and_die_together():
    w = ready(world(group(replicas=2, numOfHosts=2)))
    workers = pods(w, "worker")
    assert len(workers) == 4
    assert w.status["desiredWorkerReplicas"] == 4
    assert "demo-headless" in w.names(kinds.SERVICE)
    labels = workers[0]["metadata"]["labels"]
    replica = labels["ray.io/worker-group-replica-name"]
    assert replica.startswith("small-")
    assert labels["ray.io/replica-host-index"] in "01"
    w.wait(60)
    w.remove(kinds.POD, workers[0]["metadata"]["name"])
    w.settle()
    now = [pod["metadata"]["labels"]["ray.io/worker-group-replica-name"] for pod in pods(w, "worker")]
    assert len(now) == 4
    assert replica not in now
    assert len(set(now)) == 2


def test_a_suspended_cluster_has_no_pods_and_comes_back():
    w = ready(world())
    w.edit({"spec": {"suspend": True}})
    w.settle()
    assert w.names(kinds.POD) == []
    assert w.status["state"] == "suspended"
    assert ("RayClusterSuspended", "True") in w.conditions()
    assert ("RayClusterProvisioned", "False") in w.conditions()
    w.edit({"spec": {"suspend": False}})
    w.settle()
    assert len(w.names(kinds.POD)) == 2
    assert ("RayClusterSuspended", "False") in w.conditions()
    assert ready(w).status["state"] == "ready"


def test_a_suspended_group_has_no_pods():
    w = ready(world(group("a"), group("b", suspend=True)))
    assert {pod["metadata"]["labels"]["ray.io/group"] for pod in pods(w, "worker")} == {"a"}
    assert w.status["desiredWorkerReplicas"] == 1


def test_the_autoscaler_stands_beside_the_head_with_its_rights():
    w = world(enableInTreeAutoscaling=True, autoscalerOptions={"version": "v2", "idleTimeoutSeconds": 5})
    (head,) = pods(w, "head")
    ray, scaler = head["spec"]["containers"]
    assert scaler["name"] == "autoscaler"
    assert scaler["args"] == [
        "ray kuberay-autoscaler --cluster-name $(RAY_CLUSTER_NAME) --cluster-namespace $(RAY_CLUSTER_NAMESPACE)"
    ]
    assert head["spec"]["serviceAccountName"] == "demo"
    assert head["spec"]["restartPolicy"] == "Never"
    assert " --no-monitor " in env(ray)["KUBERAY_GEN_RAY_START_CMD"]
    assert env(ray)["RAY_enable_autoscaler_v2"] == "true"
    assert {"name": "ray-logs", "mountPath": "/tmp/ray"} in scaler["volumeMounts"]
    assert w.names(kinds.SERVICE_ACCOUNT) == w.names(kinds.ROLE) == w.names(kinds.ROLE_BINDING) == ["demo"]
    assert {"apiGroups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["get", "patch"]} in w.get(
        kinds.ROLE, "demo"
    )["rules"]


def test_an_account_that_the_user_names_is_the_users():
    template = {"spec": {"serviceAccountName": "mine", "containers": [{"name": "ray-head", "image": "i"}]}}
    w = world(head={"template": template}, enableInTreeAutoscaling=True)
    assert w.names(kinds.SERVICE_ACCOUNT) == []
    assert w.get(kinds.ROLE_BINDING, "demo")["subjects"][0]["name"] == "mine"


def test_a_token_is_made_once():
    w = world(authOptions={"mode": "token"})
    assert w.names(kinds.SECRET) == []
    w.probed = {"token": "s3cret"}
    w.settle()
    assert w.get(kinds.SECRET, "demo")["stringData"] == {"auth_token": "s3cret"}
    for container in (pods(w, "head")[0]["spec"]["containers"][0], pods(w, "worker")[0]["spec"]["initContainers"][0]):
        names = [entry["name"] for entry in container["env"]]
        assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} <= set(names)


def test_redis_is_configured_and_cleared():
    options = {"redisAddress": "redis:6379", "redisPassword": {"value": "p"}}
    w = world(gcsFaultToleranceOptions=options)
    assert w.subject is not None
    assert w.subject["metadata"]["finalizers"] == ["ray.io/gcs-ft-redis-cleanup-finalizer"]
    found = env(pods(w, "head")[0]["spec"]["containers"][0])
    assert found["RAY_REDIS_ADDRESS"] == "redis:6379"
    assert found["RAY_external_storage_namespace"] == "subject-uid"
    assert "--redis-password=$REDIS_PASSWORD" in found["KUBERAY_GEN_RAY_START_CMD"]
    assert env(pods(w, "worker")[0]["spec"]["containers"][0])["RAY_gcs_rpc_server_reconnect_timeout_s"] == "600"
    w.edit({"metadata": {"deletionTimestamp": rfc3339(w.now)}})
    w.settle()
    assert w.names(kinds.POD) == []
    assert w.names(kinds.JOB) == ["demo-redis-cleanup"]
    w.change(kinds.JOB, "demo-redis-cleanup", {"status": {"conditions": [{"type": "Complete", "status": "True"}]}})
    w.settle()
    assert w.subject["metadata"]["finalizers"] == []


def test_an_overwritten_command_is_left_alone():
    own = {"name": "ray-head", "image": "i", "command": ["bash", "-c"], "args": ["$KUBERAY_GEN_RAY_START_CMD"]}
    meta = {"annotations": {"ray.io/overwrite-container-cmd": "true"}}
    w = world(head={"template": {"spec": {"containers": [own]}}}, meta=meta)
    container = pods(w, "head")[0]["spec"]["containers"][0]
    assert (container["command"], container["args"]) == (own["command"], own["args"])
    assert "KUBERAY_GEN_RAY_START_CMD" in env(container)


def test_a_command_of_the_users_goes_first():
    own = {"name": "ray-head", "image": "i", "command": ["echo", "hello"]}
    w = world(head={"template": {"spec": {"containers": [own]}}})
    args = pods(w, "head")[0]["spec"]["containers"][0]["args"]
    assert args[0].startswith("echo hello && ulimit -n ")


def test_recreate_makes_all_pods_anew():
    w = ready(world(upgradeStrategy={"type": "Recreate"}))
    before = set(w.names(kinds.POD))
    w.wait(60)
    scale(w, replicas=2)
    assert before < set(w.names(kinds.POD)), "scaling is no change of the spec"
    w.wait(60)
    w.edit({"spec": {"headGroupSpec": {"rayStartParams": {"num-cpus": "0"}}}})
    w.settle()
    assert not before & set(w.names(kinds.POD))


def test_an_ingress_leads_to_the_dashboard():
    meta = {"annotations": {"kubernetes.io/ingress.class": "nginx"}}
    w = world(head={"enableIngress": True, "ingressOptions": {"host": "ray.local"}}, meta=meta)
    (rule,) = w.get(kinds.INGRESS, "demo-head-ingress")["spec"]["rules"]
    assert rule["host"] == "ray.local"
    backend = {"service": {"name": "demo-head-svc", "port": {"number": 8265}}}
    assert rule["http"]["paths"] == [{"path": "/", "pathType": "Prefix", "backend": backend}]


def test_a_custom_head_service_and_type():
    given = {"metadata": {"name": "mine", "annotations": {"a": "b"}}, "spec": {"ports": [{"name": "x", "port": 1}]}}
    w = world(head={"headService": given, "serviceType": "NodePort"})
    service = w.get(kinds.SERVICE, "mine")
    assert service["spec"]["type"] == "NodePort"
    assert service["spec"]["ports"][0] == {"name": "x", "port": 1}
    assert "--address=mine.default.svc.cluster.local:6379" in pods(w, "worker")[0]["spec"]["containers"][0]["args"][0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (cluster(group(minReplicas=3, maxReplicas=1)), "minReplicas 3 greater than maxReplicas 1"),
        (cluster(head={"template": {"spec": {"containers": []}}}), "headGroupSpec should have at least one container"),
        (cluster(group(), group()), "small is given twice"),
        (cluster(meta={"name": "x" * 54}), "no more than 53 characters"),
        (cluster(meta={"name": "9lives"}), "DNS1035"),
        (cluster(group(rayStartParams={"labels": "a=b"})), "top-level Labels field"),
        (cluster(authOptions={"mode": "token"}, rayVersion="2.40.0"), "minimum Ray version is 2.52.0"),
        (cluster(tlsOptions={"enabled": True}), "cert-manager"),
    ],
)
def test_what_cannot_be_run_is_told_once(given, said):
    w = World(operator(OperatorSettings()), given)
    w.settle()
    assert w.objects == {}
    assert w.status["state"] == "failed"
    assert said in w.status["reason"]
    assert w.reasons[0].warning
    assert said in w.reasons[0].message
    assert w.reasons[0].code in ("InvalidRayClusterSpec", "InvalidRayClusterMetadata")


def test_who_else_manages_it_is_left_to_them():
    w = world(managedBy="kueue.x-k8s.io/multikueue")
    assert w.objects == {}
    assert w.status == {}
