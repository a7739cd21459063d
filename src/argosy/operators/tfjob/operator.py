"""TFJob as a framework of gangs, and its operator."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.intent import Operator
from argosy.meta.json import dig
from argosy.operators.gang import operator as gang
from argosy.operators.gang.census import Census
from argosy.operators.gang.failure import Failure
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.job import Job
from argosy.operators.settings import OperatorSettings
from argosy.operators.tfjob.rendezvous import environment
from argosy.operators.tfjob.schema import (
    ALL_WORKERS,
    CHIEF,
    CONTAINER,
    EVALUATOR,
    MASTER,
    PORT,
    PORT_NAME,
    PS,
    TF_JOB,
    WORKER,
)


def _workers_done(job: Job, counted: Census) -> bool:
    """Worker 0, which leads; under the policy AllWorkers every one of them."""
    done = counted.count(WORKER, "Succeeded")
    if done == job.count(WORKER) > 0:
        return True
    first = counted.pods.get((WORKER, 0))
    return job.spec.get("successPolicy") != ALL_WORKERS and dig(first, "status", "phase", default="") == "Succeeded"


def _survives(job: Job, failure: Failure, counted: Census) -> bool:
    """Dynamic workers come and go, as long as one is left."""
    if not _resizes(job) or failure.type != WORKER:
        return False
    return counted.count(WORKER, "Failed") < job.count(WORKER)


def _resizes(job: Job) -> bool:
    return bool(job.spec.get("enableDynamicWorker"))


def _problems(job: Job) -> Iterable[str]:
    policy = job.spec.get("successPolicy") or ""
    if policy not in ("", ALL_WORKERS):
        yield f"spec.successPolicy {policy!r} is neither empty nor {ALL_WORKERS}"
    if job.replicas and not job.has_master and not job.count(WORKER):
        yield f"spec.tfReplicaSpecs has no {CHIEF}, {MASTER} or {WORKER}, so that nothing would end the job: give it one"


TENSORFLOW = Framework(
    kind=TF_JOB,
    specs="tfReplicaSpecs",
    types=(CHIEF, EVALUATOR, MASTER, PS, WORKER),
    masters=(CHIEF, MASTER),
    servers=(PS,),
    container=CONTAINER,
    port_name=PORT_NAME,
    port=PORT,
    restart_policy="Never",
    environment=environment,
    env_everywhere=False,
    workers_done=_workers_done,
    problems=_problems,
    survives=_survives,
    resizes=_resizes,
)


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return gang.operator(TENSORFLOW, settings)
