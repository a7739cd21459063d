"""torchrun's environment, and torchtune's command line. Pure; called by `compose`.

torchrun reads `PET_*` in place of arguments, so a command is the same on one node and on many. torchtune takes the meeting
point as an argument and wants to be told its recipe, which follows from how many processes there are and from whether
the TrainJob's arguments ask for LoRA.
"""

from __future__ import annotations

from argosy.meta.json import Obj, dig
from argosy.operators.trainjob import template
from argosy.operators.trainjob.frameworks import address_of_first, cpus, gpus, open_port, trainer_of
from argosy.operators.trainjob.job import Runtime, TrainJob
from argosy.operators.trainjob.schema import PORT

RESERVED = ("PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT")
TUNE = ["tune", "run"]
KEPT_BY_RUNTIME = ("output_dir", "tokenizer.path", "checkpointer.checkpoint_dir", "tokenizer.merges_file")
"""torchtune's settings that a runtime fixes and a TrainJob may not."""


def equip(job: TrainJob, runtime: Runtime, jobs: list[Obj]) -> None:
    """Give the trainer, and the containers that the runtime names beside it, what torchrun needs."""
    container, nodes = trainer_of(jobs)
    if container is None:
        return
    processes = processes_per_node(job, runtime, container)
    numbers = [
        *template.env(PET_NNODES=nodes, PET_NPROC_PER_NODE=processes),
        template.env_of_index("PET_NODE_RANK"),
    ]
    master = template.env(PET_MASTER_ADDR=address_of_first(job), PET_MASTER_PORT=PORT)
    template.set_env(container, numbers)
    if job.trainer.get("command") == TUNE:
        container["command"] = _tune(job, jobs_command(runtime), nodes, processes, gpus(container))
    else:
        template.set_env(container, master)
    open_port(container)
    for target in dig(runtime.settings, "envInjection", "targets", default=()):
        other = template.job_named(jobs, target["jobName"])
        for name in target["containerNames"] if other is not None else ():
            beside = template.container_of(other or {}, name)
            if beside is not None:
                template.set_env(beside, [*numbers, *master])


def processes_per_node(job: TrainJob, runtime: Runtime, container: Obj) -> str:
    """`auto` counts GPUs when the program runs; without any asked for, the CPUs that are asked for decide now."""
    asked = job.trainer.get("numProcPerNode")
    asked = runtime.settings.get("numProcPerNode", "auto") if asked is None else asked
    if str(asked).isdigit() or asked == "gpu" or gpus(container):
        return str(asked)
    return str(max(1, cpus(container)))


def jobs_command(runtime: Runtime) -> list[str]:
    """The command of the runtime's own trainer."""
    jobs: list[Obj] = dig(runtime.template, "spec", "replicatedJobs", default=[])
    for each in jobs:
        for container in dig(each, "template", "spec", "template", "spec", "containers", default=()):
            if container.get("name") == "node":
                return list(container.get("command") or ())
    return []


def tuned_model(runtime_name: str) -> str:
    """The name that torchtune has for a runtime's model: `qwen2_5/1.5B` for `torchtune-qwen2.5-1.5b`; empty for other runtimes."""
    parts = runtime_name.split("-")
    return f"{parts[1].replace('.', '_')}/{parts[2].upper()}" if len(parts) == 3 else ""


def is_of_torchtune(job: TrainJob) -> bool:
    """Whether the runtime is one of upstream's, which stand for a model each."""
    return job.runtime_name.startswith("torchtune-")


def asks_for_lora(job: TrainJob) -> bool:
    """Whether the TrainJob's arguments name LoRA's modules, or a quantized base."""
    return any("model.lora_attn_modules" in arg for arg in job.trainer.get("args") or ()) or _quantized(job)


def _quantized(job: TrainJob) -> bool:
    def on(setting: str) -> bool:
        pairs = (arg.partition("=") for arg in job.trainer.get("args") or ())
        return any(setting in name and value.strip().lower() == "true" for name, _, value in pairs)

    return on("model.quantize_base") and not on("model.use_dora")


def _tune(job: TrainJob, given: list[str], nodes: int, processes: str, gpu_count: int) -> list[str]:
    many = nodes > 1 or (processes.isdigit() and int(processes) > 1) or (not processes.isdigit() and gpu_count > 1)
    command = [*TUNE, *([f"--rdzv_endpoint={address_of_first(job)}:{PORT}"] if many else [])]
    single = nodes == 1 and (processes == "1" or gpu_count == 1)
    # Upstream's runtimes are each of one model; another is of any, and its `tune` adapts on several nodes too.
    lora = (nodes == 1 and asks_for_lora(job)) or not is_of_torchtune(job)
    recipe = ("lora" if lora else "full") + ("_finetune_single_device" if single else "_finetune_distributed")
    suffix = ("_qlora" if _quantized(job) else "_lora") if lora else "_full"
    suffix += "_single_device" if single else "_multinode" if nodes > 1 else ""
    kept = [word for word in given if word.partition("=")[0] in KEPT_BY_RUNTIME]
    return [*command, recipe, "--config", f"{tuned_model(job.runtime_name)}{suffix}", *kept]
