"""The pods of a Job as objects. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.engine.controllers.job.census import INDEX_FAILURES, TRACKING
from argosy.engine.controllers.job.indexes import INDEX
from argosy.engine.controllers.pods import pod_from_template
from argosy.kinds import JOB
from argosy.meta.json import Obj
from argosy.meta.objects import name_of, uid_of

_ENV = "JOB_COMPLETION_INDEX"
_HOSTNAME_MAX = 63


@dataclass(frozen=True, slots=True)
class Indexed:
    """The index a pod works on, and how often that index has failed before where the Job counts by index."""

    index: int
    failures: int | None = None


def job_labels(job: Obj) -> dict[str, str]:
    """What marks a pod as the Job's, in today's words and in the old ones that selectors still use."""
    if job["spec"].get("manualSelector"):
        return {"batch.kubernetes.io/job-name": name_of(job), "job-name": name_of(job)}
    return {
        "batch.kubernetes.io/controller-uid": uid_of(job),
        "batch.kubernetes.io/job-name": name_of(job),
        "controller-uid": uid_of(job),
        "job-name": name_of(job),
    }


def make_pod(job: Obj, name: str, indexed: Indexed | None) -> Obj:
    """A pod, held by the tracking finalizer until it is counted."""
    template = job["spec"].get("template") or {}
    pod = pod_from_template(template, job, JOB, name)
    meta = pod["metadata"]
    meta["labels"] |= job_labels(job)
    meta["finalizers"] = [*meta.get("finalizers", ()), TRACKING]
    if indexed is not None:
        meta["labels"][INDEX] = str(indexed.index)
        meta["annotations"] = {**meta.get("annotations", {}), INDEX: str(indexed.index)}
        if indexed.failures is not None:
            meta["annotations"][INDEX_FAILURES] = str(indexed.failures)
        pod["spec"] = _with_index(pod["spec"], name_of(job), indexed.index)
    return pod


def _with_index(spec: Obj, job_name: str, index: int) -> Obj:
    entry = {"name": _ENV, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}}
    changed = dict(spec)
    for field in ("initContainers", "containers"):
        if spec.get(field):
            changed[field] = [_with_env(container, entry) for container in spec[field]]
    if not spec.get("hostname"):
        hostname = f"{job_name}-{index}"
        if len(hostname) <= _HOSTNAME_MAX:
            changed["hostname"] = hostname
    return changed


def _with_env(container: Obj, entry: Obj) -> Obj:
    env = container.get("env") or []
    if any(e.get("name") == _ENV for e in env):
        return container
    return {**container, "env": [*env, entry]}
