"""A JobSet as its operator reads it. Pure; called by `plan` before everything else.

Defaults that the schema fills in are read here as well: a cluster may serve upstream's own CustomResourceDefinition, whose
webhook is gone with its controller.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of, namespace_of, uid_of
from argosy.operators.jobset import pods
from argosy.operators.jobset.schema import CONTROLLER


@dataclass(frozen=True, slots=True)
class ReplicatedJob:
    """A Job template and how many Jobs are made of it."""

    name: str
    group: str
    replicas: int
    template: Obj
    depends_on: tuple[tuple[str, str], ...]
    """(replicated job, `Ready` or `Complete`)."""


@dataclass(frozen=True, slots=True)
class JobSet:
    """What a JobSet asks for."""

    name: str
    namespace: str
    uid: str
    annotations: dict[str, str]
    jobs: tuple[ReplicatedJob, ...]
    suspend: bool
    managed_by: str
    ttl: int | None
    """Seconds that it stays once it has finished."""
    network: Obj
    in_order: bool
    any_success: bool
    success_targets: tuple[str, ...]
    """Replicated jobs that have to succeed; empty for all of them."""
    failure_policy: Obj | None
    coordinator: Obj | None
    claims: tuple[tuple[Obj, bool], ...]
    """Claim templates, each with whether the claim goes with the JobSet."""
    unreadable: tuple[str, ...] = ()
    """What in its annotations cannot be read."""

    @property
    def subdomain(self) -> str:
        """The headless Service that the pods' names are under; empty without one."""
        if self.network.get("enableDNSHostnames") is False:
            return ""
        return str(self.network.get("subdomain") or self.name)

    @property
    def total(self) -> int:
        """How many Jobs there are in all."""
        return sum(job.replicas for job in self.jobs)

    @property
    def blocking(self) -> bool:
        """Whether a restart waits until nothing of the attempt before it is left."""
        return (self.failure_policy or {}).get("restartStrategy") == "BlockingRecreate"

    @property
    def restarts_single_jobs(self) -> bool:
        """Whether a rule restarts Jobs one by one, so that each has a count of its own."""
        return any(rule["action"] in ("RestartJob", "RestartJobAndIgnoreMaxRestarts") for rule in self.rules)

    @property
    def rules(self) -> list[Obj]:
        """The rules of the failure policy, each with a name."""
        given = (self.failure_policy or {}).get("rules") or ()
        return [{"name": f"failurePolicyRule{i}", **_named(rule)} for i, rule in enumerate(given)]

    def job_name(self, job: ReplicatedJob, index: int) -> str:
        """The name of a child Job."""
        return f"{self.name}-{job.name}-{index}"

    def job(self, name: str) -> ReplicatedJob | None:
        """The replicated job of that name."""
        return next((job for job in self.jobs if job.name == name), None)


def _named(rule: Obj) -> Obj:
    return {field: value for field, value in rule.items() if field != "name" or value}


def read(subject: Obj) -> JobSet:
    """Read a JobSet."""
    spec: Obj = subject.get("spec") or {}
    success = spec.get("successPolicy") or {}
    return JobSet(
        name=name_of(subject),
        namespace=namespace_of(subject),
        uid=uid_of(subject),
        annotations=annotations_of(subject),
        jobs=tuple(_job(each) for each in spec.get("replicatedJobs") or ()),
        suspend=bool(spec.get("suspend")),
        managed_by=str(spec.get("managedBy") or CONTROLLER),
        ttl=spec.get("ttlSecondsAfterFinished"),
        network=spec.get("network") or {},
        in_order=dig(spec, "startupPolicy", "startupPolicyOrder") == "InOrder",
        any_success=success.get("operator") == "Any",
        success_targets=tuple(success.get("targetReplicatedJobs") or ()),
        failure_policy=spec.get("failurePolicy"),
        coordinator=spec.get("coordinator"),
        claims=tuple(
            (template, dig(policy, "retentionPolicy", "whenDeleted") != "Retain")
            for policy in spec.get("volumeClaimPolicies") or ()
            for template in policy.get("templates") or ()
        ),
        unreadable=tuple(pods.problems(subject)),
    )


def _job(given: Obj) -> ReplicatedJob:
    return ReplicatedJob(
        name=str(given["name"]),
        group=str(given.get("groupName") or "default"),
        replicas=int(given.get("replicas", 1)),
        template=given["template"],
        depends_on=tuple((each["name"], each["status"]) for each in given.get("dependsOn") or ()),
    )
