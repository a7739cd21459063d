"""The kind MPIJob in its two versions, `v2beta1` (kubeflow/mpi-operator, stored) and `v1` (training-operator).

One CustomResourceDefinition serves both, and a cluster only renames the version when one is read as the other. So each
version keeps the other's fields, and `made_as` says which of the two an object was made for.
"""

from __future__ import annotations

from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.operators.gang import schema
from argosy.operators.gang.schema import INT32, STRING

LAUNCHER, WORKER = "Launcher", "Worker"
SPECS = "mpiReplicaSpecs"
OPEN_MPI, INTEL, MPICH = "OpenMPI", "Intel", "MPICH"
ROOT_SSH = "/root/.ssh"
AT_STARTUP, WHEN_READY = "AtStartup", "WaitForWorkersReady"

_V1_FIELDS: dict[str, Obj] = {"mainContainer": STRING, "cleanPodPolicy": STRING}
_V2_FIELDS: dict[str, Obj] = {
    "runLauncherAsWorker": {"type": "boolean"},
    "sshAuthMountPath": STRING,
    "launcherCreationPolicy": STRING,
    "mpiImplementation": {"type": "string", "enum": [OPEN_MPI, INTEL, MPICH]},
}
_V2_DEFAULTS: Obj = {
    "slotsPerWorker": 1, "runLauncherAsWorker": False, "sshAuthMountPath": ROOT_SSH,
    "launcherCreationPolicy": AT_STARTUP, "mpiImplementation": OPEN_MPI,
}  # fmt: skip
_FIELDS = {"slotsPerWorker": INT32, **_V1_FIELDS, **_V2_FIELDS}


def _kind(version: str, defaults: Obj) -> Kind:
    fields = {
        name: field | ({"default": defaults[name]} if name in defaults else {}) for name, field in _FIELDS.items()
    }
    return schema.kind("MPIJob", SPECS, scales=True, version=version, **fields)


MPI_JOB = _kind("v2beta1", _V2_DEFAULTS)
MPI_JOB_V1 = _kind("v1", {})


def made_as(subject: Obj) -> str:
    """The version that an MPIJob was made for: the one under which somebody first wrote its spec.

    Where the cluster keeps no such record, fields that only v1 has decide.
    """
    writers = [
        entry
        for entry in dig(subject, "metadata", "managedFields", default=())
        if "f:spec" in (entry.get("fieldsV1") or {}) and not entry.get("subresource")
    ]
    if writers:
        first = min(writers, key=lambda entry: str(entry.get("time") or ""))
        return str(first.get("apiVersion") or "").rpartition("/")[2]
    spec = subject.get("spec") or {}
    only_v1 = any(name in spec for name in _V1_FIELDS)
    return MPI_JOB_V1.version if only_v1 else MPI_JOB.version
