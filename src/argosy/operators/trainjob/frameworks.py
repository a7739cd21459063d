"""The environment by which the nodes of JAX and XGBoost find each other, and what all frameworks share. Pure."""

from __future__ import annotations

from collections.abc import Callable

from argosy.meta.json import Obj, dig
from argosy.meta.quantity import value_of
from argosy.operators.trainjob import template
from argosy.operators.trainjob.job import Runtime, TrainJob
from argosy.operators.trainjob.schema import NODE, PORT, TRAINER


def address_of_first(job: TrainJob) -> str:
    """The name of node 0: everybody meets there."""
    return f"{job.name}-{NODE}-0-0.{job.subdomain}"


def trainer_of(jobs: list[Obj]) -> tuple[Obj | None, int]:
    """The container that trains, and on how many nodes."""
    for each in jobs:
        if template.step_of(each) == TRAINER:
            return template.container_of(each), int(each["template"]["spec"]["parallelism"])
    return None, 1


def gpus(container: Obj) -> int:
    """How many GPUs a container asks for, by any resource with `gpu` in its name."""
    return _amount(container, lambda name: "gpu" in name.lower())


def cpus(container: Obj) -> int:
    """How many CPUs a container asks for, rounded up; 0 when it does not say."""
    return _amount(container, lambda name: name == "cpu")


def _amount(container: Obj, wanted: Callable[[str], bool]) -> int:
    for field in ("requests", "limits"):
        for name, amount in dig(container, "resources", field, default={}).items():
            if wanted(name) and value_of(amount):
                return value_of(amount)
    return 0


def open_port(container: Obj) -> None:
    """Name the port at which nodes meet, for whoever reads the pod."""
    template.upsert(container, "ports", [{"containerPort": PORT}], "containerPort")


def equip_jax(job: TrainJob, runtime: Runtime, jobs: list[Obj]) -> None:
    """`jax.distributed.initialize()` needs nothing but these."""
    container, nodes = trainer_of(jobs)
    if container is None:
        return
    address = f"{address_of_first(job)}:{PORT}"
    index = template.env_of_index("JAX_PROCESS_ID")
    entries = [*template.env(JAX_NUM_PROCESSES=nodes), index, *template.env(JAX_COORDINATOR_ADDRESS=address)]
    template.set_env(container, entries)
    open_port(container)


def equip_xgboost(job: TrainJob, runtime: Runtime, jobs: list[Obj]) -> None:
    """One worker a GPU, or one a node that uses every CPU by threads."""
    container, nodes = trainer_of(jobs)
    if container is None:
        return
    where = template.env(DMLC_TRACKER_URI=address_of_first(job), DMLC_TRACKER_PORT=PORT)
    workers = template.env(DMLC_NUM_WORKER=nodes * (gpus(container) or 1))
    template.set_env(container, [*where, template.env_of_index("DMLC_TASK_ID"), *workers])
    open_port(container)
