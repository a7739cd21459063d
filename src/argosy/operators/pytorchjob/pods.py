"""The objects that a job is made of: a pod and a headless Service per replica, the autoscaler of an elastic job.

Pure construction, called by `plan`. The same job, replica, index and epoch always give the same object.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy import kinds
from argosy.meta.json import Obj, thaw
from argosy.meta.objects import owner_reference
from argosy.operators.pytorchjob.job import Job, Replica
from argosy.operators.pytorchjob.rendezvous import environment, ports, restart_environment
from argosy.operators.pytorchjob.schema import (
    CONTAINER,
    LABEL_INDEX,
    LABEL_JOB,
    LABEL_OPERATOR,
    LABEL_ROLE,
    LABEL_TYPE,
    MASTER,
    OPERATOR_NAME,
    PYTORCH_JOB,
    WORKER,
)
from argosy.operators.settings import PREFIX

LABEL_EPOCH = f"{PREFIX}restart-epoch"
INIT_CONTAINER = "init-pytorch"
_WAIT_FOR_MASTER = """\
case "$MASTER_ADDR" in *[!0-9.]*) ;; *) exit 0 ;; esac
tries=0
until getent hosts "$MASTER_ADDR" >/dev/null 2>&1 || nslookup "$MASTER_ADDR" >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -ge 120 ]; then echo "$MASTER_ADDR did not resolve: is the master pod running?" >&2; exit 1; fi
  if [ $tries -le 20 ]; then sleep 0.2; else echo "waiting for $MASTER_ADDR"; sleep 2; fi
done"""
"""An address in place of a name needs no waiting: some clusters put it there where names do not resolve."""


@dataclass(frozen=True, slots=True)
class Gang:
    """How the cluster at hand wants to hear that pods belong together; empty parts where it does not."""

    labels: Obj
    annotations: Obj
    spec: Obj
    task_annotation: str = ""
    """An annotation that names the pod's replica type, for schedulers that want it."""


def selector_labels(job: Job, type: str) -> dict[str, str]:
    """The labels that all pods of a replica type share, and `status.replicaStatuses[].selector` names."""
    return {LABEL_JOB: job.name, LABEL_OPERATOR: OPERATOR_NAME, LABEL_TYPE: type.lower()}


def pod(job: Job, slot: tuple[Replica, int], epoch: int, gang: Gang, *, owner: Obj, init_image: str) -> Obj:
    """The pod of one slot in one epoch."""
    replica, index = slot
    template: Obj = thaw(replica.template)
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    labels = {**(meta.get("labels") or {}), **gang.labels, **selector_labels(job, replica.type)}
    labels |= {LABEL_INDEX: str(index), LABEL_EPOCH: str(epoch)}
    if replica.type == (MASTER if job.has_master else WORKER) and index == 0:
        labels[LABEL_ROLE] = "master"
    metadata: Obj = {
        "name": job.pod_name(replica.type, index),
        "namespace": job.namespace,
        "labels": labels,
        "ownerReferences": [owner_reference(owner, PYTORCH_JOB)],
    }
    annotations = {**(meta.get("annotations") or {}), **gang.annotations}
    if gang.task_annotation:
        annotations[gang.task_annotation] = replica.type.lower()
    if annotations:
        metadata["annotations"] = annotations
    spec["restartPolicy"] = pod_restart_policy(job, replica)
    spec |= gang.spec
    for container in spec.get("containers") or ():
        _equip(container, job, replica, index, epoch)
    if replica.type == WORKER and job.has_master:
        waiting = _init_container(job.pod_name(MASTER, 0), init_image)
        spec["initContainers"] = [*(spec.get("initContainers") or ()), waiting]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def pod_restart_policy(job: Job, replica: Replica) -> str:
    """`Never` where the operator restarts: a container that restarts in place cannot rejoin its process group."""
    if job.whole_gang or replica.restart_policy == "ExitCode":
        return "Never"
    return replica.restart_policy


def service(job: Job, replica: Replica, index: int, owner: Obj) -> Obj:
    """The headless Service that gives one pod its name."""
    labels = selector_labels(job, replica.type) | {LABEL_INDEX: str(index)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": job.pod_name(replica.type, index),
            "namespace": job.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(owner, PYTORCH_JOB)],
        },
        "spec": {
            "clusterIP": "None",
            "selector": labels,
            "ports": [{"name": name, "port": port} for name, port in ports(replica)],
        },
    }


def autoscaler(job: Job, owner: Obj) -> Obj | None:
    """The HorizontalPodAutoscaler of an elastic job that gives metrics."""
    policy = job.elastic or {}
    if not policy.get("metrics") or policy.get("maxReplicas") is None:
        return None
    spec: Obj = {
        "scaleTargetRef": {"apiVersion": PYTORCH_JOB.api_version, "kind": PYTORCH_JOB.kind, "name": job.name},
        "maxReplicas": policy["maxReplicas"],
        "metrics": policy["metrics"],
    }
    if policy.get("minReplicas") is not None:
        spec["minReplicas"] = policy["minReplicas"]
    kind = kinds.HORIZONTAL_POD_AUTOSCALER
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": job.name,
            "namespace": job.namespace,
            "ownerReferences": [owner_reference(owner, PYTORCH_JOB)],
        },
        "spec": spec,
    }


def _equip(container: Obj, job: Job, replica: Replica, index: int, epoch: int) -> None:
    """Give a container its environment, and the training container its port. Changes the thawed template."""
    ours = environment(job, replica, index)
    given = [entry for entry in container.get("env") or () if entry.get("name") not in ours]
    names = {entry.get("name") for entry in given}
    contract = {name: value for name, value in restart_environment(job, epoch).items() if name not in names}
    container["env"] = given + [{"name": name, "value": value} for name, value in (ours | contract).items()]
    if container.get("name") == CONTAINER:
        taken = {port.get("name") for port in container.get("ports") or ()}
        added = [{"name": name, "containerPort": port} for name, port in ports(replica) if name not in taken]
        container["ports"] = [*(container.get("ports") or ()), *added]


def _init_container(host: str, image: str) -> Obj:
    return {
        "name": INIT_CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _WAIT_FOR_MASTER],
        "env": [{"name": "MASTER_ADDR", "value": host}],
        "resources": {
            "limits": {"cpu": "100m", "memory": "20Mi"},
            "requests": {"cpu": "50m", "memory": "10Mi"},
        },
    }
