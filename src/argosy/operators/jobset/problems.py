"""What is wrong with a JobSet, in sentences. Upstream refuses these in a webhook; here the JobSet fails and says why.

Pure; called by `plan` before anything is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from argosy.meta.json import dig
from argosy.operators.jobset.spec import JobSet, ReplicatedJob

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_RULE_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_NAME_MAX, _RULE_NAME_MAX = 63, 128
_POD_SUFFIX = "-abcde"
_REASONS = (
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "FailedIndexes",
    "MaxFailedIndexesExceeded",
    "PodFailurePolicy",
)


def problems(job_set: JobSet) -> list[str]:
    """One clause for each mistake."""
    return [
        *_of_jobs(job_set),
        *_of_success(job_set),
        *_of_failure(job_set),
        *_of_coordinator(job_set),
        *job_set.unreadable,
    ]


def _of_jobs(job_set: JobSet) -> Iterator[str]:
    known: set[str] = set()
    for job in job_set.jobs:
        known.add(job.name)
        yield from _of_names(job_set, job)
        if job is job_set.jobs[0] and job.depends_on:
            yield f"the first replicated job, {job.name}, cannot depend on another"
        for name, _ in job.depends_on:
            if name not in known:
                yield f"replicated job {job.name} depends on {name}, which does not come before it"
        if job.depends_on and job_set.in_order:
            yield "startupPolicy InOrder and dependsOn exclude each other; keep one of them"
    if job_set.subdomain and (len(job_set.subdomain) > _NAME_MAX or not _LABEL.fullmatch(job_set.subdomain)):
        yield f"the network's subdomain {job_set.subdomain!r} is no DNS label of at most {_NAME_MAX} characters"


def _of_names(job_set: JobSet, job: ReplicatedJob) -> Iterator[str]:
    if not _LABEL.fullmatch(job.group) or len(job.group) > _NAME_MAX:
        yield f"the group name {job.group!r} is no DNS label"
    longest = job_set.job_name(job, max(job.replicas - 1, 0))
    completions = dig(job.template, "spec", "completions")
    if completions is not None:
        longest += f"-{int(completions) - 1}{_POD_SUFFIX}"
    if len(longest) > _NAME_MAX:
        yield f"the name {longest} of a Job or pod would be over {_NAME_MAX} characters; shorten metadata.name"
    elif not _LABEL.fullmatch(longest):
        yield f"{longest}, the name of a Job or pod, would be no DNS label; rename the JobSet or the replicated job"


def _of_success(job_set: JobSet) -> Iterator[str]:
    for name in job_set.success_targets:
        if job_set.job(name) is None:
            yield f"successPolicy names {name}, which is no replicated job"


def _of_failure(job_set: JobSet) -> Iterator[str]:
    seen: set[str] = set()
    for rule in job_set.rules:
        name = str(rule["name"])
        if name in seen:
            yield f"two rules of failurePolicy have the name {name}"
        seen.add(name)
        if len(name) > _RULE_NAME_MAX or not _RULE_NAME.fullmatch(name):
            yield f"the failurePolicy rule {name!r} has a name that cannot be part of a condition's reason"
        for target in rule.get("targetReplicatedJobs") or ():
            if job_set.job(target) is None:
                yield f"the failurePolicy rule {name} names {target}, which is no replicated job"
        for reason in rule.get("onJobFailureReasons") or ():
            if reason not in _REASONS:
                yield f"the failurePolicy rule {name} names {reason}, which no Job fails with; use {', '.join(_REASONS)}"
        for pattern in rule.get("onJobFailureMessagePatterns") or ():
            try:
                re.compile(pattern)
            except re.error as error:
                yield f"the pattern {pattern!r} of the failurePolicy rule {name} is no regular expression: {error}"


def _of_coordinator(job_set: JobSet) -> Iterator[str]:
    at = job_set.coordinator
    if at is None:
        return
    job = job_set.job(str(at["replicatedJob"]))
    if job is None:
        yield f"coordinator names {at['replicatedJob']}, which is no replicated job"
        return
    completions = dig(job.template, "spec", "completions")
    if not 0 <= int(at.get("jobIndex") or 0) < job.replicas:
        yield f"coordinator.jobIndex {at.get('jobIndex')} is not among the {job.replicas} Jobs of {job.name}"
    if dig(job.template, "spec", "completionMode", default="Indexed") != "Indexed" or completions is None:
        yield f"coordinator needs an Indexed Job with completions in the replicated job {job.name}"
    elif not 0 <= int(at.get("podIndex") or 0) < int(completions):
        yield f"coordinator.podIndex {at.get('podIndex')} is not among the {completions} pods of {job.name}"
