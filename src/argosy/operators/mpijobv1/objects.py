"""What an MPIJob v1 has besides pods, and what its pods have besides their templates. Pure construction, called by `plan`.

`kubexec.sh` is what mpirun calls in place of `ssh`; a kubectl that an init container brings does the work, with the rights
that the launcher's Role gives. Names, files and environment are upstream's.
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy import kinds
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import labels_of, owner_reference
from argosy.operators.gang.env import entries
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.job import Job, Replica
from argosy.operators.gang.labels import LABEL_TYPE
from argosy.operators.mpijob.hosts import CONFIG_PATH, DISCOVER, HOSTFILE
from argosy.operators.mpijob.schema import LAUNCHER, MPI_JOB_V1, SPECS, WORKER

KUBEXEC = "kubexec.sh"
DELIVERY = "kubeflow/kubectl-delivery:latest"
_KUBE_PATH = "/opt/kube"
_CONFIG_VOLUME, _KUBE_VOLUME = "mpi-job-config", "mpi-job-kubectl"
_AGENT = f"{CONFIG_PATH}/{KUBEXEC}"
_SLEEP = {"command": ["sleep"], "args": ["365d"]}
_SHARE = {"cpu": "100m", "ephemeral-storage": "5Gi", "memory": "512Mi"}


def _pod_name(job: str, type: str, index: int) -> str:
    return f"{job}-launcher" if type == LAUNCHER else f"{job}-worker-{index}"


def _problems(job: Job) -> Iterable[str]:
    slots = job.spec.get("slotsPerWorker")
    if slots is not None and slots < 1:
        yield f"spec.slotsPerWorker is {slots}: give each worker at least 1"
    for replica in job.replicas:
        if not dig(replica.template, "spec", "containers"):
            yield f"spec.{SPECS}.{replica.type}.template.spec.containers is empty: give it a container"


def _extras(job: Job, owner: Obj) -> Iterable[tuple[Kind, Obj]]:
    yield kinds.CONFIG_MAP, config_map(job, owner, ())
    if not _account(job):
        yield kinds.SERVICE_ACCOUNT, _owned(job, owner, kinds.SERVICE_ACCOUNT)
    yield kinds.ROLE, role(job, owner)
    name = _launcher_name(job)
    subject = {"kind": "ServiceAccount", "name": _account(job) or name, "namespace": job.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    yield kinds.ROLE_BINDING, _owned(job, owner, kinds.ROLE_BINDING, subjects=[subject], roleRef=reference)


FRAMEWORK = Framework(
    kind=MPI_JOB_V1,
    specs=SPECS,
    types=(LAUNCHER, WORKER),
    masters=(LAUNCHER,),
    required=(LAUNCHER,),
    single=(LAUNCHER,),
    container="",  # whichever comes first
    port_name="",
    port=0,
    restart_policy="Never",
    environment=lambda _job, _replica, _index: (),
    problems=_problems,
    extras=_extras,
    owns=(kinds.CONFIG_MAP, kinds.SERVICE_ACCOUNT, kinds.ROLE, kinds.ROLE_BINDING),
    pod_name=_pod_name,
    has_services=False,
)


def config_map(job: Job, owner: Obj, running: Iterable[str]) -> Obj:
    """kubexec.sh, the host file, and the script that lists the workers (by pod name) that run."""
    main = str(job.spec.get("mainContainer") or "")
    slots = int(job.spec.get("slotsPerWorker") or 1)
    container = f" --container {main}" if main else ""
    launcher = [_launcher_name(job)] if _has_gpu(job) else []
    workers = [job.pod_name(WORKER, index) for index in range(job.count(WORKER))]
    present = "".join(f"\necho {pod}:{slots}" for pod in [*launcher, *sorted(running)])
    data = {
        HOSTFILE: "".join(f"{pod} slots={slots}\n" for pod in [*launcher, *workers]),
        KUBEXEC: f'#!/bin/sh\nset -x\nPOD_NAME=$1\nshift\n{_KUBE_PATH}/kubectl exec ${{POD_NAME}}{container} '
        '-- /bin/sh -c "$*"',
        DISCOVER: f"#!/bin/sh{present}",
    }  # fmt: skip
    return _owned(job, owner, kinds.CONFIG_MAP, name=f"{job.name}-config", data=data)


def role(job: Job, owner: Obj) -> Obj:
    """What the launcher may: see pods, and execute in its own workers. Newer kubectls `get` where older ones `create`."""
    workers = [job.pod_name(WORKER, index) for index in range(job.count(WORKER))]
    see = {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]}
    execute = {
        "verbs": ["create", "get"],
        "apiGroups": [""],
        "resources": ["pods/exec"],
        "resourceNames": workers,
    }
    return _owned(job, owner, kinds.ROLE, rules=[see, *([execute] if workers else [])])


def dressed(job: Job, pod: Obj) -> Obj:
    """A launcher's or worker's pod with all that MPI needs."""
    made: Obj = thaw(pod)
    spec = made["spec"]
    main = spec["containers"][0]
    files = [(KUBEXEC, 0o555)]
    if labels_of(pod).get(LABEL_TYPE) == LAUNCHER.lower():
        files += [(HOSTFILE, 0o444), (DISCOVER, 0o555)]
        _dress_launcher(job, spec, main)
    elif not main.get("command"):
        main |= _SLEEP
    # The workers have the script too: Open MPI looks for it in every rank.
    items = [{"key": name, "path": name, "mode": mode} for name, mode in files]
    _extend(main, "volumeMounts", [{"name": _CONFIG_VOLUME, "mountPath": CONFIG_PATH}])
    _extend(spec, "volumes", [{"name": _CONFIG_VOLUME, "configMap": {"name": f"{job.name}-config", "items": items}}])
    return made


def _dress_launcher(job: Job, spec: Obj, main: Obj) -> None:
    spec.setdefault("serviceAccountName", _launcher_name(job))
    mounts = [{"name": _KUBE_VOLUME, "mountPath": _KUBE_PATH}, {"name": _CONFIG_VOLUME, "mountPath": CONFIG_PATH}]
    delivery: Obj = {
        "name": "kubectl-delivery",
        "image": DELIVERY,
        "imagePullPolicy": "IfNotPresent",
        "env": entries({"TARGET_DIR": _KUBE_PATH, "NAMESPACE": job.namespace}),
        "volumeMounts": mounts,
        "resources": {"limits": dict(_SHARE), "requests": dict(_SHARE)},
    }
    _extend(spec, "initContainers", [delivery])
    _extend(spec, "volumes", [{"name": _KUBE_VOLUME, "emptyDir": {}}])
    _extend(main, "volumeMounts", mounts[:1])
    given = {entry.get("name") for entry in main.get("env") or ()}
    hostfile = f"{CONFIG_PATH}/{HOSTFILE}"
    env = {"OMPI_MCA_plm_rsh_agent": _AGENT, "OMPI_MCA_orte_default_hostfile": hostfile}
    # Open MPI 5 does not know the names above, finds no hosts and silently runs all ranks in the launcher.
    env |= {"PRTE_MCA_plm_ssh_agent": _AGENT, "PRTE_MCA_prte_default_hostfile": hostfile}
    if not _has_gpu(job):
        env |= {"NVIDIA_VISIBLE_DEVICES": "", "NVIDIA_DRIVER_CAPABILITIES": ""}
    intel = {"I_MPI_HYDRA_BOOTSTRAP": "rsh", "I_MPI_HYDRA_BOOTSTRAP_EXEC": _AGENT}
    env |= {name: value for name, value in intel.items() if name not in given}
    _extend(main, "env", entries(env))


def _has_gpu(job: Job) -> bool:
    """Whether the launcher asks for GPUs; then it is a host too."""
    containers = dig(_launcher(job).template, "spec", "containers", default=[])
    limits = (name for each in containers for name in dig(each, "resources", "limits", default={}))
    return any("gpu" in name for name in limits)


def _launcher(job: Job) -> Replica:
    found = job.replica(LAUNCHER)
    assert found is not None, "required"
    return found


def _launcher_name(job: Job) -> str:
    return job.pod_name(LAUNCHER, 0)


def _account(job: Job) -> str:
    return str(dig(_launcher(job).template, "spec", "serviceAccountName", default=""))


def _owned(job: Job, owner: Obj, kind: Kind, *, name: str = "", **content: object) -> Obj:
    metadata = {
        "name": name or _launcher_name(job),
        "namespace": job.namespace,
        "labels": {"app": job.name},
        "ownerReferences": [owner_reference(owner, MPI_JOB_V1)],
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **content}


def _extend(obj: Obj, field: str, added: list[Obj]) -> None:
    obj[field] = [*(obj.get(field) or ()), *added]
