"""How the processes of a job find each other: the environment of every container.

`MASTER_ADDR` and its kin are upstream's, to the letter: `RANK` is the rank of the *node*, and `WORLD_SIZE` counts
processes per node only where `nprocPerNode` is a number. The `PET_*` names are torchrun's. The last three are ours: the
restart contract that the README describes.
"""

from __future__ import annotations

from argosy.meta.json import Obj, dig
from argosy.operators.pytorchjob.job import Job, Replica
from argosy.operators.pytorchjob.schema import CONTAINER, MASTER, PORT, PORT_NAME, WORKER

EPOCH_ENV = "ARGOSY_RESTART_EPOCH"
_RENDEZVOUS_PORT = PORT


def environment(job: Job, replica: Replica, index: int) -> dict[str, str]:
    """What upstream sets for this pod, in upstream's order."""
    env = {"PYTHONUNBUFFERED": "1"}
    if job.has_master:
        address, port = job.pod_name(MASTER, 0), str(_port(job))
        rank = index if replica.type == MASTER else index + 1
        env |= {
            "MASTER_PORT": port,
            "PET_MASTER_PORT": port,
            "MASTER_ADDR": address,
            "PET_MASTER_ADDR": address,
            "WORLD_SIZE": str(job.total * (int(job.nproc) if job.nproc.isdigit() else 1)),
            "RANK": str(rank),
            "PET_NODE_RANK": str(rank),
        }
    env["PET_NPROC_PER_NODE"] = job.nproc
    if job.elastic is None:
        env["PET_NNODES"] = str(job.total)
    else:
        env |= _elastic(job, job.elastic)
    return env


def restart_environment(job: Job, epoch: int) -> dict[str, str]:
    """Our contract with training code; what a template sets itself goes before these."""
    env = {EPOCH_ENV: str(epoch)}
    if job.checkpoint_dir:
        env |= {"CHECKPOINT_DIR": job.checkpoint_dir, "RESUME_FROM": "latest"}
    return env


def _elastic(job: Job, policy: Obj) -> dict[str, str]:
    workers = next((replica.count for replica in job.replicas if replica.type == WORKER), job.total)
    least, most = policy.get("minReplicas") or workers, policy.get("maxReplicas") or workers
    host = policy.get("rdzvHost") or job.pod_name(WORKER, 0)
    env = {
        "PET_RDZV_ENDPOINT": f"{host}:{policy.get('rdzvPort') or _RENDEZVOUS_PORT}",
        "PET_RDZV_BACKEND": str(policy.get("rdzvBackend") or "c10d"),
        "PET_NNODES": f"{least}:{most}",
    }
    if policy.get("maxRestarts") is not None:
        env["PET_MAX_RESTARTS"] = str(policy["maxRestarts"])
    if policy.get("rdzvId"):
        env["PET_RDZV_ID"] = str(policy["rdzvId"])
    if policy.get("rdzvConf"):
        env["PET_RDZV_CONF"] = ",".join(f"{pair.get('key')}={pair.get('value')}" for pair in policy["rdzvConf"])
    if policy.get("standalone"):
        env["PET_STANDALONE"] = ""
    return env


def _port(job: Job) -> int:
    """The master's rendezvous port: the one its container names, else the usual one."""
    for replica in job.replicas:
        if replica.type == MASTER:
            return next((port for name, port in ports(replica) if name == PORT_NAME), PORT)
    return PORT


def ports(replica: Replica) -> list[tuple[str, int]]:
    """The ports of the training container that have a name; upstream's own port is there even when not given."""
    containers: list[Obj] = dig(replica.template, "spec", "containers", default=[])
    container: Obj = next((c for c in containers if c.get("name") == CONTAINER), {})
    named = [(str(p["name"]), int(p["containerPort"])) for p in container.get("ports") or () if p.get("name")]
    return named if any(name == PORT_NAME for name, _ in named) else [*named, (PORT_NAME, PORT)]
