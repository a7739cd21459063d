"""How the processes of a PyTorchJob find each other: the environment of every container.

`MASTER_ADDR` and its kin are upstream's, to the letter: `RANK` is the rank of the *node*, and `WORLD_SIZE` counts
processes per node only where `nprocPerNode` is a number. The `PET_*` names are torchrun's.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.operators.gang.env import entries
from argosy.operators.gang.job import Job, Replica
from argosy.operators.pytorchjob.elastic import bounds, is_elastic, policy
from argosy.operators.pytorchjob.schema import MASTER, WORKER

_OWN_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"
"""The one name that upstream does not set. Without it an agent of recent PyTorch tells where its group meets in its first
round only, so that a worker that joins later waits for ever.
"""


def environment(job: Job, replica: Replica, index: int) -> list[Obj]:
    """What upstream sets for this pod, in upstream's order."""
    env = {"PYTHONUNBUFFERED": "1"}
    per_node, elastic = str(job.spec.get("nprocPerNode") or ""), policy(job)
    if job.has_master:
        address, port = job.pod_name(MASTER, 0), str(job.port(MASTER))
        rank = index if replica.type == MASTER else index + 1
        env |= {
            "MASTER_PORT": port,
            "PET_MASTER_PORT": port,
            "MASTER_ADDR": address,
            "PET_MASTER_ADDR": address,
            "WORLD_SIZE": str(job.total * (int(per_node) if per_node.isdigit() else 1)),
            "RANK": str(rank),
            "PET_NODE_RANK": str(rank),
        }
    if per_node or elastic.get("nProcPerNode") is None:
        env["PET_NPROC_PER_NODE"] = per_node or "auto"
    env |= _elastic(job, elastic) if is_elastic(job) else {"PET_NNODES": str(job.total)}
    return entries(env)


def _elastic(job: Job, given: Obj) -> dict[str, str]:
    least, most = bounds(job)
    host = given.get("rdzvHost") or job.pod_name(WORKER, 0)
    env = {
        "PET_RDZV_ENDPOINT": f"{host}:{given.get('rdzvPort') or job.port(WORKER)}",
        "PET_RDZV_BACKEND": str(given.get("rdzvBackend") or "c10d"),
        "PET_NNODES": f"{least}:{most}",
    }
    if given.get("maxRestarts") is not None:
        env["PET_MAX_RESTARTS"] = str(given["maxRestarts"])
    if given.get("nProcPerNode") is not None:
        env["PET_NPROC_PER_NODE"] = str(given["nProcPerNode"])
    if given.get("rdzvId"):
        env["PET_RDZV_ID"] = str(given["rdzvId"])
    if given.get("rdzvConf"):
        env["PET_RDZV_CONF"] = ",".join(f"{pair.get('key')}={pair.get('value')}" for pair in given["rdzvConf"])
    if given.get("standalone"):
        env["PET_STANDALONE"] = ""
    env[_OWN_STORE] = "1"
    return env
