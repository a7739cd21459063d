"""The job's hosts as MPI reads them: the host file, and the script that elastic programs ask again and again. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.operators.mpijob.job import MpiJob
from argosy.operators.mpijob.schema import OPEN_MPI

HOSTFILE, DISCOVER = "hostfile", "discover_hosts.sh"
CONFIG_PATH = "/etc/mpi"


def files(job: MpiJob, running: Iterable[str]) -> dict[str, str]:
    """The ConfigMap's data: all hosts with their slots, and those whose worker (by pod name) runs now."""
    launcher = [job.launcher_name] if job.launcher_works else []
    everyone = [*launcher, *(job.worker_name(index) for index in range(job.workers))]
    slots = f" slots={job.slots}" if job.implementation == OPEN_MPI else f":{job.slots}"
    present = [*launcher, *sorted(running)]
    return {
        HOSTFILE: "".join(f"{_host(job, pod)}{slots}\n" for pod in everyone),
        DISCOVER: "".join(["#!/bin/sh\n", *(f"echo {_host(job, pod)}\n" for pod in present)]),
    }


def _host(job: MpiJob, pod: str) -> str:
    return f"{pod}.{job.name}.{job.namespace}.svc"
