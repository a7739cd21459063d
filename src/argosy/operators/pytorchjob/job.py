"""A PyTorchJob read once, with every default in its place, so that nothing else digs in the raw object.

Called by `plan`. `problems` says what no retry mends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of, namespace_of
from argosy.operators.pytorchjob.schema import CONTAINER, MASTER, WORKER
from argosy.operators.settings import PREFIX

RESTART_SCOPE = f"{PREFIX}restart-scope"
CHECKPOINT_DIR = f"{PREFIX}checkpoint-dir"
_POLICIES = ("Always", "OnFailure", "Never", "ExitCode")
_CLEAN = ("All", "Running", "None")
_BACKENDS = ("c10d", "etcd", "etcd-v2")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAME_MAX = 63


@dataclass(frozen=True, slots=True)
class Replica:
    """One entry of `pytorchReplicaSpecs`."""

    type: str
    count: int
    restart_policy: str
    template: Obj


@dataclass(frozen=True, slots=True)
class Job:
    """What the plan needs to know of the spec. Times are seconds."""

    name: str
    namespace: str
    replicas: tuple[Replica, ...]
    """Master first."""
    nproc: str
    elastic: Obj | None
    clean_pods: str
    ttl: int | None
    deadline: int | None
    backoff_limit: int | None
    suspend: bool
    managed_by: str
    scheduling: Obj
    whole_gang: bool
    """Whether a failure restarts every pod; the annotation `argosy.dev/restart-scope: pod` chooses otherwise."""
    checkpoint_dir: str

    @property
    def total(self) -> int:
        """How many pods the job has."""
        return sum(replica.count for replica in self.replicas)

    @property
    def has_master(self) -> bool:
        """Whether a Master leads; otherwise worker 0 does."""
        return any(replica.type == MASTER for replica in self.replicas)

    def slots(self) -> Iterator[tuple[Replica, int]]:
        """Every (replica, index) that should have a pod, Master first."""
        for replica in self.replicas:
            for index in range(replica.count):
                yield replica, index

    def pod_name(self, type: str, index: int) -> str:
        """The name that a pod and its Service share."""
        return f"{self.name}-{type.lower()}-{index}"


def read(subject: Obj) -> Job:
    """Read the object. Never fails: what is wrong comes out of `problems`."""
    spec = subject.get("spec") or {}
    policy: Obj = spec.get("runPolicy") or {}
    elastic: Obj | None = spec.get("elasticPolicy")
    annotations = annotations_of(subject)
    nproc = str(spec.get("nprocPerNode") or dig(elastic, "nProcPerNode", default="auto"))
    replicas = spec.get("pytorchReplicaSpecs") or {}
    return Job(
        name=name_of(subject),
        namespace=namespace_of(subject),
        replicas=tuple(_replica(type, replicas[type]) for type in sorted(replicas)),
        nproc=nproc,
        elastic=elastic,
        clean_pods=str(policy.get("cleanPodPolicy") or "None"),
        ttl=policy.get("ttlSecondsAfterFinished"),
        deadline=policy.get("activeDeadlineSeconds"),
        backoff_limit=policy.get("backoffLimit"),
        suspend=bool(policy.get("suspend")),
        managed_by=str(policy.get("managedBy") or ""),
        scheduling=policy.get("schedulingPolicy") or {},
        whole_gang=annotations.get(RESTART_SCOPE) != "pod",
        checkpoint_dir=annotations.get(CHECKPOINT_DIR, ""),
    )


def _replica(type: str, spec: Mapping[str, object] | None) -> Replica:
    spec = spec or {}
    count = spec.get("replicas")
    template = spec.get("template")
    return Replica(
        type=type,
        count=count if isinstance(count, int) else 1,
        restart_policy=str(spec.get("restartPolicy") or "OnFailure"),
        template=template if isinstance(template, dict) else {},
    )


def problems(job: Job) -> list[str]:
    """What makes the job impossible, a sentence fragment each that names the field and the remedy."""
    found: list[str] = []
    if not _DNS_1035.fullmatch(job.name):
        found.append(f"metadata.name {job.name!r} names Services and must be lower-case letters, digits and dashes")
    longest = max((job.pod_name(r.type, max(r.count - 1, 0)) for r in job.replicas), key=len, default="")
    if len(longest) > _NAME_MAX:
        found.append(f"metadata.name is too long: {longest} would be over {_NAME_MAX} characters")
    if not job.replicas:
        found.append("spec.pytorchReplicaSpecs is empty: give it a Master or a Worker")
    for replica in job.replicas:
        found += _replica_problems(replica)
    if job.clean_pods not in _CLEAN:
        found.append(f"spec.runPolicy.cleanPodPolicy {job.clean_pods!r} is none of {', '.join(_CLEAN)}")
    return found + _elastic_problems(job)


def _replica_problems(replica: Replica) -> list[str]:
    where = f"spec.pytorchReplicaSpecs.{replica.type}"
    if replica.type not in (MASTER, WORKER):
        return [f"{where}: the type must be {MASTER} or {WORKER}"]
    found = []
    if replica.type == MASTER and replica.count != 1:
        found.append(f"{where}.replicas must be 1")
    if replica.count < 0:
        found.append(f"{where}.replicas must not be negative")
    if replica.restart_policy not in _POLICIES:
        found.append(f"{where}.restartPolicy {replica.restart_policy!r} is none of {', '.join(_POLICIES)}")
    containers = dig(replica.template, "spec", "containers", default=[])
    if not any(container.get("name") == CONTAINER for container in containers):
        found.append(f"{where}.template.spec.containers needs one that is named {CONTAINER}")
    missing = [str(container.get("name")) for container in containers if not container.get("image")]
    if missing:
        found.append(f"{where}.template.spec.containers: {', '.join(missing)} has no image")
    return found


def _elastic_problems(job: Job) -> list[str]:
    if job.elastic is None:
        return []
    found = []
    backend = job.elastic.get("rdzvBackend") or "c10d"
    if backend not in _BACKENDS:
        found.append(f"spec.elasticPolicy.rdzvBackend {backend!r} is none of {', '.join(_BACKENDS)}")
    least, most = job.elastic.get("minReplicas"), job.elastic.get("maxReplicas")
    if least is not None and most is not None and least > most:
        found.append(f"spec.elasticPolicy.minReplicas {least} is over maxReplicas {most}")
    if not any(replica.type == WORKER for replica in job.replicas):
        found.append("spec.elasticPolicy needs a Worker in spec.pytorchReplicaSpecs")
    return found
