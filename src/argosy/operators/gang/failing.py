"""What a pod's failure does to its job: a new epoch of the whole gang, one pod replaced, or the end.

Called by `plan`, once it knows that the job goes on. `restart` explains what differs from upstream and why.
"""

from __future__ import annotations

from dataclasses import replace

from argosy import kinds
from argosy.clock import parse_time
from argosy.intent import Plan, Reason
from argosy.meta.json import dig
from argosy.meta.objects import annotations_of, created_of, is_deleting, name_of
from argosy.operators.gang import autopsy, census, elsewhere, ending, failure, hang, logs, restart
from argosy.operators.gang.conditions import RESTARTING
from argosy.operators.gang.draft import Draft
from argosy.operators.gang.failure import Failure
from argosy.operators.gang.job import Job
from argosy.operators.watching import goodput, keeping

_BROKEN_GANG_GRACE_SECONDS = 1
_SETTLE_SECONDS = 2.0
_ALIKE_MAX = 3
"""A third attempt with the same error says that a fourth has it too. A `backoffLimit`, where there is one, decides instead."""


def whole_gang(draft: Draft) -> Plan | None:
    """Meet a failure: begin a new epoch, or give up. None when nothing failed that the others do not survive."""
    job, counted, memory = draft.job, draft.census, draft.memory
    lost = counted.lost(job) if memory.has_formed(job) else []
    failures = [*counted.failures(job), *lost]
    hung = hang.found(draft)
    survived = [one for one in failures if job.framework.survives(job, one, counted)]
    met = [one for one in failures if one not in survived]
    if hung is None and not met:
        return _replace(draft, survived)
    gang = list(counted.pods.values())
    said = logs.heard(draft, gang)
    if not draft.answered((*autopsy.paths(met, job.namespace), *_lead_logs(draft))) or not said:
        return draft.plan()  # what the ranks said comes first
    if hung is not None:
        met.append(hang.keep(draft, hung))
    cause = failure.first(autopsy.read(met, job.namespace, draft.seen.answers))
    assert cause is not None, "something failed"
    verdict = _verdict(draft, cause)
    early = verdict is not None and cause.by_the_program and not _is_spent(draft) and _policy(job, cause) != "Never"
    if (early or cause.consequence) and _may_be_consequence(draft, cause):
        return draft.plan()
    if verdict is not None:
        return ending.fail(draft, verdict)
    suspect = elsewhere.suspect(cause, counted.pods.values())
    totals = _totals(draft)
    draft.remember(replace(restart.next_epoch(memory, cause, counted.began(), draft.seen.now, suspect), totals=totals))
    grace = _grace(draft, cause, met)
    for pod in counted.everyone():
        draft.delete(kinds.POD, pod, grace_seconds=grace)
    logs.keep(draft, gang, memory.epoch)
    if draft.memory.not_before is not None:
        draft.wake_in((draft.memory.not_before - draft.seen.now).total_seconds())
    draft.census = census.take(job, draft.seen.of(kinds.POD), draft.memory)
    tell_restart(draft)
    draft.status["replicaStatuses"] = census.replica_statuses(job, draft.census)
    return draft.plan()


def _lead_logs(draft: Draft) -> tuple[str, ...]:
    """The beginning and the end of what the first pod printed, where it is still there: how far the epoch got."""
    job = draft.job
    lead = draft.census.pods.get((job.lead, 0))
    if lead is None or is_deleting(lead) or dig(lead, "status", "phase") not in ("Running", "Failed"):
        return ()
    container = job.framework.container or str(dig(lead, "spec", "containers", 0, "name", default=""))
    log = f"{kinds.POD.path(job.namespace, name_of(lead), 'log')}?container={container}&timestamps=true"
    return f"{log}&{goodput.HEAD}", keeping.path(job.namespace, name_of(lead), container)


def _totals(draft: Draft) -> goodput.Totals | None:
    """What the epochs came to, with the one that ends now."""
    head, tail = [draft.seen.answers.get(path, "") for path in _lead_logs(draft)] or ("", "")
    one = goodput.epoch(head, tail, goodput.pattern_of(annotations_of(draft.seen.subject)))
    return goodput.add(draft.memory.totals, one) if one is not None else draft.memory.totals


def _grace(draft: Draft, cause: Failure, met: list[Failure]) -> int:
    """How long the others have: a gang that lost a member waits in vain, but one of which a pod is only asked to leave
    can still save a checkpoint together, within that pod's time.
    """
    leaving = [pod for pod in draft.census.pods.values() if is_deleting(pod)]
    if not cause.lost or not all(one.lost for one in met) or not leaving:
        return _BROKEN_GANG_GRACE_SECONDS
    until = min(parse_time(pod["metadata"]["deletionTimestamp"]) for pod in leaving)
    return max(int((until - draft.seen.now).total_seconds()), _BROKEN_GANG_GRACE_SECONDS)


def tell_restart(draft: Draft) -> None:
    """Say that, when and why the gang restarts."""
    job, memory = draft.job, draft.memory
    of_limit = f" of {job.backoff_limit}" if job.backoff_limit is not None else ""
    count = f"restart {memory.restarts}{of_limit}"
    if memory.excused:
        count = f"restart {memory.epoch + memory.replaced}" + (
            f"; counted {memory.restarts}{of_limit}" if of_limit else ""
        )
    until = f" at {restart.when(memory)}" if memory.not_before is not None else ""
    message = f"{draft.title} is restarting{until} because {memory.because} ({count})."
    draft.condition(RESTARTING, "Restarting", message, warning=True)


def _replace(draft: Draft, survived: list[Failure]) -> Plan | None:
    """Replace the pods that the others go on without. Under restartPolicy Never they stay as they are."""
    job = draft.job
    for cause in survived:
        if _policy(job, cause) == "Never" or (_policy(job, cause) == "ExitCode" and not cause.retryable):
            continue
        if _is_spent(draft):
            return ending.fail(draft, _limit_message(draft, cause))
        pod = next((pod for pod in draft.census.pods.values() if name_of(pod) == cause.pod), None)
        made = created_of(pod) if pod is not None else ""
        draft.remember(restart.replaced_one(draft.memory, parse_time(made) if made else None, draft.seen.now))
        if pod is not None:
            draft.delete(kinds.POD, pod)
        message = f"{draft.title} goes on without a part of its gang: {cause}; that pod alone is replaced."
        draft.reasons.append(Reason(f"{job.framework.kind.kind}Restarting", message, warning=True))
    if survived:
        draft.census = census.take(job, draft.seen.of(kinds.POD), draft.memory)
    return None


def _verdict(draft: Draft, cause: Failure) -> str | None:
    """Why the job has failed for good, None while a restart may help."""
    policy = _policy(draft.job, cause)
    count = max(draft.census.count(cause.type, "Failed"), 1)
    failed = f"{draft.title} is failed because {count} {cause.type} replica(s) failed: {cause}"
    if policy == "Never" and not cause.lost:
        return f"{failed} (restartPolicy Never)."
    if policy == "ExitCode" and not cause.retryable:
        return f"{failed} (exit codes below 128 are not retried under restartPolicy ExitCode)."
    began, now = draft.census.began(), draft.seen.now
    if draft.job.stops_on_mistakes:
        if autopsy.is_mistake(cause):
            return f"{failed} (no restart mends this; correct the program and apply the job again)."
        alike = restart.alike(draft.memory, cause, began, now)
        if draft.job.backoff_limit is None and alike >= _ALIKE_MAX:
            return f"{failed} (the same error {alike} times in a row; correct it and apply the job again)."
    if restart.is_excused(cause, began, now):
        return None
    return _limit_message(draft, cause) if _is_spent(draft) else None


def _is_spent(draft: Draft) -> bool:
    return draft.job.backoff_limit is not None and draft.memory.restarts >= draft.job.backoff_limit


def _limit_message(draft: Draft, cause: Failure) -> str:
    limit = f"Job {draft.job.name} has failed because it has reached the specified backoff limit"
    return f"{limit} ({draft.job.backoff_limit}); at last {cause}."


def _policy(job: Job, cause: Failure) -> str:
    replica = job.replica(cause.type)
    return replica.restart_policy if replica is not None else job.framework.restart_policy


def _may_be_consequence(draft: Draft, cause: Failure) -> bool:
    """Whether to wait a moment before a permanent failure counts: on a cluster of many nodes the news of a peer that
    was killed first may arrive second.
    """
    counted, container = draft.census, draft.job.framework.container
    others = [
        pod for pod in counted.busy() if name_of(pod) != cause.pod and failure.training_end(pod, container) is None
    ]
    since = failure.seconds_since(cause, draft.seen.now)
    if not others or since >= _SETTLE_SECONDS:
        return False
    draft.wake_in(_SETTLE_SECONDS - since)
    return True


def pod_by_pod(draft: Draft) -> Plan | None:
    """Upstream's own way: containers restart in place, and only the pod that failed is replaced."""
    job = draft.job
    for cause in sorted(draft.census.failures(job), key=failure.rank):
        if job.framework.survives(job, cause, draft.census) and _policy(job, cause) == "Never":
            continue
        if _policy(job, cause) != "ExitCode" and cause.code is not None and not _is_failed(draft, cause):
            continue  # the kubelet restarts the container
        verdict = _verdict(draft, cause)
        if verdict is not None:
            return ending.fail(draft, verdict)
        draft.condition(RESTARTING, "Restarting", f"{draft.title} is restarting because {cause}.", warning=True)
        for slot, pod in draft.census.pods.items():
            if name_of(pod) == cause.pod and slot[0] == cause.type:
                draft.delete(kinds.POD, pod)
    if job.backoff_limit is not None and _restarts(draft) > job.backoff_limit:
        limit = f"Job {job.name} has failed because it has reached the specified backoff limit"
        return ending.fail(draft, f"{limit} ({job.backoff_limit}).")
    return None


def _is_failed(draft: Draft, cause: Failure) -> bool:
    pods = draft.census.pods.values()
    return any(name_of(pod) == cause.pod and dig(pod, "status", "phase") == "Failed" for pod in pods)


def _restarts(draft: Draft) -> int:
    statuses = (s for pod in draft.census.pods.values() for s in dig(pod, "status", "containerStatuses", default=()))
    return sum(int(status.get("restartCount") or 0) for status in statuses)
