"""Binding a job's pods wholly or not at all: the gang is announced in the form that the cluster at hand serves.

Kubernetes' own PodGroup goes first, then Volcano's for jobs that name its scheduler, then the coscheduling plugin's. A
cluster that serves none gets plain pods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from argosy.intent import Capabilities
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import owner_reference
from argosy.operators.gang.job import Job
from argosy.operators.gang.pods import Gang

NATIVE = Kind("scheduling.k8s.io", "v1beta1", "PodGroup", "podgroups")
NATIVE_ALPHA = Kind("scheduling.k8s.io", "v1alpha2", "PodGroup", "podgroups")
VOLCANO = Kind("scheduling.volcano.sh", "v1beta1", "PodGroup", "podgroups")
COSCHEDULING = Kind("scheduling.x-k8s.io", "v1alpha1", "PodGroup", "podgroups")
KINDS = (NATIVE, NATIVE_ALPHA, VOLCANO, COSCHEDULING)
NO_GANG = Gang({}, {}, {})


@dataclass(frozen=True, slots=True)
class Announcement:
    """The PodGroup to create, and what each pod carries."""

    kind: Kind
    obj: Obj
    gang: Gang


def announce(job: Job, owner: Obj, capabilities: Capabilities) -> Announcement | None:
    """How to announce the gang on this cluster; None where nothing listens, or there is nothing to hold together."""
    if job.total < 2:
        return None
    for kind in KINDS:
        if capabilities.serves(kind) and (kind is not VOLCANO or _scheduler(job) == "volcano"):
            spec, gang = _FORMS[kind](job)
            group: Obj = {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "metadata": {
                    "name": job.name,
                    "namespace": job.namespace,
                    "ownerReferences": [owner_reference(owner, job.framework.kind)],
                },
                "spec": spec,
            }
            return Announcement(kind, group, gang)
    return None


def least(job: Job) -> int:
    """How many pods must be placed together: as asked, else all that must be there for training to start."""
    asked = job.scheduling.get("minAvailable")
    return int(asked) if asked is not None else job.framework.least(job)


def announced(group: Obj) -> int | None:
    """How many pods a PodGroup that is there holds together."""
    spec = group.get("spec") or {}
    found = dig(spec, "schedulingPolicy", "gang", "minCount", default=spec.get("minMember"))
    return int(found) if found is not None else None


def _scheduler(job: Job) -> str:
    return next((str(dig(r.template, "spec", "schedulerName", default="")) for r in job.replicas), "")


def _native(job: Job) -> tuple[Obj, Gang]:
    spec: Obj = {"schedulingPolicy": {"gang": {"minCount": least(job)}}}
    return spec, Gang({}, {}, {"schedulingGroup": {"podGroupName": job.name}})


def _volcano(job: Job) -> tuple[Obj, Gang]:
    spec: Obj = {"minMember": least(job), "queue": job.scheduling.get("queue") or "default"}
    if job.scheduling.get("priorityClass"):
        spec["priorityClassName"] = job.scheduling["priorityClass"]
    if job.scheduling.get("minResources"):
        spec["minResources"] = job.scheduling["minResources"]
    return spec, Gang({}, {"scheduling.k8s.io/group-name": job.name}, {}, task_annotation="volcano.sh/task-spec")


def _coscheduling(job: Job) -> tuple[Obj, Gang]:
    spec: Obj = {"minMember": least(job)}
    for field in ("minResources", "scheduleTimeoutSeconds"):
        if job.scheduling.get(field) is not None:
            spec[field] = job.scheduling[field]
    return spec, Gang({"scheduling.x-k8s.io/pod-group": job.name}, {}, {})


_FORMS: dict[Kind, Callable[[Job], tuple[Obj, Gang]]] = {
    NATIVE: _native,
    NATIVE_ALPHA: _native,
    VOLCANO: _volcano,
    COSCHEDULING: _coscheduling,
}
