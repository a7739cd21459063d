"""How the processes of a PaddleJob find each other: `PADDLE_MASTER`, on every container.

Without a Master the job is collective and worker 0 is where the others meet; with one it has parameter servers, the
Masters, and trainers, the Workers. The process that others come to listens on its own pod's address.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.operators.gang.env import entries
from argosy.operators.gang.job import Job, Replica
from argosy.operators.paddlejob.schema import MASTER

_OWN_ADDRESS: Obj = {"name": "POD_IP_DUMMY", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def environment(job: Job, replica: Replica, index: int) -> list[Obj]:
    """What upstream sets for this pod, in upstream's order."""
    env = entries({"PYTHONUNBUFFERED": "1", "PADDLE_JOB_ID": job.name, "PADDLE_NNODES": str(job.total)})
    port = job.port(job.lead)
    if replica.type == job.lead and index == 0:
        env += [_OWN_ADDRESS, *entries({"PADDLE_MASTER": f"$(POD_IP_DUMMY):{port}"})]
    else:
        env += entries({"PADDLE_MASTER": f"{job.pod_name(job.lead, 0)}:{port}"})
    if job.has_master:
        env += entries({"PADDLE_SERVER_NUM" if replica.type == MASTER else "PADDLE_TRAINER_NUM": "1"})
    return env
