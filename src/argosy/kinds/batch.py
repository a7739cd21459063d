"""Jobs, and CronJobs that make them."""

from __future__ import annotations

from datetime import datetime

from argosy.clock import parse_time
from argosy.kinds.cells import AGE, NONE, column, container_columns, human_duration, selector_text, since, truth
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind
from argosy.meta.objects import is_deleting

_STATUS = frozenset({"status"})


def _state(job: Obj, now: datetime) -> str:
    true = {c.get("type") for c in dig(job, "status", "conditions", default=()) if c.get("status") == "True"}
    for condition, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if condition in true:
            return word
    if is_deleting(job):
        return "Terminating"
    for condition, word in (
        ("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):  # fmt: skip
        if condition in true:
            return word
    return "Running"


def _completions(job: Obj, now: datetime) -> str:
    succeeded = dig(job, "status", "succeeded", default=0)
    wanted = dig(job, "spec", "completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = dig(job, "spec", "parallelism", default=1)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(job: Obj, now: datetime) -> str:
    started = dig(job, "status", "startTime")
    if not started:
        return ""
    ended = dig(job, "status", "completionTime")
    return human_duration(((parse_time(ended) if ended else now) - parse_time(started)).total_seconds())


JOB = Kind(
    "batch", "v1", "Job", "jobs", categories=("all",), subresources=_STATUS,
    columns=(
        Column("Status", cell=_state, description="Status of the job."),
        Column("Completions", ".status.succeeded", cell=_completions),
        Column("Duration", cell=_duration, description="Time required to complete the job."),
        AGE,
        *container_columns("spec", "template"),
        Column("Selector", ".spec.selector", cell=lambda o, now: selector_text(dig(o, "spec", "selector")), priority=1),
    ),
)  # fmt: skip

CRON_JOB = Kind(
    "batch", "v1", "CronJob", "cronjobs", short_names=("cj",), categories=("all",), subresources=_STATUS,
    columns=(
        column("Schedule", "spec", "schedule"),
        column("Timezone", "spec", "timeZone", default=NONE),
        Column("Suspend", ".spec.suspend", cell=lambda o, now: truth(dig(o, "spec", "suspend")), type="boolean"),
        Column("Active", ".status.active", cell=lambda o, now: len(dig(o, "status", "active", default=())), type="integer"),
        Column("Last Schedule", ".status.lastScheduleTime", cell=lambda o, now: since(dig(o, "status", "lastScheduleTime"), now, NONE)),
        AGE,
        *container_columns("spec", "jobTemplate", "spec", "template"),
        Column(
            "Selector",
            ".spec.jobTemplate.spec.selector",
            cell=lambda o, now: selector_text(dig(o, "spec", "jobTemplate", "spec", "selector")),
            priority=1,
        ),
    ),
)  # fmt: skip

ALL = (CRON_JOB, JOB)
