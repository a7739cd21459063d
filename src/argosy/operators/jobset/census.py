"""A JobSet's Jobs, sorted: those of the present attempt by how they are, and those of an earlier one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import labels_of, name_of
from argosy.operators.jobset import schema
from argosy.operators.jobset.spec import JobSet, ReplicatedJob


@dataclass(slots=True)
class Census:
    """The Jobs of one JobSet at one moment."""

    active: list[Obj] = field(default_factory=list)
    succeeded: list[Obj] = field(default_factory=list)
    failed: list[Obj] = field(default_factory=list)
    previous: list[Obj] = field(default_factory=list)
    """Of an earlier attempt: to be deleted."""

    def names(self) -> set[str]:
        """Every name that is taken."""
        return {name_of(job) for job in (*self.active, *self.succeeded, *self.failed, *self.previous)}


def take(job_set: JobSet, jobs: Sequence[Obj], status: Obj) -> Census:
    """Sort the owned Jobs."""
    counted = Census()
    restarts = int(status.get("restarts") or 0)
    for job in jobs:
        labels = labels_of(job)
        attempt = labels.get(schema.RESTART_ATTEMPT, "")
        own, wanted = labels.get(schema.JOB_RESTART_ATTEMPT, ""), own_restarts(job_set, status, job)
        if not attempt.isdigit() or int(attempt) < restarts or (own.isdigit() and int(own) < wanted):
            counted.previous.append(job)
        elif is_true(job, "Failed"):
            counted.failed.append(job)
        elif is_true(job, "Complete"):
            counted.succeeded.append(job)
        else:
            counted.active.append(job)
    return counted


def parent_of(job: Obj) -> str:
    """The replicated job that a Job is made of."""
    return labels_of(job).get(schema.REPLICATED_JOB, "")


def is_suspended(job: Obj) -> bool:
    """Whether a Job is told to rest."""
    return bool(dig(job, "spec", "suspend", default=False))


def restart_counts(status: Obj, of: ReplicatedJob, field: str = "jobRestarts") -> list[int]:
    """How often each Job of a replicated job was restarted by itself."""
    for each in status.get("replicatedJobsStatus") or ():
        if each.get("name") == of.name and each.get(field):
            counts = list(map(int, each[field]))
            return (counts + [0] * of.replicas)[: of.replicas]
    return [0] * of.replicas


def own_restarts(job_set: JobSet, status: Obj, job: Obj) -> int:
    """How often this very Job has to have been restarted by itself."""
    of, index = job_set.job(parent_of(job)), labels_of(job).get(schema.JOB_INDEX, "")
    if of is None or not index.isdigit() or int(index) >= of.replicas:
        return 0
    return restart_counts(status, of)[int(index)]


def statuses(job_set: JobSet, counted: Census, before: Obj) -> list[Obj]:
    """`status.replicatedJobsStatus`, in upstream's order."""
    made = [_status(of, counted, before) for of in job_set.jobs]
    return sorted(made, key=lambda status: str(status["name"]), reverse=True)


def _status(of: ReplicatedJob, counted: Census, before: Obj) -> Obj:
    def mine(jobs: Sequence[Obj]) -> Iterator[Obj]:
        return (job for job in jobs if parent_of(job) == of.name)

    made: Obj = {
        "name": of.name,
        "ready": sum(_is_ready(job) for job in mine(counted.active)),
        "succeeded": sum(1 for _ in mine(counted.succeeded)),
        "failed": sum(1 for _ in mine(counted.failed)),
        "active": sum(int(dig(job, "status", "active", default=0)) > 0 for job in mine(counted.active)),
        "suspended": sum(is_suspended(job) for job in mine(counted.active)),
    }
    for each in before.get("replicatedJobsStatus") or ():
        if each.get("name") == of.name:
            made |= {name: each[name] for name in ("jobRestarts", "jobRestartsCountTowardsMax") if each.get(name)}
    return made


def _is_ready(job: Obj) -> bool:
    pods = int(dig(job, "spec", "parallelism", default=1))
    completions = dig(job, "spec", "completions")
    if completions is not None:
        pods = min(pods, int(completions))
    return int(dig(job, "status", "succeeded", default=0)) + int(dig(job, "status", "ready", default=0)) >= pods
