"""The decision of the JobSet operator: from what is seen of one JobSet to what should happen to it now.

Called by `argosy.control.runner` whenever the JobSet or one of its Jobs changes. It follows upstream's reconciler, order
and words included, and acts on all it has seen at once.
"""

from __future__ import annotations

from argosy.clock import parse_time
from argosy.intent import Create, Delete, Observed, Patch, Plan, Reason
from argosy.kinds import JOB, PERSISTENT_VOLUME_CLAIM, SERVICE
from argosy.meta.conditions import is_true_in
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import is_deleting, key_of, name_of, uid_of
from argosy.operators.jobset import census, failure, first, jobs, logs, pods
from argosy.operators.jobset.draft import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    RESTARTING,
    STARTED,
    SUSPENDED,
    Draft,
)
from argosy.operators.jobset.problems import problems
from argosy.operators.jobset.schema import CONTROLLER, JOB_SET
from argosy.operators.jobset.spec import JobSet, ReplicatedJob, read

_STARTING = ("InOrderStartupPolicyInProgress", "in order startup policy is in progress")
_HAS_STARTED = ("InOrderStartupPolicyCompleted", "in order startup policy has completed")
_MERGED_LISTS = ("tolerations", "schedulingGates")


def plan(seen: Observed) -> Plan:
    """Decide about one JobSet."""
    job_set = read(seen.subject)
    if is_deleting(seen.subject) or job_set.managed_by != CONTROLLER:
        return Plan()
    status: Obj = {"restarts": 0} | thaw(seen.subject.get("status") or {})
    counted = census.take(job_set, seen.of(JOB), status)
    draft = Draft(seen, job_set, counted, status)
    status["replicatedJobsStatus"] = census.statuses(job_set, counted, status)
    conditions = status.get("conditions") or []
    if is_true_in(conditions, COMPLETED) or is_true_in(conditions, FAILED):
        return _finished(draft)
    wrong = problems(job_set)
    if wrong:
        message = f"jobset is not valid: {'; '.join(wrong)}"
        draft.end(FAILED, "FailedValidation", message, ("JobSetFailed", "jobset failed"))
        return draft.plan()
    logs.delete(draft, counted.previous)
    if not job_set.suspend and _all_ready(draft):
        draft.condition(RESTARTING, "JobsReady", "all jobs are ready", holds=False)
    hung = pods.answer(seen, JOB_SET)
    if counted.failed:
        _meet_failure(draft)
    elif hung is not None:
        draft.actions += hung[0]
        draft.reasons += hung[1]
    elif counted.succeeded and _has_succeeded(job_set, counted):
        done = "jobset completed successfully"
        draft.end(COMPLETED, "AllJobsCompleted", done, ("JobSetCompleted", done))
    else:
        _converge(draft)
    return draft.plan()


def _finished(draft: Draft) -> Plan:
    """What still runs is ended; the JobSet itself goes after its time to live."""
    logs.delete(draft, draft.census.active)
    ttl, subject = draft.job_set.ttl, draft.seen.subject
    if ttl is not None:
        conditions: list[Obj] = draft.status["conditions"]
        end = next(c for c in conditions if c["type"] in (COMPLETED, FAILED) and c["status"] == "True")
        left = ttl - (draft.seen.now - parse_time(end["lastTransitionTime"])).total_seconds()
        if left <= 0:
            draft.actions.append(Delete(JOB_SET, key_of(subject), uid_of(subject), propagation="Foreground"))
        else:
            draft.again = left
    return draft.plan()


def _all_ready(draft: Draft) -> bool:
    statuses = draft.status["replicatedJobsStatus"]
    return bool(draft.job_set.total == sum(status["ready"] + status["succeeded"] for status in statuses))


def _meet_failure(draft: Draft) -> None:
    """A Job has failed: the set fails, or what is counted begins a new attempt at the next look. What its pods said comes
    first.
    """
    how = first.failures(pods.of(draft.seen), int(draft.status["restarts"]))
    draft.asks += first.asks(how, draft.seen.subject)
    if not draft.seen.answers.keys() >= set(draft.asks):
        return
    cause = first.first(how, draft.seen)
    if cause is not None:
        draft.reasons.append(Reason("JobSetPodFailed", f"{cause}", warning=True))
        if draft.job_set.annotations.get(first.USER_ERRORS) == first.STOP and (said := first.mistake(cause)):
            draft.end(FAILED, first.USER_ERROR, f"jobset failed: {said}", ("JobSetFailed", "jobset failed"))
            return
    verdict = failure.judge(draft.job_set, draft.census.failed, draft.status)
    if verdict.action == failure.FAIL:
        draft.end(FAILED, verdict.reason, verdict.message, ("JobSetFailed", "jobset failed"))
        return
    draft.status |= failure.after_restart(draft.job_set, draft.status, verdict)
    if verdict.action == failure.RESTART_ALL:
        draft.condition(RESTARTING, verdict.restarting_reason, verdict.message, warning=True)
    draft.reasons.append(Reason(verdict.reason, verdict.message, warning=True))


def _has_succeeded(job_set: JobSet, counted: census.Census) -> bool:
    wanted = [job for job in job_set.jobs if not job_set.success_targets or job.name in job_set.success_targets]
    names = {job.name for job in wanted}
    done = sum(census.parent_of(job) in names for job in counted.succeeded)
    return done >= (1 if job_set.any_success else sum(job.replicas for job in wanted))


def _converge(draft: Draft) -> None:
    """Bring Service, claims and Jobs to what the spec asks for."""
    job_set, owner = draft.job_set, draft.seen.subject
    if job_set.subdomain and not draft.seen.related.get(SERVICE):
        draft.actions.append(Create(SERVICE, jobs.service(job_set, owner)))
    present = {name_of(claim) for claim in draft.seen.related.get(PERSISTENT_VOLUME_CLAIM, ())}
    for template, goes_along in job_set.claims:
        if jobs.claim_name(job_set, template) not in present:
            made = jobs.claim(job_set, template, goes_along=goes_along, owner=owner)
            draft.actions.append(Create(PERSISTENT_VOLUME_CLAIM, made))
    waits = _create_jobs(draft)
    if job_set.suspend:
        for job in draft.census.active:
            if not census.is_suspended(job):
                draft.actions.append(Patch(JOB, key_of(job), {"spec": {"suspend": True}}, uid=uid_of(job)))
        draft.condition(SUSPENDED, "SuspendedJobs", "jobset is suspended")
        draft.condition(RESTARTING, "JobSetSuspended", "jobset is suspended", holds=False)
    else:
        _resume(draft)
        if not waits:
            draft.condition(SUSPENDED, "ResumeJobs", "jobset is resumed", holds=False)


def _create_jobs(draft: Draft) -> bool:
    """Make the Jobs that may start; whether an ordered start is still under way."""
    job_set = draft.job_set
    ordered = job_set.in_order and not job_set.suspend
    for of in job_set.jobs:
        if not _may_start(draft, of) or (ordered and _has_started(draft, of)):
            continue
        _create(draft, of)
        if ordered:
            draft.condition(IN_PROGRESS, *_STARTING)
            return True
    if ordered:
        draft.condition(STARTED, *_HAS_STARTED)
    return False


def _create(draft: Draft, of: ReplicatedJob) -> None:
    job_set, counted = draft.job_set, draft.census
    if counted.previous and job_set.blocking:
        return
    taken, own = counted.names(), census.restart_counts(draft.status, of)
    restarts = int(draft.status["restarts"])
    for index in range(of.replicas):
        if job_set.job_name(of, index) not in taken:
            attempt = jobs.Attempt(restarts, own[index] if job_set.restarts_single_jobs else None)
            draft.actions.append(Create(JOB, jobs.job(job_set, of, index, attempt, draft.seen.subject)))


def _count(draft: Draft, name: str, *fields: str) -> int:
    statuses: list[Obj] = draft.status["replicatedJobsStatus"]
    status: Obj = next((each for each in statuses if each["name"] == name), {})
    return sum(int(status.get(field) or 0) for field in fields)


def _has_started(draft: Draft, of: ReplicatedJob) -> bool:
    return _count(draft, of.name, "failed", "ready", "succeeded") == of.replicas


def _may_start(draft: Draft, of: ReplicatedJob) -> bool:
    """Whether all that it depends on has come as far as it asks."""
    for name, state in of.depends_on:
        other = draft.job_set.job(name)
        fields = ("succeeded",) if state == "Complete" else ("failed", "ready", "succeeded")
        if other is None or _count(draft, name, *fields) != other.replicas:
            return False
    return True


def _resume(draft: Draft) -> None:
    """Let suspended Jobs go, in the order that a start has. What was changed in the template meanwhile (a queue's node
    selectors, say) goes into the Job; a Job that ran before has to forget its start first, or its template is fixed.
    """
    job_set = draft.job_set
    for of in job_set.jobs:
        if not _may_start(draft, of) or (job_set.in_order and _has_started(draft, of)):
            continue
        for job in draft.census.active:
            if census.parent_of(job) == of.name and census.is_suspended(job):
                _resume_job(draft, of, job)
        if job_set.in_order:
            return


def _resume_job(draft: Draft, of: ReplicatedJob, job: Obj) -> None:
    template = _merged_template(job, dig(of.template, "spec", "template", default={}))
    patch: Obj = {"spec": {"suspend": False}}
    if template:
        if dig(job, "status", "startTime"):
            forget = {"status": {"startTime": None}}
            draft.actions.append(Patch(JOB, key_of(job), forget, subresource="status", uid=uid_of(job)))
            return
        patch["spec"]["template"] = template
    draft.actions.append(Patch(JOB, key_of(job), patch, uid=uid_of(job)))


def _merged_template(job: Obj, wanted: Obj) -> Obj:
    """The merge patch for the Job's pod template; empty when it has all that the wanted one says."""
    live: Obj = dig(job, "spec", "template", default={})
    patch: Obj = {}
    for path in (("metadata", "labels"), ("metadata", "annotations"), ("spec", "nodeSelector")):
        has, asked = dig(live, *path, default={}), dig(wanted, *path, default={})
        new = {name: value for name, value in asked.items() if has.get(name) != value}
        if new:
            patch.setdefault(path[0], {})[path[1]] = new
    for field in _MERGED_LISTS:
        has, asked = dig(live, "spec", field, default=[]), dig(wanted, "spec", field, default=[])
        new_items = [item for item in asked if item not in has]
        if new_items:
            patch.setdefault("spec", {})[field] = [*has, *new_items]
    return patch
