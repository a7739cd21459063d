"""How the processes of an XGBoostJob find each other: the master runs the tracker, on every container.

`WORKER_ADDRS` and `WORKER_PORT` are LightGBM's, which has no tracker.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.operators.gang.env import entries
from argosy.operators.gang.job import Job, Replica
from argosy.operators.xgboostjob.schema import MASTER, WORKER


def environment(job: Job, replica: Replica, index: int) -> list[Obj]:
    """What upstream sets for this pod, in upstream's order."""
    rank = index + job.count(MASTER) if replica.type == WORKER else index
    env = {
        "MASTER_PORT": str(job.port(MASTER)),
        "MASTER_ADDR": job.pod_name(MASTER, 0),
        "WORLD_SIZE": str(job.total),
        "RANK": str(rank),
        "PYTHONUNBUFFERED": "1",
    }
    if job.total > 1:
        env["WORKER_PORT"] = str(job.port(WORKER))
        env["WORKER_ADDRS"] = ",".join(job.pod_name(WORKER, i) for i in range(job.total - 1))
    return entries(env)
