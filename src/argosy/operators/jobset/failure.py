"""What a failed Job means for its JobSet: the failure policy's answer. Pure; called by `plan`.

The first rule that some failed Job matches decides; without a rule the set restarts, and without a policy it has failed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.meta.conditions import find
from argosy.meta.json import Obj
from argosy.meta.objects import labels_of, name_of
from argosy.operators.jobset import census, schema
from argosy.operators.jobset.spec import JobSet

FAIL, RESTART_ALL, RESTART_ONE = "FailJobSet", "RestartJobSet", "RestartJob"
_IGNORES_MAX = "AndIgnoreMaxRestarts"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a failure."""

    action: str
    """`FAIL`, `RESTART_ALL` or `RESTART_ONE`."""
    reason: str
    """For the condition `Failed` where the set fails, else for the event that tells of the restart."""
    message: str
    job: Obj
    counts: bool = True
    """Whether the restart counts towards `maxRestarts`."""
    restarting_reason: str = ""
    """For the condition `RestartingJobSet`."""


def judge(job_set: JobSet, failed: Sequence[Obj], status: Obj) -> Verdict:
    """Decide; `failed` is not empty."""
    policy = job_set.failure_policy
    if policy is None:
        first = _first(failed)
        return Verdict(FAIL, "FailedJobs", _about("jobset failed due to one or more job failures", first), first)
    rule, job = _match(job_set.rules, failed)
    asked = str(rule["action"]) if rule is not None else RESTART_ALL
    if asked == FAIL:
        return Verdict(FAIL, "FailJobSetFailurePolicyAction", _applying(asked, job), job)
    counts = not asked.endswith(_IGNORES_MAX)
    if counts and _counted(job_set, status) >= int(policy.get("maxRestarts") or 0):
        return Verdict(
            FAIL, "ReachedMaxRestarts", _about("jobset failed due to reaching max number of restarts", job), job
        )
    action = asked.removesuffix(_IGNORES_MAX)
    because = f"FailurePolicy_{rule['name']}" if rule is not None else "DefaultFailurePolicy"
    return Verdict(action, f"{asked}FailurePolicyAction", _applying(asked, job), job, counts, because)


def after_restart(job_set: JobSet, status: Obj, verdict: Verdict) -> Obj:
    """The fields of the status that count a restart."""
    if verdict.action == RESTART_ALL:
        made: Obj = {"restarts": int(status.get("restarts") or 0) + 1}
        if verdict.counts:
            made["restartsCountTowardsMax"] = int(status.get("restartsCountTowardsMax") or 0) + 1
        return made
    of, index = job_set.job(census.parent_of(verdict.job)), int(labels_of(verdict.job)[schema.JOB_INDEX])
    fields = ["jobRestarts", *(["jobRestartsCountTowardsMax"] if verdict.counts else [])]
    entries = []
    for entry in status.get("replicatedJobsStatus") or ():
        if of is not None and entry["name"] == of.name:
            counts = {field: census.restart_counts(status, of, field) for field in fields}
            for count in counts.values():
                count[index] += 1
            entries.append({**entry, **counts})
        else:
            entries.append(entry)
    return {"replicatedJobsStatus": entries}


def _counted(job_set: JobSet, status: Obj) -> int:
    """Restarts that count towards the limit, of the whole set and of single Jobs."""
    single = (census.restart_counts(status, of, "jobRestartsCountTowardsMax") for of in job_set.jobs)
    return int(status.get("restartsCountTowardsMax") or 0) + sum(map(sum, single))


def _match(rules: Sequence[Obj], failed: Sequence[Obj]) -> tuple[Obj | None, Obj]:
    """The first rule that applies, with the first failed Job that it applies to."""
    for rule in rules:
        matching = [job for job in failed if _applies(rule, job)]
        if matching:
            return rule, _first(matching)
    return None, _first(failed)


def _applies(rule: Obj, job: Obj) -> bool:
    condition = find(job, "Failed") or {}
    reasons, patterns = rule.get("onJobFailureReasons"), rule.get("onJobFailureMessagePatterns")
    targets = rule.get("targetReplicatedJobs")
    return (
        (not reasons or condition.get("reason") in reasons)
        and (not patterns or any(_found(pattern, str(condition.get("message") or "")) for pattern in patterns))
        and (not targets or census.parent_of(job) in targets)
    )


def _found(pattern: str, message: str) -> bool:
    try:
        return re.search(pattern, message) is not None
    except re.error:
        return False  # told of by `problems`


def _first(failed: Sequence[Obj]) -> Obj:
    return min(failed, key=lambda job: ((find(job, "Failed") or {}).get("lastTransitionTime") or "", name_of(job)))


def _applying(action: str, job: Obj) -> str:
    return _about(f"applying {action} failure policy action", job)


def _about(message: str, job: Obj) -> str:
    return f"{message} (first failed job: {name_of(job)})"
