"""The environment, probes and volumes that make a container a node of a Ray cluster, as KubeRay gives them.

Every function changes a thawed container or pod spec; `pods` puts them together. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from argosy.meta.json import Obj, dig
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Cluster, env_value, port_named

_HEALTHZ_VERSION = (2, 53)
"""From here on one HTTP endpoint of the agent tells a node's health; before, wget asks raylet and GCS in turn."""


def append(container: Obj, *entries: Obj) -> None:
    """Add variables at the end, whether or not they are there: the later one holds."""
    container["env"] = [*(container.get("env") or ()), *entries]


def default(container: Obj, name: str, value: str) -> None:
    """Add a variable unless the container has it."""
    if env_value(container, name) is None:
        append(container, {"name": name, "value": value})


def from_field(name: str, path: str) -> Obj:
    """A variable that holds a field of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def ray_address(address: str) -> tuple[Obj, Obj]:
    """Where the head is, under both of its names."""
    return {"name": "FQ_RAY_IP", "value": address}, {"name": "RAY_IP", "value": address.split(".", maxsplit=1)[0]}


def equip(container: Obj, cluster: Cluster, node_type: str, start: str) -> None:
    """The variables of Ray's container."""
    host = cluster.address if node_type == names.WORKER else "127.0.0.1"
    if node_type == names.WORKER:
        append(container, *ray_address(cluster.address))
    append(
        container,
        from_field("RAY_CLUSTER_NAME", f"metadata.labels['{names.LABEL_CLUSTER}']"),
        from_field("RAY_CLUSTER_NAMESPACE", "metadata.namespace"),
        from_field("RAY_CLOUD_INSTANCE_ID", "metadata.name"),
        from_field("RAY_NODE_TYPE_NAME", f"metadata.labels['{names.LABEL_GROUP}']"),
        {"name": "KUBERAY_GEN_RAY_START_CMD", "value": start},
    )
    default(container, "RAY_PORT", cluster.gcs_port)
    if cluster.creator == "RayService":
        default(container, "RAY_timeout_ms_task_wait_for_death_info", "0")
        default(container, "RAY_gcs_server_request_timeout_seconds", "5")
        default(container, "RAY_SERVE_KV_TIMEOUT_S", "5")
    default(container, "RAY_ADDRESS", f"{host}:{cluster.gcs_port}")
    default(container, "RAY_USAGE_STATS_KUBERAY_IN_USE", "1")
    if node_type == names.HEAD:
        tags = f"kuberay_version={names.KUBERAY_VERSION};kuberay_crd={cluster.creator}"
        append(container, {"name": "RAY_USAGE_STATS_EXTRA_TAGS", "value": tags})
    default(container, "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "1")


def tokens(containers: Iterable[Obj], cluster: Cluster) -> None:
    """Ray's token for each of these containers, where the cluster asks for one."""
    if not cluster.token_auth:
        return
    for container in containers:
        default(container, "RAY_AUTH_MODE", "token")
        if env_value(container, "RAY_AUTH_TOKEN") is None:
            secret = {"name": cluster.token_secret, "key": "auth_token"}
            append(container, {"name": "RAY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": secret}})


def metrics_port(container: Obj) -> None:
    """The port that Prometheus finds."""
    if not any(port.get("name") == "metrics" for port in container.get("ports") or ()):
        port = {"name": "metrics", "containerPort": names.METRICS_PORT}
        container["ports"] = [*(container.get("ports") or ()), port]


def directory(spec: Obj, containers: Iterable[Obj], name: str, path: str, volume: Obj) -> None:
    """Mount an emptyDir at a path of these containers, unless something is there already."""
    for container in containers:
        mounts = container.get("volumeMounts") or []
        if any(mount.get("mountPath") == path for mount in mounts):
            continue
        if not any(known.get("name") == name for known in spec.get("volumes") or ()):
            spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "emptyDir": volume}]
        container["volumeMounts"] = [*mounts, {"name": name, "mountPath": path}]


def shared_memory(spec: Obj, container: Obj, params: Mapping[str, str]) -> None:
    """/dev/shm for the object store, as large as the container's memory; not where the user keeps it elsewhere."""
    if "plasma-directory" in params:
        return
    limit = dig(container, "resources", "limits", "memory") or dig(container, "resources", "requests", "memory")
    volume: Obj = {"medium": "Memory"} | ({"sizeLimit": limit} if limit else {})
    directory(spec, [container], "shared-mem", "/dev/shm", volume)


def probes(container: Obj, cluster: Cluster, node_type: str, params: Mapping[str, str]) -> None:
    """Liveness and readiness, unless the user gives them; a RayService's worker is ready when its Serve proxy is."""
    agent = _port(params, "dashboard-agent-listen-port", names.AGENT_PORT)
    checks = [_wget(agent, "api/local_raylet_healthz")]
    if node_type == names.HEAD:
        checks.append(_wget(_port(params, "dashboard-port", names.DASHBOARD_PORT), "api/gcs_healthz"))
    timing: Obj = {"timeoutSeconds": 5 if node_type == names.HEAD else 2, "periodSeconds": 5, "successThreshold": 1}
    look: Obj = {"exec": {"command": ["bash", "-c", " && ".join(checks)]}}
    if cluster.version >= _HEALTHZ_VERSION:
        look = {"httpGet": {"path": "/api/healthz", "port": agent}}
    if not container.get("livenessProbe"):
        container["livenessProbe"] = {"initialDelaySeconds": 30, "failureThreshold": 120, **timing, **look}
    if container.get("readinessProbe"):
        return
    container["readinessProbe"] = ready = {"initialDelaySeconds": 10, "failureThreshold": 10, **timing, **look}
    if cluster.creator == "RayService" and node_type == names.WORKER:
        proxy = _wget(port_named(container, "serve", names.SERVE_PORT), "-/healthz")
        ready.pop("httpGet", None)
        ready |= {"failureThreshold": 1, "exec": {"command": ["bash", "-c", " && ".join([*checks, proxy])]}}


def _port(params: Mapping[str, str], name: str, otherwise: int) -> int:
    given = params.get(name, "")
    return int(given) if given.isdigit() else otherwise


def _wget(port: int, path: str) -> str:
    return f"wget --tries 1 -T 2 -q -O- http://localhost:{port}/{path} | grep success"
