"""What a CronJob needs: the Job of the latest time that has come, and no more history than it keeps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from argosy.clock import rfc3339
from argosy.engine.controllers.cronjob import schedule
from argosy.engine.controllers.job.verdict import finished
from argosy.engine.controllers.pods import moment
from argosy.intent import Action, Create, Delete, Observed, Plan, Reason
from argosy.kinds import CRON_JOB, JOB
from argosy.meta.json import Obj, dig
from argosy.meta.objects import (
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    object_reference,
    owner_reference,
    uid_of,
)

_SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def plan(seen: Observed) -> Plan:
    """Start what is due, forget what is old."""
    subject = seen.subject
    if is_deleting(subject):
        return Plan()
    jobs = [job for job in seen.of(JOB) if not is_deleting(job)]
    actions: list[Action] = _expired(subject, jobs)
    spec = subject["spec"]
    try:
        times = schedule.parse(str(spec["schedule"]), str(spec.get("timeZone") or ""))
    except ValueError as error:
        reason = Reason("InvalidSchedule", f"{error}; correct spec.schedule or spec.timeZone.", warning=True)
        return Plan(tuple(actions), _status(subject, jobs, None), (reason,))
    if spec.get("suspend"):
        return Plan(tuple(actions), _status(subject, jobs, None))
    due, reasons = _due(subject, jobs, times, seen.now)
    if due is not None:
        started, told = _start(subject, jobs, due)
        actions += started
        reasons += told
    following = times.next_after(seen.now)
    wait = (following - seen.now).total_seconds() if following else None
    if times.every is not None:
        wait = min(wait or 60.0, max(1.0, (_since(subject, seen.now) + times.every - seen.now).total_seconds()))
    return Plan(tuple(actions), _status(subject, jobs, due), tuple(reasons), wait)


def _due(
    subject: Obj, jobs: Sequence[Obj], times: schedule.Schedule, now: datetime
) -> tuple[datetime | None, list[Reason]]:
    """The time whose Job should start now, if any."""
    spec = subject["spec"]
    latest = times.last_until(now, _since(subject, now))
    if latest is None:
        return None, []
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None and latest + timedelta(seconds=int(deadline)) < now:
        message = f"Missed scheduled time to start a job: {rfc3339(latest)}"
        return None, [Reason("MissSchedule", message, warning=True)]
    running = [job for job in jobs if finished(job) is None and name_of(job) != _job_name(subject, latest)]
    if running and spec.get("concurrencyPolicy") == "Forbid":
        message = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return None, [Reason("JobAlreadyActive", message)]
    return latest, []


def _start(subject: Obj, jobs: Sequence[Obj], due: datetime) -> tuple[list[Action], list[Reason]]:
    actions: list[Action] = []
    reasons: list[Reason] = []
    name = _job_name(subject, due)
    if subject["spec"].get("concurrencyPolicy") == "Replace":
        for job in jobs:
            if finished(job) is None and name_of(job) != name:
                actions.append(Delete(JOB, key_of(job), uid=uid_of(job)))
                reasons.append(Reason("SuccessfulDelete", f"Deleted job {name_of(job)}"))
    if all(name_of(job) != name for job in jobs):
        actions.append(Create(JOB, _job(subject, name, due)))
        reasons.append(Reason("SuccessfulCreate", f"Created job {name}"))
    return actions, reasons


def _local(due: datetime, subject: Obj) -> str:
    """The time in the CronJob's own zone, as Go writes it."""
    local = due.astimezone(ZoneInfo(str(subject["spec"].get("timeZone") or "UTC")))
    return local.isoformat(timespec="seconds") if local.utcoffset() else rfc3339(due)


def _job(subject: Obj, name: str, due: datetime) -> Obj:
    template = subject["spec"].get("jobTemplate") or {}
    meta = template.get("metadata") or {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": namespace_of(subject),
            "labels": dict(meta.get("labels") or {}),
            "annotations": {**(meta.get("annotations") or {}), _SCHEDULED_AT: _local(due, subject)},
            "ownerReferences": [owner_reference(subject, CRON_JOB)],
        },
        "spec": template.get("spec") or {},
    }


def _job_name(subject: Obj, due: datetime) -> str:
    """Of the time, so that one time makes one Job whatever happens in between."""
    stamp = int(due.timestamp())
    return f"{name_of(subject)[:52]}-{stamp // 60 if stamp % 60 == 0 else stamp}"


def _since(subject: Obj, now: datetime) -> datetime:
    told = dig(subject, "status", "lastScheduleTime") or subject["metadata"].get("creationTimestamp")
    return moment(told) or now


def _expired(subject: Obj, jobs: Sequence[Obj]) -> list[Action]:
    spec = subject["spec"]
    limits = {
        "Complete": int(spec.get("successfulJobsHistoryLimit", 3)),
        "Failed": int(spec.get("failedJobsHistoryLimit", 1)),
    }
    actions: list[Action] = []
    for type, limit in limits.items():
        over = [job for job in jobs if (finished(job) or {}).get("type") == type]
        over.sort(key=lambda job: str(dig(job, "status", "startTime", default="") or ""))
        actions += [Delete(JOB, key_of(job), uid=uid_of(job)) for job in over[: max(0, len(over) - limit)]]
    return actions


def _status(subject: Obj, jobs: Sequence[Obj], due: datetime | None) -> Obj:
    status: Obj = {}
    active = [object_reference(job, JOB) for job in jobs if finished(job) is None]
    for reference in active:
        reference.pop("resourceVersion")  # it moves with every change of the Job and nobody reads it
    if active:
        status["active"] = active
    last = rfc3339(due) if due else dig(subject, "status", "lastScheduleTime")
    if last:
        status["lastScheduleTime"] = last
    done = [str(t) for job in jobs if (t := dig(job, "status", "completionTime"))]
    successful = max([*done, str(dig(subject, "status", "lastSuccessfulTime", default=""))], default="")
    if successful:
        status["lastSuccessfulTime"] = successful
    return status
