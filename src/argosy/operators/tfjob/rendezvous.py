"""How the processes of a TFJob find each other: `TF_CONFIG`, on the training container alone.

A job of one pod is not distributed and gets none. With `enableDynamicWorker` each worker learns of itself and of the
parameter servers only, so that workers may come and go.
"""

from __future__ import annotations

from argosy.meta.json import Obj, encode
from argosy.operators.gang.env import entries
from argosy.operators.gang.job import Job, Replica
from argosy.operators.tfjob.schema import PS, WORKER


def environment(job: Job, replica: Replica, index: int) -> list[Obj]:
    """What upstream sets for this pod."""
    if job.total == 1:
        return []
    task: Obj = {"type": replica.type.lower(), "index": index}
    cluster = {one.type.lower(): [_endpoint(job, one, i) for i in range(one.count)] for one in job.replicas}
    if job.spec.get("enableDynamicWorker"):
        config: Obj = {"cluster": _sparse(cluster, replica.type, index), "task": task}
    else:
        config = {"cluster": {type: cluster[type] for type in sorted(cluster)}, "task": task, "environment": "cloud"}
    return entries({"TF_CONFIG": encode(config).decode()})


def _sparse(cluster: dict[str, list[str]], type: str, index: int) -> Obj:
    """What one process needs to know. The servers of a job without any are null, as upstream writes them."""
    own = cluster[type.lower()][index]
    if type == WORKER:
        return {"worker": {str(index): own}, "ps": cluster.get(PS.lower())}
    return {"worker": {}, "ps": [own] if type == PS else []}


def _endpoint(job: Job, replica: Replica, index: int) -> str:
    return f"{job.pod_name(replica.type, index)}.{job.namespace}.svc:{job.port(replica.type)}"
