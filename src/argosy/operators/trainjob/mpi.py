"""MPI under a TrainJob: numbers of pods, hostfile, SSH keys and Open MPI's environment. Pure; called by `compose` and `plan`.

The launcher is a pod of the replicated job `launcher`, the others are `node`; with `runLauncherAsNode` the launcher is the
first node.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.objects import owner_reference
from argosy.operators.trainjob import template
from argosy.operators.trainjob.frameworks import gpus, trainer_of
from argosy.operators.trainjob.job import Runtime, TrainJob
from argosy.operators.trainjob.schema import LAUNCHER, NODE, TRAIN_JOB

RESERVED = (
    "OMPI_MCA_orte_default_hostfile",
    "OMPI_MCA_plm_rsh_args",
    "OMPI_MCA_orte_keep_fqdn_hostnames",
    "OMPI_MCA_orte_set_default_slots",
)
_DIRECTORY, _HOSTFILE = "/etc/mpi", "hostfile"
_KEYS, _HOSTS = "mpi-ssh-auth", "mpi-hostfile"
_PRIVATE, _PUBLIC = "ssh-privatekey", "ssh-publickey"


def count(each: Obj, nodes: int, runtime: Runtime, *, default: int) -> int:
    """How many pods a replicated job has."""
    if each["name"] == LAUNCHER:
        return 1
    if each["name"] != NODE:
        return default
    return max(nodes - 1, 1) if runtime.settings.get("runLauncherAsNode") else nodes


def equip(job: TrainJob, runtime: Runtime, jobs: list[Obj]) -> None:
    """Mount keys and hostfile, and tell Open MPI where they are."""
    keys = {
        "name": _KEYS,
        "secret": {
            "secretName": secret_name(job),
            "defaultMode": 0o400,
            "items": [
                {"key": _PRIVATE, "path": "id_rsa", "mode": 0o640},
                {"key": _PUBLIC, "path": "id_rsa.pub", "mode": 0o644},
                {"key": _PUBLIC, "path": "authorized_keys", "mode": 0o644},
            ],
        },
    }
    items = [{"key": _HOSTFILE, "path": _HOSTFILE, "mode": 0o444}]
    hosts = {"name": _HOSTS, "configMap": {"name": hostfile_name(job), "items": items}}
    where = {"name": _KEYS, "mountPath": runtime.settings.get("sshAuthMountPath") or "/root/.ssh"}
    slots = slots_per_node(job, runtime, jobs)
    for each in jobs:
        container = template.container_of(each)
        if each["name"] not in (NODE, LAUNCHER) or container is None:
            continue
        leads = each["name"] == LAUNCHER
        template.upsert(template.pod_spec_of(each), "volumes", [keys, *([hosts] if leads else [])], "name")
        mounts = [where, *([{"name": _HOSTS, "mountPath": _DIRECTORY}] if leads else [])]
        template.upsert(container, "volumeMounts", mounts, "mountPath")
        if leads:
            template.set_env(
                container,
                template.env(
                    OMPI_MCA_orte_default_hostfile=f"{_DIRECTORY}/{_HOSTFILE}",
                    OMPI_MCA_orte_keep_fqdn_hostnames="true",
                    OMPI_MCA_orte_set_default_slots=slots,
                    OMPI_MCA_plm_rsh_args="-o ConnectionAttempts=10",
                ),
            )


def slots_per_node(job: TrainJob, runtime: Runtime, jobs: list[Obj]) -> int:
    """Processes on each node: as asked; a runtime's 1 means as many as there are GPUs."""
    asked = job.trainer.get("numProcPerNode")
    if asked is not None and str(asked).isdigit():
        return int(asked)
    slots = int(runtime.settings.get("numProcPerNode") or 1)
    container, _ = trainer_of(jobs)
    return max(slots, gpus(container)) if slots == 1 and container is not None else slots


def secret_name(job: TrainJob) -> str:
    """Where the keys are."""
    return f"{job.name}-mpi-ssh-auth"


def hostfile_name(job: TrainJob) -> str:
    """Where the hostfile is."""
    return f"{job.name}-mpi-hostfile"


def hostfile(job: TrainJob, runtime: Runtime, made: Obj, owner: Obj) -> Obj:
    """The ConfigMap that names every node of a JobSet, one a line."""
    spec: Obj = made["spec"]
    jobs: list[Obj] = spec["replicatedJobs"]
    subdomain = (spec.get("network") or {}).get("subdomain") or job.subdomain
    slots = slots_per_node(job, runtime, jobs)
    names = (NODE, LAUNCHER) if runtime.settings.get("runLauncherAsNode") else (NODE,)
    lines = [
        f"{job.name}-{each['name']}-{replica}-{index}.{subdomain} slots={slots}\n"
        for each in jobs
        if each["name"] in names
        for replica in range(int(each.get("replicas", 1)))
        for index in range(each["template"]["spec"]["parallelism"])
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": hostfile_name(job),
            "namespace": job.namespace,
            "ownerReferences": [owner_reference(owner, TRAIN_JOB)],
        },
        "data": {_HOSTFILE: "".join(lines)},
    }


def secret(job: TrainJob, keys: tuple[str, str], owner: Obj) -> Obj:
    """The Secret with a pair of keys (private, public), both as text."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/ssh-auth",
        "immutable": True,
        "metadata": {
            "name": secret_name(job),
            "namespace": job.namespace,
            "ownerReferences": [owner_reference(owner, TRAIN_JOB)],
        },
        "stringData": {_PRIVATE: keys[0], _PUBLIC: keys[1]},
    }
