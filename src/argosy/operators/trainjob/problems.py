"""What is wrong with a TrainJob under its runtime, in sentences. Upstream refuses these in a webhook; here the TrainJob
fails and says why. Pure; called by `plan` before anything is made.
"""

from __future__ import annotations

from collections.abc import Iterator

from argosy.meta.json import Obj, dig
from argosy.operators.trainjob import mpi, patches, template, torch
from argosy.operators.trainjob.job import Runtime, TrainJob
from argosy.operators.trainjob.schema import DATASET, LAUNCHER, MODEL, NODE, TRAINER

_XGBOOST = ("DMLC_TRACKER_URI", "DMLC_TRACKER_PORT", "DMLC_TASK_ID", "DMLC_NUM_WORKER")
_RESERVED = {"torch": torch.RESERVED, "mpi": mpi.RESERVED, "xgboost": _XGBOOST}
_TUNED = ("llama3_2/1B", "llama3_2/3B", "llama3_3/70B", "qwen2_5/1.5B")


def problems(job: TrainJob, runtime: Runtime) -> list[str]:
    """One clause for each mistake."""
    jobs: list[Obj] = dig(runtime.template, "spec", "replicatedJobs", default=[])
    return [*_of_runtime(job, runtime, jobs), *_of_trainer(job, runtime), *_of_patches(job, jobs), *job.unreadable]


def _of_runtime(job: TrainJob, runtime: Runtime, jobs: list[Obj]) -> Iterator[str]:
    trainer = next((each for each in jobs if template.step_of(each) == TRAINER), None)
    if trainer is None:
        yield (
            f"the runtime {runtime.name} has no replicated job with the label trainer.kubeflow.org/trainjob-ancestor-step: "
            f"{TRAINER} on its template"
        )
    elif _containers(trainer).isdisjoint({NODE}):
        yield f"the runtime {runtime.name} has no container named {NODE} in its replicated job {trainer['name']}"
    for step, asked in ((DATASET, job.dataset), (MODEL, job.model)):
        found = template.job_named(jobs, step)
        if asked is not None and (found is None or step not in _containers(found)):
            yield f"the runtime {runtime.name} has no replicated job and container named {step}, which spec.initializer needs"
    if runtime.source == "flux":
        yield f"the runtime {runtime.name} is for Flux, which is not supported; use torch, mpi, jax or xgboost"
    as_node = runtime.source == "mpi" and bool(runtime.settings.get("runLauncherAsNode"))
    alone = template.job_named(jobs, LAUNCHER) is None or template.job_named(jobs, NODE) is None
    if as_node and alone and int(job.trainer.get("numNodes") or 1) > 1:
        yield f"numNodes over 1 needs replicated jobs named {LAUNCHER} and {NODE} in the runtime {runtime.name}"


def _of_trainer(job: TrainJob, runtime: Runtime) -> Iterator[str]:
    taken = [
        entry["name"] for entry in job.trainer.get("env") or () if entry["name"] in _RESERVED.get(runtime.source, ())
    ]
    if taken:
        yield f"spec.trainer.env sets {', '.join(taken)}, which the {runtime.source} runtime sets itself; remove it"
    asked = job.trainer.get("numProcPerNode")
    if asked is not None and not (str(asked).isdigit() and int(asked) > 0) and asked not in ("auto", "cpu", "gpu"):
        yield f"spec.trainer.numProcPerNode {asked!r} is neither a number over 0 nor auto, cpu or gpu"
    if runtime.source == "torch" and job.trainer.get("command") == torch.TUNE:
        yield from _of_torchtune(job)


def _of_torchtune(job: TrainJob) -> Iterator[str]:
    model, nodes = torch.tuned_model(job.runtime_name), int(job.trainer.get("numNodes") or 1)
    if not torch.is_of_torchtune(job):
        return
    if model not in _TUNED:
        yield f"the runtime {job.runtime_name} stands for no model that torchtune knows ({', '.join(_TUNED)})"
    elif nodes > 1 and model != "llama3_3/70B":
        yield f"spec.trainer.numNodes must be 1 for {model}"
    if nodes > 1 and torch.asks_for_lora(job):
        yield "torchtune has no LoRA over several nodes; set spec.trainer.numNodes to 1"
    for arg in job.trainer.get("args") or ():
        if arg.partition("=")[0] in torch.KEPT_BY_RUNTIME:
            yield f"spec.trainer.args sets {arg.partition('=')[0]}, which the runtime keeps; remove it"


def _of_patches(job: TrainJob, jobs: list[Obj]) -> Iterator[str]:
    for name, patch in patches.targets(job):
        found = template.job_named(jobs, name)
        if found is None:
            known = ", ".join(str(each["name"]) for each in jobs)
            yield f"a patch is for the replicated job {name}, which the runtime does not have; it has {known}"
            continue
        spec: Obj = dig(patch, "spec", "template", "spec", default={})
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            if container["name"] not in _containers(found):
                yield f"a patch is for the container {container['name']}, which the replicated job {name} does not have"
            elif container.get("env") and container["name"] in (NODE, DATASET, MODEL):
                yield f"a patch sets variables of the container {container['name']}; set them in spec.trainer or spec.initializer"


def _containers(job: Obj) -> set[str]:
    spec = dig(job, "template", "spec", "template", "spec", default={})
    both = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return {str(container.get("name")) for container in both}
