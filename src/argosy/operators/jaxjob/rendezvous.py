"""How the processes of a JAXJob find each other: process 0 coordinates, on every container."""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.operators.gang.env import entries
from argosy.operators.gang.job import Job, Replica
from argosy.operators.jaxjob.schema import WORKER


def environment(job: Job, replica: Replica, index: int) -> list[Obj]:
    """What upstream sets for this pod, in upstream's order."""
    return entries(
        {
            "PYTHONUNBUFFERED": "1",
            "COORDINATOR_PORT": str(job.port(WORKER)),
            "COORDINATOR_ADDRESS": job.pod_name(WORKER, 0),
            "NUM_PROCESSES": str(job.total),
            "PROCESS_ID": str(index),
        }
    )
