"""The decision of the PyTorchJob operator: from what is seen of one job to what should happen to it now.

Called by `argosy.control.runner` whenever the job or one of its pods changes. It reads like upstream's reconciler up to
the point where a pod fails; from there on `restart` explains what is different and why.
"""

from __future__ import annotations

from argosy import kinds
from argosy.intent import Delete, Observed, Plan, Reason
from argosy.meta.conditions import is_true_in
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import is_deleting, key_of, name_of, uid_of
from argosy.operators.pytorchjob import census, failure, podgroup, pods, restart
from argosy.operators.pytorchjob.conditions import (
    CREATED,
    FAILED,
    RESTARTING,
    RUNNING,
    SUCCEEDED,
    SUSPENDED,
    is_finished,
)
from argosy.operators.pytorchjob.draft import Draft
from argosy.operators.pytorchjob.failure import Failure
from argosy.operators.pytorchjob.job import Job, problems, read
from argosy.operators.pytorchjob.schema import MANAGED_BY, MASTER, PYTORCH_JOB, WORKER
from argosy.operators.settings import OperatorSettings

_BROKEN_GANG_GRACE_SECONDS = 1
_SETTLE_SECONDS = 2.0


def plan(seen: Observed, settings: OperatorSettings) -> Plan:
    """Decide about one job."""
    job = read(seen.subject)
    if is_deleting(seen.subject) or job.managed_by not in ("", MANAGED_BY):
        return Plan()
    memory = restart.remember(seen.subject)
    draft = Draft(
        seen, job, memory, census.take(job, seen.of(kinds.POD), memory), thaw(seen.subject.get("status")) or {}
    )
    if is_finished(draft.conditions):
        return _finished(draft)
    draft.condition(CREATED, "Created", f"PyTorchJob {job.name} is created.")
    wrong = problems(job)
    if wrong:
        return _fail(draft, f"PyTorchJob {job.name} is not valid: {'; '.join(wrong)}.", word="FailedValidation")
    if job.suspend:
        return _suspend(draft)
    _start(draft)
    if job.deadline is not None and draft.seconds_since("startTime") >= job.deadline:
        late = f"Job {job.name} has failed because it was active longer than specified deadline"
        return _fail(draft, f"{late} ({job.deadline} s).")
    if _has_succeeded(job, draft.census):
        return _succeed(draft)
    over = _whole_gang(draft) if job.whole_gang else _pod_by_pod(draft)
    if over is not None:
        return over
    _converge(draft, settings)
    _tell(draft)
    return draft.plan()


def _start(draft: Draft) -> None:
    """Begin the clock, or begin it again after a suspension."""
    if is_true_in(draft.conditions, SUSPENDED):
        draft.condition(SUSPENDED, "Resumed", f"PyTorchJob {draft.job.name} is resumed.", status="False")
        draft.status.pop("startTime", None)
    if "startTime" not in draft.status:
        draft.stamp("startTime")
    if draft.job.deadline is not None:
        draft.wake_in(max(draft.job.deadline - draft.seconds_since("startTime"), 0.1))


def _suspend(draft: Draft) -> Plan:
    """Take everything away; the job, its epoch and its checkpoints stay."""
    job, message = draft.job, f"PyTorchJob {draft.job.name} is suspended."
    for type in (RUNNING, RESTARTING):
        if is_true_in(draft.conditions, type):
            draft.condition(type, "Suspended", message, status="False")
    draft.condition(SUSPENDED, "Suspended", message)
    draft.remember(restart.scattered(draft.memory))
    _remove(draft, draft.census.everyone(), every_service=True)
    _remove_gang(draft)
    draft.status["replicaStatuses"] = census.replica_statuses(job, census.Census({}, (), ()))
    return draft.plan()


def _has_succeeded(job: Job, counted: census.Census) -> bool:
    if job.has_master:
        return counted.count(MASTER, "Succeeded") > 0
    done = counted.count(WORKER, "Succeeded")
    return done > 0 and (job.elastic is not None or done == job.total)


def _succeed(draft: Draft) -> Plan:
    draft.condition(SUCCEEDED, "Succeeded", f"PyTorchJob {draft.job.name} is successfully completed.")
    return _end(draft)


def _fail(draft: Draft, message: str, word: str = "Failed") -> Plan:
    draft.condition(FAILED, word, message, warning=True)
    return _end(draft)


def _end(draft: Draft) -> Plan:
    draft.stamp("completionTime")
    draft.status["replicaStatuses"] = census.replica_statuses(draft.job, draft.census)
    return _finished(draft)


def _finished(draft: Draft) -> Plan:
    """Clean up as `cleanPodPolicy` says, then remove the job itself after its time to live.

    A failed job's pods that still run are ended even under the policy None: without their peers they would hold their
    place for ever. Pods that have ended stay, for their logs.
    """
    job, failed = draft.job, is_true_in(draft.conditions, FAILED)
    if job.clean_pods == "All":
        _remove(draft, draft.census.everyone(), every_service=True)
    elif job.clean_pods == "Running" or failed:
        _remove(draft, draft.census.busy())
    _remove_gang(draft)
    for counts in (draft.status.get("replicaStatuses") or {}).values():
        active = counts.pop("active", 0)
        if active and not failed:
            counts["succeeded"] = counts.get("succeeded", 0) + active
    if job.ttl is not None:
        left = job.ttl - draft.seconds_since("completionTime")
        if left <= 0:
            subject = draft.seen.subject
            draft.actions.append(Delete(PYTORCH_JOB, key_of(subject), uid_of(subject)))
        else:
            draft.wake_in(left)
    return draft.plan()


def _remove(draft: Draft, doomed: list[Obj], *, every_service: bool = False) -> None:
    """Delete pods and the Services that are named as they are."""
    names = {name_of(pod) for pod in doomed}
    for pod in doomed:
        draft.delete(kinds.POD, pod)
    for service in draft.seen.of(kinds.SERVICE):
        if every_service or name_of(service) in names:
            draft.delete(kinds.SERVICE, service)


def _remove_gang(draft: Draft) -> None:
    for kind in (kinds.HORIZONTAL_POD_AUTOSCALER, *podgroup.KINDS):
        for obj in draft.seen.of(kind):
            draft.delete(kind, obj)


def _whole_gang(draft: Draft) -> Plan | None:
    """Meet a failure: begin a new epoch, or give up. None when nothing failed."""
    job, counted, memory = draft.job, draft.census, draft.memory
    lost = counted.lost(job) if memory.has_formed(job) else []
    cause = failure.first([*counted.failures(), *lost])
    if cause is None:
        return None
    verdict = _verdict(draft, cause)
    if verdict is not None:
        if _policy(job, cause) == "ExitCode" and not cause.retryable and _may_be_consequence(draft, cause):
            return draft.plan()
        return _fail(draft, verdict)
    draft.remember(restart.next_epoch(memory, cause, counted.began(), draft.seen.now))
    for pod in counted.everyone():
        draft.delete(kinds.POD, pod, grace_seconds=_BROKEN_GANG_GRACE_SECONDS)
    if draft.memory.not_before is not None:
        draft.wake_in((draft.memory.not_before - draft.seen.now).total_seconds())
    draft.census = census.take(job, draft.seen.of(kinds.POD), draft.memory)
    _tell(draft)
    return draft.plan()


def _verdict(draft: Draft, cause: Failure) -> str | None:
    """Why the job has failed for good, None while a restart may help."""
    job, policy = draft.job, _policy(draft.job, cause)
    count = max(draft.census.count(cause.type, "Failed"), 1)
    failed = f"PyTorchJob {job.name} is failed because {count} {cause.type} replica(s) failed: {cause}"
    if policy == "Never" and not cause.lost:
        return f"{failed} (restartPolicy Never)."
    if policy == "ExitCode" and not cause.retryable:
        return f"{failed} (exit codes below 128 are not retried under restartPolicy ExitCode)."
    if job.backoff_limit is not None and draft.memory.epoch >= job.backoff_limit:
        limit = f"Job {job.name} has failed because it has reached the specified backoff limit"
        return f"{limit} ({job.backoff_limit}); at last {cause}."
    return None


def _policy(job: Job, cause: Failure) -> str:
    return next((replica.restart_policy for replica in job.replicas if replica.type == cause.type), "OnFailure")


def _may_be_consequence(draft: Draft, cause: Failure) -> bool:
    """Whether to wait a moment before a permanent failure counts: on a cluster of many nodes the news of a peer that
    was killed first may arrive second.
    """
    counted = draft.census
    others = [pod for pod in counted.busy() if name_of(pod) != cause.pod and failure.training_end(pod) is None]
    since = failure.seconds_since(cause, draft.seen.now)
    if not others or since >= _SETTLE_SECONDS:
        return False
    draft.wake_in(_SETTLE_SECONDS - since)
    return True


def _pod_by_pod(draft: Draft) -> Plan | None:
    """Upstream's own way: containers restart in place, and only the pod that failed is replaced."""
    job = draft.job
    for cause in sorted(draft.census.failures(), key=failure.rank):
        if _policy(job, cause) != "ExitCode" and cause.code is not None and not _is_failed(draft, cause):
            continue  # the kubelet restarts the container
        verdict = _verdict(draft, cause)
        if verdict is not None:
            return _fail(draft, verdict)
        message = f"PyTorchJob {job.name} is restarting because {cause}."
        draft.condition(RESTARTING, "Restarting", message, warning=True)
        for slot, pod in draft.census.pods.items():
            if name_of(pod) == cause.pod and slot[0] == cause.type:
                draft.delete(kinds.POD, pod)
    if job.backoff_limit is not None and _restarts(draft) > job.backoff_limit:
        limit = f"Job {job.name} has failed because it has reached the specified backoff limit"
        return _fail(draft, f"{limit} ({job.backoff_limit}).")
    return None


def _is_failed(draft: Draft, cause: Failure) -> bool:
    pods_ = draft.census.pods.values()
    return any(name_of(pod) == cause.pod and dig(pod, "status", "phase") == "Failed" for pod in pods_)


def _restarts(draft: Draft) -> int:
    statuses = (s for pod in draft.census.pods.values() for s in dig(pod, "status", "containerStatuses", default=()))
    return sum(int(status.get("restartCount") or 0) for status in statuses)


def _converge(draft: Draft, settings: OperatorSettings) -> None:
    """Bring the objects to what the spec asks for, once nothing of an earlier epoch is in the way."""
    job, counted, owner = draft.job, draft.census, draft.seen.subject
    group = podgroup.announce(job, owner, draft.seen.capabilities)
    if group is not None and not draft.seen.of(group.kind):
        draft.create(group.kind, group.obj)
    _converge_services(draft)
    _converge_autoscaler(draft)
    for stray in counted.strays:
        draft.delete(kinds.POD, stray)
    if not counted.missing:
        if job.whole_gang and not counted.strays:
            draft.remember(restart.forming(draft.memory, job))
        return
    waiting = draft.memory.not_before
    if waiting is not None and draft.seen.now < waiting:
        draft.wake_in((waiting - draft.seen.now).total_seconds())
        return
    taken = {name_of(stray) for stray in counted.strays}
    if job.whole_gang and taken:
        return
    gang = group.gang if group is not None else podgroup.NO_GANG
    for replica, index in counted.missing:
        if job.pod_name(replica.type, index) in taken:
            continue
        slot, epoch = (replica, index), draft.memory.epoch
        made = pods.pod(job, slot, epoch, gang, owner=owner, init_image=settings.init_image)
        draft.create(kinds.POD, made)
        given = dig(replica.template, "spec", "restartPolicy")
        if given and given != made["spec"]["restartPolicy"]:
            overridden = "Restart policy in pod template overridden by restart policy in replica spec"
            draft.reasons.append(Reason("SetPodTemplateRestartPolicy", overridden, warning=True))


def _converge_services(draft: Draft) -> None:
    job, owner = draft.job, draft.seen.subject
    there = {name_of(service): service for service in draft.seen.of(kinds.SERVICE)}
    for replica, index in job.slots():
        if there.pop(job.pod_name(replica.type, index), None) is None:
            draft.create(kinds.SERVICE, pods.service(job, replica, index, owner))
    for service in there.values():
        draft.delete(kinds.SERVICE, service)


def _converge_autoscaler(draft: Draft) -> None:
    wanted = pods.autoscaler(draft.job, draft.seen.subject)
    if wanted is not None and not draft.seen.of(kinds.HORIZONTAL_POD_AUTOSCALER):
        draft.create(kinds.HORIZONTAL_POD_AUTOSCALER, wanted)


def _tell(draft: Draft) -> None:
    """Say in the status what the pods are at."""
    job, counted, memory = draft.job, draft.census, draft.memory
    draft.status["replicaStatuses"] = census.replica_statuses(job, counted)
    leaders = counted.count(MASTER if job.has_master else WORKER, "Running")
    if leaders:
        if not (not job.whole_gang and counted.failures()):
            draft.condition(RUNNING, "Running", f"PyTorchJob {job.name} is running.")
    elif job.whole_gang and memory.because:
        of_limit = f" of {job.backoff_limit}" if job.backoff_limit is not None else ""
        until = f" at {restart.when(memory)}" if memory.not_before is not None else ""
        message = (
            f"PyTorchJob {job.name} is restarting{until} because {memory.because} (restart {memory.epoch}{of_limit})."
        )
        draft.condition(RESTARTING, "Restarting", message, warning=True)
