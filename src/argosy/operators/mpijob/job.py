"""An MPIJob v2beta1 read once, with every default in its place; and what makes it impossible.

Pure, called by `plan`. It builds on the gang's reading of what all kinds of this group share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.operators.gang import job as gang
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.job import Job, Replica
from argosy.operators.mpijob.schema import (
    AT_STARTUP,
    LAUNCHER,
    MPI_JOB,
    OPEN_MPI,
    ROOT_SSH,
    SPECS,
    WHEN_READY,
    WORKER,
)

OPERATOR_NAME = "mpi-operator"
_RESTART = ("Never", "OnFailure")
_CLEAN = ("", "All", "Running", "None")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAME_MAX = 63

FRAMEWORK = Framework(
    kind=MPI_JOB,
    specs=SPECS,
    types=(LAUNCHER, WORKER),
    container="",  # whichever comes first
    port_name="",
    port=0,
    restart_policy="",
    environment=lambda _job, _replica, _index: (),
    operator_name=OPERATOR_NAME,
    managed_by="kubeflow.org/mpi-operator",
)


@dataclass(frozen=True, slots=True)
class MpiJob:
    """What the plan needs to know of the spec."""

    base: Job
    """What all kinds of the group have."""
    slots: int
    launcher_works: bool
    """Whether ranks run in the launcher too (`runLauncherAsWorker`)."""
    implementation: str
    ssh_path: str
    waits: bool
    """Whether the launcher is made only when all workers are ready."""

    @property
    def name(self) -> str:
        """The job's name, which its Service has too."""
        return self.base.name

    @property
    def namespace(self) -> str:
        """The job's namespace."""
        return self.base.namespace

    @property
    def launcher_name(self) -> str:
        """The name of the launcher's Job, ServiceAccount and so on."""
        return f"{self.name}-launcher"

    @property
    def config_name(self) -> str:
        """The name of the ConfigMap."""
        return f"{self.name}-config"

    @property
    def secret_name(self) -> str:
        """The name of the Secret with the SSH key."""
        return f"{self.name}-ssh"

    @property
    def workers(self) -> int:
        """How many workers the job has."""
        return self.base.count(WORKER)

    @property
    def launcher(self) -> Replica:
        """The launcher's replica spec."""
        found = self.base.replica(LAUNCHER)
        assert found is not None, "`problems` comes first"
        return found

    def worker_name(self, index: int) -> str:
        """The name of a worker's pod."""
        return f"{self.name}-worker-{index}"


def read(subject: Obj) -> MpiJob:
    """Read the object. Never fails: what is wrong comes out of `problems`."""
    spec = subject.get("spec") or {}
    slots = spec.get("slotsPerWorker")
    return MpiJob(
        base=gang.read(FRAMEWORK, subject),
        slots=1 if slots is None else int(slots),
        launcher_works=bool(spec.get("runLauncherAsWorker")),
        implementation=str(spec.get("mpiImplementation") or OPEN_MPI),
        ssh_path=str(spec.get("sshAuthMountPath") or ROOT_SSH),
        waits=spec.get("launcherCreationPolicy") == WHEN_READY,
    )


def restart_policy(replica: Replica) -> str:
    """Of a replica's pods: the launcher's is OnFailure unless given, a worker's Never."""
    return replica.restart_policy or ("OnFailure" if replica.type == LAUNCHER else "Never")


def problems(job: MpiJob, subject: Obj) -> list[str]:
    """What no retry mends, a sentence fragment each that names the field and the remedy."""
    base, where, found = job.base, f"spec.{SPECS}", []
    longest = job.worker_name(max(job.workers - 1, 0))
    if not _DNS_1035.fullmatch(job.name) or len(longest) > _NAME_MAX:
        found.append(
            f"metadata.name {job.name!r} names pods and a Service: {longest} must be lower-case letters, digits and "
            f"dashes, {_NAME_MAX} at most"
        )
    if base.replica(LAUNCHER) is None:
        found.append(f"{where} has no {LAUNCHER}, which runs mpirun: give it one")
    for replica in base.replicas:
        found += _replica_problems(replica, f"{where}.{replica.type}")
    if job.slots < 1:
        found.append(f"spec.slotsPerWorker is {job.slots}: give each worker at least 1")
    if base.clean_pods not in _CLEAN:
        found.append(f"spec.runPolicy.cleanPodPolicy {base.clean_pods!r} is none of {', '.join(_CLEAN[1:])}")
    policy = dig(subject, "spec", "launcherCreationPolicy", default=AT_STARTUP)
    if policy not in (AT_STARTUP, WHEN_READY):
        found.append(f"spec.launcherCreationPolicy {policy!r} is none of {AT_STARTUP}, {WHEN_READY}")
    limits = {"ttlSecondsAfterFinished": base.ttl, "activeDeadlineSeconds": base.deadline}
    for name, value in (limits | {"backoffLimit": base.backoff_limit}).items():
        if value is not None and value < 0:
            found.append(f"spec.runPolicy.{name} must not be negative")
    return [*found, base.unreadable] if base.unreadable else found


def _replica_problems(replica: Replica, where: str) -> list[str]:
    if replica.type not in (LAUNCHER, WORKER):
        return [f"{where}: the type must be {LAUNCHER} or {WORKER}"]
    found = []
    if replica.type == LAUNCHER and replica.count != 1:
        found.append(f"{where}.replicas must be 1")
    if replica.type == WORKER and replica.count < 1:
        found.append(f"{where}.replicas must be 1 or more")
    if replica.restart_policy not in ("", *_RESTART):
        found.append(f"{where}.restartPolicy {replica.restart_policy!r} is none of {', '.join(_RESTART)}")
    containers = dig(replica.template, "spec", "containers", default=[])
    if not containers:
        found.append(f"{where}.template.spec.containers is empty: give it a container")
    missing = [str(container.get("name")) for container in containers if not container.get("image")]
    if missing:
        found.append(f"{where}.template.spec.containers: {', '.join(missing)} has no image")
    return found
