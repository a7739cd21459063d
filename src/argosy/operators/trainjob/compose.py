"""From a TrainJob and its runtime to the JobSet that runs it. Pure; called by `plan`.

The order is upstream's: patches, numbers of nodes, resources, the framework's environment, initializers, then what the
TrainJob itself says about the trainer.
"""

from __future__ import annotations

from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import owner_reference
from argosy.operators.jobset import first
from argosy.operators.trainjob import frameworks, mpi, patches, resume, template, torch
from argosy.operators.trainjob.job import Runtime, TrainJob
from argosy.operators.trainjob.schema import DATASET, MODEL, NODE, TRAIN_JOB, TRAINER

_FRAMEWORKS = {
    "torch": torch.equip,
    "mpi": mpi.equip,
    "jax": frameworks.equip_jax,
    "xgboost": frameworks.equip_xgboost,
}


def job_set(job: TrainJob, runtime: Runtime, owner: Obj) -> Obj:
    """The JobSet of a TrainJob that `problems` finds nothing wrong with."""
    made: Obj = thaw(runtime.template)
    patches.carry_out(job, made)
    spec: Obj = made.setdefault("spec", {})
    jobs: list[Obj] = spec.setdefault("replicatedJobs", [])
    _count(job, runtime, jobs)
    for each in _trainers(runtime, jobs):
        _set_resources(job, each)
    equip = _FRAMEWORKS.get(runtime.source)
    _set_trainer(job, runtime, jobs)
    if equip is not None:
        equip(job, runtime, jobs)
    resume.equip(job, spec, _trainers(runtime, jobs))
    _set_initializer(job.dataset, DATASET, jobs)
    _set_initializer(job.model, MODEL, jobs)
    spec["suspend"] = job.suspend
    metadata: Obj = {"name": job.name, "namespace": job.namespace}
    given: Obj = made.get("metadata") or {}
    for field, own in (("labels", job.labels), ("annotations", job.annotations)):
        together = {**(given.get(field) or {}), **own}
        if field == "annotations" and job.stops_on_mistakes and (job.checkpoint_dir or job.watched):
            together.setdefault(first.USER_ERRORS, first.STOP)
        if together:
            metadata[field] = together
    metadata["ownerReferences"] = [owner_reference(owner, TRAIN_JOB)]
    return {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": metadata, "spec": spec}


def nodes(job: TrainJob, runtime: Runtime) -> int:
    """How many training nodes there are."""
    asked = job.trainer.get("numNodes")
    return int(asked if asked is not None else runtime.policy.get("numNodes") or 1)


def _count(job: TrainJob, runtime: Runtime, jobs: list[Obj]) -> None:
    """Write the number of pods into every Job: the trainer's is the number of nodes."""
    for each in jobs:
        job_spec: Obj = each.setdefault("template", {}).setdefault("spec", {})
        count = int(job_spec.get("parallelism") or 1)
        if runtime.source == "mpi":
            count = mpi.count(each, nodes(job, runtime), runtime, default=count)
        elif template.step_of(each) == TRAINER and (runtime.policy or job.trainer.get("numNodes") is not None):
            count = nodes(job, runtime)
        job_spec["parallelism"] = job_spec["completions"] = count
        if template.step_of(each) in (TRAINER, DATASET, MODEL):
            each["replicas"] = 1


def _trainers(runtime: Runtime, jobs: list[Obj]) -> list[Obj]:
    """The replicated jobs that train; under MPI's `runLauncherAsNode` the launcher is one node and the others follow it."""
    as_node = bool(runtime.source == "mpi" and runtime.settings.get("runLauncherAsNode"))
    return [each for each in jobs if template.step_of(each) == TRAINER or (as_node and each["name"] == NODE)]


def _set_resources(job: TrainJob, each: Obj) -> None:
    container, asked = template.container_of(each), job.trainer.get("resourcesPerNode")
    if container is None or not asked:
        return
    resources: Obj = container.get("resources") or {}
    for field in ("requests", "limits"):
        if asked.get(field):
            resources[field] = {**(resources.get(field) or {}), **asked[field]}
    container["resources"] = resources


def _set_trainer(job: TrainJob, runtime: Runtime, jobs: list[Obj]) -> None:
    """Image, command and arguments go to the trainer alone, variables to every node."""
    for each in _trainers(runtime, jobs):
        container = template.container_of(each)
        if container is None:
            continue
        if template.step_of(each) == TRAINER:
            container |= {field: job.trainer[field] for field in ("image", "command", "args") if job.trainer.get(field)}
        template.set_env(container, job.trainer.get("env") or ())


def _set_initializer(asked: Obj | None, step: str, jobs: list[Obj]) -> None:
    if asked is None:
        return
    for each in jobs:
        container = template.container_of(each, step)
        if template.step_of(each) != step or container is None:
            continue
        if asked.get("storageUri") is not None:
            template.set_env(container, template.env(STORAGE_URI=asked["storageUri"]))
        template.set_env(container, asked.get("env") or ())
        secret = dig(asked, "secretRef", "name")
        if secret:
            container["envFrom"] = [*(container.get("envFrom") or ()), {"secretRef": {"name": secret}}]
