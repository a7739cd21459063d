"""How a job ends: what its conditions say, what is cleaned up, and when the job itself goes.

Called by `plan` and `failing`; everything here is decided into a `Draft`.
"""

from __future__ import annotations

from argosy import kinds
from argosy.intent import Delete, Plan
from argosy.meta.conditions import is_true_in
from argosy.meta.json import Obj
from argosy.meta.objects import is_deleting, key_of, labels_of, name_of, uid_of
from argosy.operators.gang import census, logs, podgroup, restart
from argosy.operators.gang.conditions import FAILED, RESTARTING, RUNNING, SUCCEEDED, SUSPENDED
from argosy.operators.gang.draft import Draft
from argosy.operators.gang.labels import LABEL_TYPE


def succeed(draft: Draft) -> Plan:
    """The job is done."""
    draft.condition(SUCCEEDED, "Succeeded", f"{draft.title} is successfully completed.")
    return _end(draft)


def fail(draft: Draft, message: str, word: str = "Failed") -> Plan:
    """The job has failed for good."""
    draft.condition(FAILED, word, message, warning=True)
    return _end(draft)


def _end(draft: Draft) -> Plan:
    draft.stamp("completionTime")
    draft.status["replicaStatuses"] = census.replica_statuses(draft.job, draft.census)
    return finished(draft)


def finished(draft: Draft) -> Plan:
    """Clean up as `cleanPodPolicy` says, then remove the job itself after its time to live.

    Two kinds of pods go even where the policy keeps them, since they would hold their place for ever: a failed job's that
    still run, for they wait for their peers; and, where no policy is given, those of types that never end by themselves.
    Pods that have ended stay, for their logs; what those said that go is kept.
    """
    job, failed = draft.job, is_true_in(draft.conditions, FAILED)
    doomed = _doomed(draft, failed=failed)
    present = [pod for pod in draft.census.pods.values() if any(pod is one for one in doomed) and not is_deleting(pod)]
    outlived = job.ttl is not None and draft.seconds_since("completionTime") >= job.ttl
    if outlived or logs.heard(draft, present):
        _remove(draft, doomed, every_service=job.clean_pods == "All")
        if not outlived:
            logs.keep(draft, present, draft.memory.epoch)
    _remove_gang(draft)
    for counts in (draft.status.get("replicaStatuses") or {}).values():
        active = counts.pop("active", 0)
        if active and not failed:
            counts["succeeded"] = counts.get("succeeded", 0) + active
    if job.ttl is not None:
        left = job.ttl - draft.seconds_since("completionTime")
        if left <= 0 and job.awaits_model and not failed:
            return draft.plan()  # what MLflow has not been told yet would be lost with the job
        if left <= 0:
            subject = draft.seen.subject
            draft.actions.append(Delete(job.framework.kind, key_of(subject), uid_of(subject)))
        else:
            draft.wake_in(left)
    return draft.plan()


def _doomed(draft: Draft, *, failed: bool) -> list[Obj]:
    """The pods that a job which has ended is cleaned of."""
    job = draft.job
    if job.clean_pods == "All":
        return draft.census.everyone()
    if job.clean_pods == "Running" or failed:
        return draft.census.busy()
    if not job.clean_pods and job.framework.servers:
        servers = [type.lower() for type in job.framework.servers]
        return [pod for pod in draft.census.busy() if labels_of(pod).get(LABEL_TYPE) in servers]
    return []


def suspend(draft: Draft) -> Plan:
    """Take everything away; the job, its epoch and its checkpoints stay."""
    job, message = draft.job, f"{draft.title} is suspended."
    for type in (RUNNING, RESTARTING):
        if is_true_in(draft.conditions, type):
            draft.condition(type, "Suspended", message, status="False")
    draft.condition(SUSPENDED, "Suspended", message)
    present = [pod for pod in draft.census.pods.values() if not is_deleting(pod)]
    if not logs.heard(draft, present):
        return draft.plan()  # the last words come first
    draft.remember(restart.scattered(draft.memory))
    _remove(draft, draft.census.everyone(), every_service=True)
    _remove_gang(draft)
    logs.keep(draft, present, draft.memory.epoch)
    draft.status["replicaStatuses"] = census.replica_statuses(job, census.Census({}, (), ()))
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
    for kind in (*draft.job.framework.owns, *podgroup.KINDS):
        for obj in draft.seen.of(kind):
            draft.delete(kind, obj)
