"""Jobs that go on with fewer or more workers than they began with: bounds and the autoscaler.

Pure; the framework value of `framework.py` is made of these.
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy import kinds
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import owner_reference
from argosy.operators.gang.census import Census
from argosy.operators.gang.job import Job
from argosy.operators.pytorchjob.schema import WORKER

_BACKENDS = ("c10d", "etcd", "etcd-v2")


def policy(job: Job) -> Obj:
    """The elastic policy; empty where there is none."""
    given: Obj = job.spec.get("elasticPolicy") or {}
    return given


def is_elastic(job: Job) -> bool:
    """Whether the job may go on with fewer or more workers; an empty policy counts, with the number of workers as both."""
    return job.spec.get("elasticPolicy") is not None


def bounds(job: Job) -> tuple[int, int]:
    """The least and the most workers. One that is not given is as the other; without either, both are as the spec says."""
    given, workers = policy(job), job.count(WORKER)
    low, high = given.get("minReplicas"), given.get("maxReplicas")
    return next(n for n in (low, high, workers) if n is not None), next(
        n for n in (high, low, workers) if n is not None
    )


def workers_done(job: Job, counted: Census) -> bool:
    """All workers of a static job; of an elastic one, any."""
    done = counted.count(WORKER, "Succeeded")
    return done > 0 and (is_elastic(job) or done == job.count(WORKER))


def least(job: Job) -> int:
    """How many pods training needs to start."""
    return bounds(job)[0] + job.total - job.count(WORKER) if is_elastic(job) else job.total


def autoscaler(job: Job, owner: Obj) -> Iterable[tuple[Kind, Obj]]:
    """The HorizontalPodAutoscaler of an elastic job that gives metrics."""
    given = policy(job)
    if not given.get("metrics"):
        return ()
    kind, of = kinds.HORIZONTAL_POD_AUTOSCALER, job.framework.kind
    low, high = bounds(job)
    hpa: Obj = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": job.name, "namespace": job.namespace, "ownerReferences": [owner_reference(owner, of)]},
        "spec": {
            "scaleTargetRef": {"apiVersion": of.api_version, "kind": of.kind, "name": job.name},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": given["metrics"],
        },
    }
    return ((kind, hpa),)


def problems(job: Job) -> Iterable[str]:
    """What is wrong with the elastic policy."""
    if not is_elastic(job):
        return
    given = policy(job)
    backend = given.get("rdzvBackend") or "c10d"
    if backend not in _BACKENDS:
        yield f"spec.elasticPolicy.rdzvBackend {backend!r} is none of {', '.join(_BACKENDS)}"
    low, high = bounds(job)
    if low > high:
        yield f"spec.elasticPolicy.minReplicas {low} is over maxReplicas {high}"
    if job.replica(WORKER) is None:
        yield f"spec.elasticPolicy needs a {WORKER} in spec.{job.framework.specs}"
    if given.get("nProcPerNode") is not None and job.spec.get("nprocPerNode"):
        yield "spec.elasticPolicy.nProcPerNode and spec.nprocPerNode say the same twice: leave the first one out"
