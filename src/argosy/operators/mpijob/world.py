"""The pods and objects of one MPIJob v2beta1 at one moment, sorted. Pure; `plan` asks it everything it decides by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.intent import Observed
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import controller_of, is_deleting, name_of, pod_is_ready, uid_of
from argosy.operators.gang import failure
from argosy.operators.gang.failure import Failure
from argosy.operators.mpijob.job import MpiJob
from argosy.operators.mpijob.schema import LAUNCHER, WORKER


@dataclass(frozen=True, slots=True)
class World:
    """What is there."""

    workers: dict[int, Obj]
    """The worker pods by index; those that the spec no longer has are in `surplus`."""
    surplus: tuple[Obj, ...]
    launcher: Obj | None
    """The launcher's Job."""
    launcher_pods: tuple[Obj, ...]

    @property
    def launcher_finished(self) -> bool:
        """Whether the launcher's Job is over, well or not."""
        return self.launcher_succeeded or is_true(self.launcher, "Failed")

    @property
    def launcher_succeeded(self) -> bool:
        """Whether it ended well."""
        return is_true(self.launcher, "Complete")

    @property
    def launching(self) -> int:
        """How many launcher pods run; the Job's own count has those that wait for a node too."""
        return sum(phase(pod) == "Running" for pod in self.launcher_pods)

    def count(self, wanted: str) -> int:
        """How many workers are in a phase."""
        return sum(phase(pod) == wanted for pod in self.workers.values())

    def everyone(self) -> list[Obj]:
        """All worker pods."""
        return [*self.workers.values(), *self.surplus]

    def running(self) -> list[str]:
        """The names of the workers that run."""
        return [name_of(pod) for pod in self.workers.values() if phase(pod) == "Running" and not is_deleting(pod)]

    def ready(self, job: MpiJob) -> bool:
        """Whether all workers can take connections."""
        return sum(pod_is_ready(pod) and not is_deleting(pod) for pod in self.workers.values()) == job.workers

    def evicted(self) -> int:
        """How many workers their node sent away."""
        return sum(
            phase(pod) == "Failed" and dig(pod, "status", "reason") == "Evicted" for pod in self.workers.values()
        )

    def failed(self) -> list[tuple[Obj, Failure]]:
        """The workers that failed, each with how; the one that the others follow from first."""
        found = [
            (pod, how)
            for pod in self.workers.values()
            if phase(pod) == "Failed" and (how := failure.of(pod, WORKER, _main(pod))) is not None
        ]
        return sorted(found, key=lambda pair: failure.rank(pair[1]))

    def launcher_failure(self) -> Failure | None:
        """How the last launcher pod that failed did so."""
        ended = [pod for pod in self.launcher_pods if phase(pod) == "Failed"]
        last = max(ended, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)
        return failure.of(last, LAUNCHER, _main(last)) if last is not None else None


def phase(pod: Obj) -> str:
    """The pod's phase; Pending where nobody said yet."""
    return str(dig(pod, "status", "phase", default="Pending"))


def look(job: MpiJob, seen: Observed) -> World:
    """Sort what is seen of a job. A worker's index is in its name, its label may count the launcher too."""
    names = {job.worker_name(index): index for index in range(job.workers)}
    pods = seen.of(kinds.POD)
    launcher = next((obj for obj in seen.of(kinds.JOB) if name_of(obj) == job.launcher_name), None)
    return World(
        workers={names[name_of(pod)]: pod for pod in pods if name_of(pod) in names},
        surplus=tuple(pod for pod in pods if name_of(pod) not in names),
        launcher=launcher,
        launcher_pods=_made_by(launcher, seen.related.get(kinds.POD, ())),
    )


def _made_by(launcher: Obj | None, pods: Sequence[Obj]) -> tuple[Obj, ...]:
    if launcher is None:
        return ()
    return tuple(pod for pod in pods if (controller_of(pod) or {}).get("uid") == uid_of(launcher))


def _main(pod: Obj) -> str:
    return str(dig(pod, "spec", "containers", 0, "name", default=""))
