"""The decision of the RayJob operator: from what is seen of one job to what should happen to it now.

Called by `argosy.control.runner` whenever the job, its cluster or its submitter changes, or the dashboard says something
new. `status.jobDeploymentStatus` is the state of a machine: each plan takes one step of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from argosy import kinds
from argosy.clock import parse_time, rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, name_of, owner_reference, uid_of
from argosy.operators.ray import cluster as ray_cluster
from argosy.operators.ray import dashboard, names, services
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.rayjob import deletion, running, submit
from argosy.operators.rayjob.job import Job, problem, read
from argosy.operators.rayjob.schema import (
    COMPLETE,
    FAILED,
    INITIALIZING,
    INTERACTIVE,
    INVALID,
    JOB_ENDED,
    JOB_SUCCEEDED,
    K8S_JOB,
    NEW,
    RAY_JOB,
    RETRYING,
    RUNNING,
    SIDECAR,
    SUSPENDED,
    SUSPENDING,
    WAITING,
)
from argosy.operators.settings import OperatorSettings

OWNED = (RAY_CLUSTER, kinds.JOB, kinds.SERVICE)
FINALIZER = "ray.io/rayjob-finalizer"
_NO_RETRY = ("DeadlineExceeded", "JobStatusCheckTimeoutExceeded")
_OF_AN_ATTEMPT = (
    "rayClusterStatus", "rayClusterName", "dashboardURL", "jobId", "message", "reason", "rayJobInfo", "jobStatus",
    "jobStatusCheckFailureStartTime", "endTime",
)  # fmt: skip


@dataclass(slots=True)
class _Draft:
    """What has been decided so far about one job."""

    seen: Observed
    job: Job
    status: Obj
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    again: float | None = None

    @property
    def cluster(self) -> Obj | None:
        """The cluster that the status names, the job's own or somebody's."""
        name = self.status.get("rayClusterName")
        known = [*self.seen.of(RAY_CLUSTER), *self.seen.related.get(RAY_CLUSTER, ())]
        return next((cluster for cluster in known if name_of(cluster) == name), None)

    @property
    def domain(self) -> str:
        return self.job.cluster.domain

    def create(self, kind: Kind, obj: Obj, code: str) -> None:
        self.actions.append(Create(kind, obj))
        self.reasons.append(Reason(code, f"Created {kind.kind} {key_of(obj)}"))

    def delete(self, kind: Kind, obj: Obj, code: str) -> None:
        if not is_deleting(obj):
            self.actions.append(Delete(kind, key_of(obj), uid_of(obj)))
            self.reasons.append(Reason(code, f"Deleted {kind.kind} {key_of(obj)}"))

    def go(self, state: str, **more: object) -> None:
        self.status |= {"jobDeploymentStatus": state, **more}

    def wake_in(self, seconds: float | None) -> None:
        if seconds is not None:
            self.again = seconds if self.again is None else min(self.again, seconds)

    def seconds_since(self, field: str) -> float:
        text = self.status.get(field)
        return (self.seen.now - parse_time(text)).total_seconds() if text else 0.0


def plan(seen: Observed, settings: OperatorSettings) -> Plan:
    """Decide about one job."""
    subject = seen.subject
    job = read(subject, settings.cluster_domain)
    if job.managed_by:
        return Plan()
    draft = _Draft(seen, job, thaw(subject.get("status") or {}))
    if is_deleting(subject):
        return _deleted(draft)
    before = str(draft.status.get("jobDeploymentStatus") or NEW)
    if before not in (COMPLETE, FAILED):
        code, wrong = problem(job)
        if wrong:
            draft.go(INVALID, reason=INVALID, message=wrong)
            return Plan((), draft.status, (Reason(code, wrong, warning=True),))
        if before == INVALID:  # it has been mended
            before = NEW
            draft.status = {}
    _STEPS[before](draft)
    _count(draft, before)
    draft.status = {name: value for name, value in draft.status.items() if value is not None}
    draft.status["observedGeneration"] = subject["metadata"].get("generation", 1)
    return Plan(tuple(draft.actions), draft.status, tuple(draft.reasons), draft.again)


def _count(draft: _Draft, before: str) -> None:
    """Count how the attempt has ended, and begin another where that is allowed."""
    status, state = draft.status, draft.status.get("jobDeploymentStatus")
    status.setdefault("failed", 0)
    status.setdefault("succeeded", 0)
    if state not in (COMPLETE, FAILED) or before == state:
        return
    status["endTime"] = rfc3339(draft.seen.now)
    if state == COMPLETE:
        status["succeeded"] += status.get("jobStatus") == JOB_SUCCEEDED
        return
    status["failed"] += 1
    message = f"RayJob {draft.job.name} failed: {status.get('reason')}: {status.get('message') or 'no message'}"
    draft.reasons.append(Reason("RayJobFailed", message, warning=True))
    limit = int(draft.job.spec.get("backoffLimit") or 0)
    if status["failed"] <= limit and status.get("reason") not in _NO_RETRY:
        status["jobDeploymentStatus"] = RETRYING


def _new(draft: _Draft) -> None:
    """Choose the names first: whatever is made after this is found again by them."""
    job, status = draft.job, draft.status
    attempt = names.suffix(job.uid, status.get("failed", 0), draft.seen.now)
    if job.mode != INTERACTIVE:
        status["jobId"] = job.spec.get("jobId") or f"{job.name}-{names.suffix('job', attempt)}"
    status["rayClusterName"] = job.selected or f"{job.name}-{attempt}"
    draft.go(INITIALIZING, jobStatus="", startTime=rfc3339(draft.seen.now))
    finalizers = draft.seen.subject["metadata"].get("finalizers") or []
    if job.selected and FINALIZER not in finalizers:
        # On somebody's cluster the program has to be stopped when the job is deleted; its own goes with it.
        subject = draft.seen.subject
        patch = {"metadata": {"finalizers": [*finalizers, FINALIZER]}}
        draft.actions.append(Patch(RAY_JOB, key_of(subject), patch, uid=uid_of(subject)))


def _initializing(draft: _Draft) -> None:
    job, status = draft.job, draft.status
    if _suspends(draft) or _is_late(draft, "activeDeadlineSeconds") or _is_late(draft, "preRunningDeadlineSeconds"):
        return
    cluster = _own_cluster(draft)
    if cluster is None:
        return
    if not status.get("dashboardURL"):
        status["rayClusterStatus"] = thaw(cluster.get("status") or {})
        if dig(cluster, "status", "state") != "ready":
            return
        described = ray_cluster.read(cluster, draft.domain)
        address = dashboard.url(services.head(described, cluster, RAY_CLUSTER), draft.domain)
        if not address:
            message = f"The head of RayCluster {described.name} has no port called dashboard; name one 8265"
            draft.go(FAILED, reason="SubmissionFailed", message=message)
            return
        status["dashboardURL"] = address
    if job.mode == INTERACTIVE:
        draft.go(WAITING)
        return
    if job.mode == K8S_JOB and not draft.seen.of(kinds.JOB):
        described = ray_cluster.read(cluster, draft.domain)
        draft.create(kinds.JOB, submit.submitter(job, described, status, draft.seen.subject), "CreatedRayJobSubmitter")
    draft.go(RUNNING)


def _waiting(draft: _Draft) -> None:
    """InteractiveMode: until somebody has submitted a program and says its id."""
    if _is_late(draft, "preRunningDeadlineSeconds"):
        return
    given = draft.job.spec.get("jobId")
    if given:
        draft.go(RUNNING, jobId=given)


def _running(draft: _Draft) -> None:
    job, status = draft.job, draft.status
    if _suspends(draft) or _is_late(draft, "activeDeadlineSeconds"):
        return
    cluster = _own_cluster(draft)
    if cluster is None:
        return
    if not job.selected:
        _service(draft, cluster)
    submitter: running.Submitter | None = None
    if job.mode == K8S_JOB:
        submitter = running.of_job(draft.seen.of(kinds.JOB)) or running.Submitter("The submitter Job has been deleted.")
    elif job.mode == SIDECAR:
        submitter = running.of_head(next(iter(draft.seen.related.get(kinds.POD, ())), None))
    found = running.judge(status, submitter, draft.seen.probed, job.mode, draft.seen.now)
    if "jobStatus" in found.status:
        status["rayClusterStatus"] = thaw(cluster.get("status") or {})
    status |= found.status
    if found.submit:
        body = submit.request(job, str(status["jobId"]))
        draft.actions.append(dashboard.call("POST", str(status["dashboardURL"]), dashboard.JOBS, body))
    draft.wake_in(found.again_in_seconds)


def _releasing(draft: _Draft) -> None:
    """Suspending or Retrying: take everything away, and go on once it is gone."""
    remaining = [(kinds.JOB, obj, "DeletedRayJobSubmitter") for obj in draft.seen.of(kinds.JOB)]
    remaining += [(RAY_CLUSTER, obj, "DeletedRayCluster") for obj in draft.seen.of(RAY_CLUSTER)]
    for kind, obj, code in remaining:
        draft.delete(kind, obj, code)
    if remaining:
        return
    after = SUSPENDED if draft.status["jobDeploymentStatus"] == SUSPENDING else NEW
    for name in _OF_AN_ATTEMPT:
        draft.status.pop(name, None)
    draft.go(after, jobStatus="")


def _suspended(draft: _Draft) -> None:
    if not draft.job.suspend:
        draft.go(NEW, jobStatus="")


def _over(draft: _Draft) -> None:
    """Complete or Failed: delete what is due."""
    if draft.job.selected:
        return
    overdue: list[str] = []
    for due in deletion.due(draft.job.spec, draft.status):
        left = due.after_seconds - draft.seconds_since("endTime")
        if left > 0:
            draft.wake_in(left)
        elif not _is_done(draft, due.policy):
            overdue.append(due.policy)
    if overdue:
        _execute(draft, deletion.strongest(overdue))


def _is_done(draft: _Draft, policy: str) -> bool:
    cluster = draft.cluster
    if policy == deletion.WORKERS and cluster is not None and not is_deleting(cluster):
        return all(group.get("suspend") for group in dig(cluster, "spec", "workerGroupSpecs", default=()))
    if policy == deletion.CLUSTER and cluster is not None:
        return is_deleting(cluster)
    return policy != deletion.SELF


def _execute(draft: _Draft, policy: str) -> None:
    subject, cluster = draft.seen.subject, draft.cluster
    if policy == deletion.SELF:
        draft.actions.append(Delete(RAY_JOB, key_of(subject), uid_of(subject)))
    elif policy == deletion.CLUSTER and cluster is not None:
        draft.delete(RAY_CLUSTER, cluster, "DeletedRayCluster")
    elif policy == deletion.WORKERS and cluster is not None:
        groups = [{**thaw(group), "suspend": True} for group in dig(cluster, "spec", "workerGroupSpecs", default=())]
        patch = {"spec": {"workerGroupSpecs": groups}}
        draft.actions.append(Patch(RAY_CLUSTER, key_of(cluster), patch, uid=uid_of(cluster)))
        message = f"Set the `suspend` field to true for all worker groups in RayCluster {key_of(cluster)}"
        draft.reasons.append(Reason("UpdatedRayCluster", message))


def _nothing(draft: _Draft) -> None:
    """A state that only an edit of the status could bring about."""


def _deleted(draft: _Draft) -> Plan:
    """Stop a program that runs on somebody's cluster; whether or not that answers, the job may go."""
    subject = draft.seen.subject
    finalizers = subject["metadata"].get("finalizers") or []
    if FINALIZER not in finalizers:
        return Plan()
    address, job_id = draft.status.get("dashboardURL"), draft.status.get("jobId")
    if address and job_id and draft.status.get("jobStatus") not in JOB_ENDED:
        path = f"{dashboard.JOBS}{job_id}/stop"
        draft.actions.append(dashboard.call("POST", address, path, optional=True))
    rest = [name for name in finalizers if name != FINALIZER]
    draft.actions.append(Patch(RAY_JOB, key_of(subject), {"metadata": {"finalizers": rest}}, uid=uid_of(subject)))
    return Plan(tuple(draft.actions))


def _suspends(draft: _Draft) -> bool:
    if draft.job.suspend:
        draft.go(SUSPENDING)
    return draft.job.suspend


def _is_late(draft: _Draft, limit: str) -> bool:
    """Whether the attempt has lasted longer than this field of the spec allows; else wake up when it will have."""
    given = draft.job.spec.get(limit)
    if given is None:
        return False
    left = float(given) - draft.seconds_since("startTime")
    if left > 0:
        draft.wake_in(left)
        return False
    reason = "DeadlineExceeded" if limit == "activeDeadlineSeconds" else "PreRunningDeadlineExceeded"
    started = draft.status.get("startTime")
    message = f"The RayJob has passed the {limit}. StartTime: {started}. {limit[0].upper()}{limit[1:]}: {given}"
    draft.go(FAILED, reason=reason, message=message)
    return True


def _own_cluster(draft: _Draft) -> Obj | None:
    """The job's cluster, made if it is not there; None while there is none."""
    job, cluster = draft.job, draft.cluster
    if cluster is not None:
        return cluster
    name = str(draft.status["rayClusterName"])
    if job.selected:
        message = f"RayCluster {job.namespace}/{name} set in the clusterSelector is not found. Create it"
        draft.reasons.append(Reason("RayClusterNotFound", message, warning=True))
        return None
    subject = draft.seen.subject
    spec: Obj = thaw(job.spec["rayClusterSpec"])
    annotations = dict(subject["metadata"].get("annotations") or {})
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if job.mode == SIDECAR:
        pod = spec["headGroupSpec"]["template"]["spec"]
        pod["containers"].append(submit.sidecar(job, str(draft.status["jobId"])))
        pod["restartPolicy"] = "Never"
        annotations[names.KEEP_HEAD_DOWN] = "true"
    labels = {
        **(subject["metadata"].get("labels") or {}),
        **names.origin_labels("RayJob", job.name),
        names.LABEL_SUBMISSION_MODE: job.mode,
    }
    metadata: Obj = {
        "name": name,
        "namespace": job.namespace,
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [owner_reference(subject, RAY_JOB)],
    }
    made = {"apiVersion": RAY_CLUSTER.api_version, "kind": RAY_CLUSTER.kind, "metadata": metadata, "spec": spec}
    draft.create(RAY_CLUSTER, made, "CreatedRayCluster")
    return None


def _service(draft: _Draft, cluster: Obj) -> None:
    """The job's own Service before the head, which leads to the cluster of each attempt in turn."""
    wanted = services.head_for_owner(ray_cluster.read(cluster, draft.domain), draft.seen.subject, RAY_JOB)
    present = next((each for each in draft.seen.of(kinds.SERVICE) if name_of(each) == name_of(wanted)), None)
    if present is None:
        draft.create(kinds.SERVICE, wanted, "CreatedService")
    elif dig(present, "spec", "selector", names.LABEL_CLUSTER) != name_of(cluster):
        patch = {"spec": {"selector": wanted["spec"]["selector"]}}
        draft.actions.append(Patch(kinds.SERVICE, key_of(present), patch, uid=uid_of(present)))
        draft.reasons.append(Reason("UpdatedService", f"Updated the service {key_of(present)}"))


_STEPS: dict[str, Callable[[_Draft], None]] = {
    NEW: _new,
    INITIALIZING: _initializing,
    WAITING: _waiting,
    RUNNING: _running,
    SUSPENDING: _releasing,
    RETRYING: _releasing,
    SUSPENDED: _suspended,
    COMPLETE: _over,
    FAILED: _over,
    INVALID: _nothing,
}
