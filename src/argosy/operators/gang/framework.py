"""What makes one training kind different from the next, as a value: its names, its replica types and a few functions.

Each kind's `rendezvous.py` or `operator.py` makes one; everything in this package is parametrised by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from argosy.meta.json import Obj
from argosy.meta.kind import Kind

if TYPE_CHECKING:
    from argosy.operators.gang.census import Census
    from argosy.operators.gang.failure import Failure
    from argosy.operators.gang.job import Job, Replica

WORKER = "Worker"


def _all_workers(job: Job, counted: Census) -> bool:
    return counted.count(WORKER, "Succeeded") == job.count(WORKER) > 0


def _all_together(job: Job) -> int:
    return job.total


def _no_problems(_job: Job) -> Iterable[str]:
    return ()


def _nothing(_job: Job, _owner: Obj) -> Iterable[tuple[Kind, Obj]]:
    return ()


def _no_init(_job: Job, _replica: Replica, _image: str) -> Sequence[Obj]:
    return ()


def _nobody_survives(_job: Job, _failure: Failure, _counted: Census) -> bool:
    return False


def _fixed(_job: Job) -> bool:
    return False


def _usual_name(job: str, type: str, index: int) -> str:
    return f"{job}-{type.lower()}-{index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """One training kind. The functions are pure."""

    kind: Kind
    specs: str
    """The field of the spec that holds the replica specs, `pytorchReplicaSpecs`."""
    types: tuple[str, ...]
    """The replica types, in the order in which their pods are made."""
    container: str
    """The name of the container that trains; empty where it is the first, whatever its name."""
    port_name: str
    port: int
    restart_policy: str
    """Of a replica that gives none."""
    environment: Callable[[Job, Replica, int], Sequence[Obj]]
    """The variables of one replica's pod, in upstream's order."""
    operator_name: str = ""
    """The value of the label `operator-name`; by default the kind in lower case plus `-controller`."""
    managed_by: str = "kubeflow.org/training-operator"
    masters: tuple[str, ...] = ()
    """The types that lead where the spec has one: its pods say whether the job runs and when it is done."""
    required: tuple[str, ...] = ()
    """The types that the spec must have."""
    single: tuple[str, ...] = ()
    """The types of which there is exactly one pod."""
    servers: tuple[str, ...] = ()
    """The types whose pods never end by themselves. They go when the job is done, unless a cleanPodPolicy is given."""
    worker_0_is_master: bool = True
    """Whether worker 0 carries the role `master` where no master type leads."""
    env_everywhere: bool = True
    """Whether every container gets the environment, or only the one that trains."""
    workers_done: Callable[[Job, Census], bool] = _all_workers
    """Whether a job without a master type has succeeded."""
    least: Callable[[Job], int] = _all_together
    """How many pods must be placed together for training to start."""
    problems: Callable[[Job], Iterable[str]] = _no_problems
    """What makes this kind's own fields impossible, a sentence fragment each that names the field and the remedy."""
    extras: Callable[[Job, Obj], Iterable[tuple[Kind, Obj]]] = _nothing
    """Further objects of the job, for (job, owner); made before the pods and kept as long as they are."""
    owns: tuple[Kind, ...] = ()
    """The kinds of those."""
    init_containers: Callable[[Job, Replica, str], Sequence[Obj]] = _no_init
    """What runs first in the pods of a replica, after the template's own; the last argument is the administrator's image."""
    survives: Callable[[Job, Failure, Census], bool] = _nobody_survives
    """Whether the rest of the gang goes on without the pod that failed, so that it alone is replaced."""
    resizes: Callable[[Job], bool] = _fixed
    """Whether pods may come and go while the others go on. Where not, another number of pods starts the gang anew: those
    that run were told the old one.
    """
    pod_name: Callable[[str, str, int], str] = _usual_name
    """The name of a pod and its Service, for (job, type, index)."""
    has_services: bool = True
    """Whether every pod has a headless Service of its name."""

    @property
    def component(self) -> str:
        """The name under which the operator acts."""
        return self.operator_name or f"{self.kind.singular}-controller"
