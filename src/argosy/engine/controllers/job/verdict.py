"""Whether a Job is decided: done, or failed for good, and in which words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from argosy.engine.controllers.job import policies
from argosy.engine.controllers.job.census import Census
from argosy.engine.controllers.pods import moment, phase
from argosy.meta.json import Obj, dig


class Verdict(NamedTuple):
    """The end of a Job. `succeeded` tells which of the two ends."""

    succeeded: bool
    reason: str
    message: str


class Tallies(NamedTuple):
    """What an Indexed Job knows of its indexes."""

    succeeded: frozenset[int]
    failed: frozenset[int]


class Decided(NamedTuple):
    """A verdict, if there is one; else after how many seconds the deadline brings one."""

    verdict: Verdict | None
    wait_seconds: float | None = None


def decide(job: Obj, census: Census, tallies: Tallies | None, now: datetime) -> Decided:
    """Look for the first thing that ends the Job, failures before success as Kubernetes does."""
    spec = job["spec"]
    told = standing(job)
    if told is not None:
        return Decided(told)
    if census.fatal is not None:
        return Decided(Verdict(False, "PodFailurePolicy", census.fatal.message))
    if _past_backoff_limit(spec, census):
        return Decided(Verdict(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit"))
    left = _deadline_left(job, now)
    if left is not None and left <= 0:
        return Decided(Verdict(False, "DeadlineExceeded", "Job was active longer than specified deadline"))
    if tallies is not None:
        return Decided(_indexed_end(job, tallies), left)
    return Decided(_plain_end(spec, census), left)


def standing(job: Obj) -> Verdict | None:
    """The verdict that an earlier plan has written down."""
    for condition in dig(job, "status", "conditions", default=()):
        if condition.get("type") in {"SuccessCriteriaMet", "FailureTarget", "Complete", "Failed"}:
            if condition.get("status") != "True":
                continue
            good = condition["type"] in {"SuccessCriteriaMet", "Complete"}
            return Verdict(good, str(condition.get("reason", "")), str(condition.get("message", "")))
    return None


def finished(job: Obj) -> Obj | None:
    """The condition Complete or Failed, once there is one."""
    for condition in dig(job, "status", "conditions", default=()):
        if condition.get("type") in {"Complete", "Failed"} and condition.get("status") == "True":
            return dict(condition)
    return None


def _past_backoff_limit(spec: Mapping[str, object], census: Census) -> bool:
    limit = spec.get("backoffLimit")
    if limit is None:
        limit = 2**31 - 1 if spec.get("backoffLimitPerIndex") is not None else 6
    assert isinstance(limit, int), "the schema says so"
    if census.failed_count > limit:
        return True
    restarts = sum(map(_restarts, census.active))
    return restarts > 0 and restarts >= limit and _restarts_in_place(spec)


def _restarts_in_place(spec: Mapping[str, object]) -> bool:
    return bool(dig(spec.get("template"), "spec", "restartPolicy") == "OnFailure")


def _restarts(pod: Obj) -> int:
    if phase(pod) not in {"Running", "Pending"}:
        return 0
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return sum(int(c.get("restartCount") or 0) for c in containers)


def _deadline_left(job: Obj, now: datetime) -> float | None:
    limit = job["spec"].get("activeDeadlineSeconds")
    if limit is None or job["spec"].get("suspend"):
        return None
    since = moment(dig(job, "status", "startTime")) or now
    return (since + timedelta(seconds=int(limit)) - now).total_seconds()


def _indexed_end(job: Obj, tallies: Tallies) -> Verdict | None:
    spec = job["spec"]
    completions = int(spec.get("completions") or 0)
    met = policies.match_success(job, tallies.succeeded)
    if met is not None:
        return Verdict(True, "SuccessPolicy", met)
    if spec.get("maxFailedIndexes") is not None and len(tallies.failed) > int(spec["maxFailedIndexes"]):
        message = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict(False, "MaxFailedIndexesExceeded", message)
    if len(tallies.succeeded) >= completions:
        return _REACHED
    if tallies.failed and len(tallies.succeeded | tallies.failed) >= completions:
        return Verdict(False, "FailedIndexes", "Job has failed indexes")
    return None


def _plain_end(spec: Mapping[str, object], census: Census) -> Verdict | None:
    completions = spec.get("completions")
    if completions is None:  # a work queue: one success means that the queue is empty, the others may finish
        done = census.succeeded_count > 0 and not census.active and not census.terminating
    else:
        done = census.succeeded_count >= int(str(completions))
    return _REACHED if done else None


_REACHED = Verdict(True, "CompletionsReached", "Reached expected number of succeeded pods")
