"""The objects that a job is made of: a pod and a headless Service per replica.

Pure construction, called by `plan`. The same job, replica, index and epoch always give the same object.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy.meta.json import Obj, thaw
from argosy.meta.objects import owner_reference
from argosy.operators.gang import datasets
from argosy.operators.gang.env import entries
from argosy.operators.gang.framework import WORKER
from argosy.operators.gang.job import Job, Replica
from argosy.operators.gang.labels import LABEL_EPOCH, LABEL_INDEX, LABEL_ROLE, LABEL_SIZE
from argosy.operators.gang.restart import environment as restart_environment
from argosy.operators.tracking.job import CONTEXT, RUN_ID, URI


@dataclass(frozen=True, slots=True)
class Gang:
    """How the cluster at hand wants to hear that pods belong together; empty parts where it does not."""

    labels: Obj
    annotations: Obj
    spec: Obj
    task_annotation: str = ""
    """An annotation that names the pod's replica type, for schedulers that want it."""


def pod(job: Job, slot: tuple[Replica, int], epoch: int, gang: Gang, *, owner: Obj, init_image: str) -> Obj:
    """The pod of one slot in one epoch."""
    replica, index = slot
    template: Obj = thaw(replica.template)
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    labels = {**(meta.get("labels") or {}), **gang.labels, **job.selector(replica.type)}
    labels |= {LABEL_INDEX: str(index), LABEL_EPOCH: str(epoch), LABEL_SIZE: str(job.total)}
    if _is_master(job, replica.type, index):
        labels[LABEL_ROLE] = "master"
    metadata: Obj = {
        "name": job.pod_name(replica.type, index),
        "namespace": job.namespace,
        "labels": labels,
        "ownerReferences": [owner_reference(owner, job.framework.kind)],
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
    datasets.equip(spec, job.datasets, owner, job.framework.container)
    first = job.framework.init_containers(job, replica, init_image)
    if first:
        spec["initContainers"] = [*(spec.get("initContainers") or ()), *first]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def pod_restart_policy(job: Job, replica: Replica) -> str:
    """`Never` where the operator restarts: a container that restarts in place cannot rejoin its process group."""
    if job.whole_gang or replica.restart_policy == "ExitCode":
        return "Never"
    return replica.restart_policy


def service(job: Job, replica: Replica, index: int, owner: Obj) -> Obj:
    """The headless Service that gives one pod its name."""
    labels = job.selector(replica.type) | {LABEL_INDEX: str(index)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": job.pod_name(replica.type, index),
            "namespace": job.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(owner, job.framework.kind)],
        },
        "spec": {
            "clusterIP": "None",
            "selector": labels,
            "ports": [{"name": name, "port": port} for name, port in job.ports(replica)],
        },
    }


def _tracking(job: Job, replica: Replica, index: int, given: set[str]) -> list[Obj]:
    """What MLflow's client reads, for containers that are told a server: whose run it is, and the one to go on with."""
    if URI not in given:
        return []
    ours = {CONTEXT: job.run_context}
    if job.run and replica.type == job.lead and index == 0:
        ours[RUN_ID] = job.run
    return entries({name: value for name, value in ours.items() if name not in given})


def _is_master(job: Job, type: str, index: int) -> bool:
    if job.has_master:
        return type in job.framework.masters
    return job.framework.worker_0_is_master and type == WORKER and index == 0


def _equip(container: Obj, job: Job, replica: Replica, index: int, epoch: int) -> None:
    """Give a container its environment, and the training container its port. Changes the thawed template."""
    trains = container.get("name") == job.framework.container
    ours = job.framework.environment(job, replica, index) if trains or job.framework.env_everywhere else ()
    taken = {entry["name"] for entry in ours}
    given = [entry for entry in container.get("env") or () if entry.get("name") not in taken]
    taken |= {entry.get("name") for entry in given}
    contract = [entry for entry in restart_environment(job, epoch) if entry["name"] not in taken]
    container["env"] = [*given, *ours, *contract, *_tracking(job, replica, index, taken)]
    if trains:
        named = {port.get("name") for port in container.get("ports") or ()}
        added = [{"name": name, "containerPort": port} for name, port in job.ports(replica) if name not in named]
        container["ports"] = [*(container.get("ports") or ()), *added]
