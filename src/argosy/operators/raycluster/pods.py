"""The pods of a Ray cluster, made from the spec's templates as KubeRay makes them. Called by `plan`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.meta.json import Obj, thaw
from argosy.meta.objects import owner_reference
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Cluster, Group, spec_hash
from argosy.operators.raycluster import autoscaler, environment, fault_tolerance, start
from argosy.operators.raycluster.schema import RAY_CLUSTER

WAIT = "wait-gcs-ready"
_WAIT_SCRIPT = """\
until said=$(ray health-check --address {address} 2>&1); do
  if (( SECONDS > 120 )); then echo "$said"; fi
  echo "$SECONDS seconds: the GCS at {address} does not answer yet"
  sleep 2
done
echo "The GCS at {address} is ready"
"""
_WAIT_RESOURCES: Obj = {
    "limits": {"cpu": "200m", "memory": "256Mi"},
    "requests": {"cpu": "200m", "memory": "256Mi"},
}


@dataclass(frozen=True, slots=True)
class Host:
    """A worker's place: which replica of its group it belongs to, and which host of that replica it is."""

    replica: int
    index: int = 0
    replica_name: str = ""
    """Only for groups of several hosts."""


def head(cluster: Cluster, subject: Obj, name: str) -> Obj:
    """The head's pod."""
    params = start.head_params(cluster)
    pod = _pod(cluster, subject, cluster.head, (names.HEAD, names.HEAD_GROUP), name)
    meta, spec = pod["metadata"], pod["spec"]
    container: Obj = spec["containers"][0]
    if cluster.autoscales:
        spec["serviceAccountName"] = names.clipped(cluster.autoscaler_account)
        scaler = autoscaler.container(cluster)
        environment.tokens([scaler], cluster)
        spec["containers"].append(scaler)
        if cluster.autoscaler_version:
            value = str(cluster.autoscaler_version == "v2").lower()
            environment.append(container, {"name": "RAY_enable_autoscaler_v2", "value": value})
        if cluster.autoscaler_version == "v2":
            spec["restartPolicy"] = "Never"
        # The autoscaler writes its log where the head's dashboard reads it.
        environment.directory(spec, [container, scaler], "ray-logs", "/tmp/ray", {})
    fault_tolerance.equip(pod, cluster, names.HEAD)
    meta["annotations"] |= {names.RECREATE_HASH: spec_hash(cluster.spec), names.OPERATOR_VERSION: names.KUBERAY_VERSION}
    if cluster.creator == "RayService":
        meta["labels"][names.LABEL_SERVE] = "false"  # until the Serve proxy on the head answers
    _finish(pod, cluster, names.HEAD, params)
    return pod


def worker(cluster: Cluster, subject: Obj, group: Group, host: Host, name: str) -> Obj:
    """A worker's pod."""
    params = start.worker_params(cluster, group.spec)
    pod = _pod(cluster, subject, group.spec, (names.WORKER, group.name), name)
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    labels[names.LABEL_REPLICA_INDEX] = str(host.replica)
    if group.hosts > 1:
        labels |= {names.LABEL_REPLICA_NAME: host.replica_name, names.LABEL_HOST_INDEX: str(host.index)}
    spec["initContainers"] = [*(spec.get("initContainers") or ()), _waiting(cluster, spec["containers"][0])]
    fault_tolerance.equip(pod, cluster, names.WORKER)
    if cluster.autoscales and cluster.autoscaler_version == "v2":
        spec["restartPolicy"] = "Never"
    if cluster.creator == "RayService":
        labels[names.LABEL_SERVE] = "true"  # its readiness probe asks the Serve proxy
    _finish(pod, cluster, names.WORKER, params)
    return pod


def _pod(cluster: Cluster, subject: Obj, group: Obj, place: tuple[str, str], name: str) -> Obj:
    """A pod from a group's template; `place` is the node's type and the group's name."""
    node_type, group_name = place
    template: Obj = thaw(group.get("template") or {})
    meta: Obj = template.get("metadata") or {}
    fixed = {names.LABEL_NODE_TYPE: node_type, names.LABEL_GROUP: group_name, names.LABEL_CLUSTER: cluster.name}
    labels = {
        names.LABEL_IS_NODE: "yes",
        names.LABEL_IDENTIFIER: names.label_value(f"{cluster.name}-{node_type}"),
        names.LABEL_APP: names.APP,
        names.LABEL_CREATED_BY: names.COMPONENT,
        **(meta.get("labels") or {}),
        **(group.get("labels") or {}),
        **fixed,
    }
    annotations = dict(meta.get("annotations") or {})
    if cluster.annotations.get(names.OVERWRITE_COMMAND, "").lower() == "true":
        annotations[names.OVERWRITE_COMMAND] = "true"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner_reference(subject, RAY_CLUSTER)],
        },
        "spec": template.get("spec") or {},
    }


def _waiting(cluster: Cluster, container: Obj) -> Obj:
    """The init container that holds a worker back until the head's GCS answers: the worker's image, and what it sees."""
    made: Obj = {
        "name": WAIT,
        "image": container.get("image"),
        "command": list(names.SHELL),
        "args": [_WAIT_SCRIPT.format(address=f"{cluster.address}:{cluster.gcs_port}")],
        "env": thaw(container.get("env") or []),
        "volumeMounts": thaw(container.get("volumeMounts") or []),
        "resources": thaw(_WAIT_RESOURCES),
    }
    for field in ("imagePullPolicy", "securityContext"):
        if container.get(field):
            made[field] = thaw(container[field])
    return made


def _finish(pod: Obj, cluster: Cluster, node_type: str, params: dict[str, str]) -> None:
    """What heads and workers have in common, once their own is in the thawed pod."""
    spec = pod["spec"]
    container: Obj = spec["containers"][0]
    waiting = [each for each in spec.get("initContainers") or () if each.get("name") == WAIT]
    environment.metrics_port(container)
    environment.tokens([container, *waiting], cluster)
    environment.shared_memory(spec, container, params)
    command = start.command(node_type, params, container)
    overwrite = pod["metadata"]["annotations"].get(names.OVERWRITE_COMMAND, "").lower() == "true"
    start.wrapped(container, command, overwrite=overwrite)
    for init in spec.get("initContainers") or ():
        environment.append(init, *environment.ray_address(cluster.address))
    environment.equip(container, cluster, node_type, command)
    environment.probes(container, cluster, node_type, params)
