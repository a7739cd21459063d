"""What becomes of a job that runs: read from its submitter and from Ray's dashboard, told in KubeRay's status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from argosy.clock import parse_time, rfc3339
from argosy.meta.json import Obj, dig
from argosy.operators.ray import names
from argosy.operators.rayjob.schema import COMPLETE, FAILED, HTTP, JOB_ENDED, JOB_FAILED, RUNNING

_SUBMITTER_GONE_SECONDS = 30.0
_TRANSITION_SECONDS = 300.0
_SILENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Submitter:
    """The container that submits, as far as it has come."""

    failure: str = ""
    """Why it cannot submit any more."""
    reason: str = "SubmissionFailed"
    finished_at: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What to change about the status, and what to do."""

    status: Obj
    submit: bool = False
    """Whether the program has to be submitted (again) by request."""
    again_in_seconds: float | None = None


def of_job(jobs: Sequence[Obj]) -> Submitter | None:
    """The submitter Job; None before it is there."""
    if not jobs:
        return None
    for condition in dig(jobs[0], "status", "conditions", default=()):
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            why = f"Job submission has failed. Reason: {condition.get('reason')}. Message: {condition.get('message')}"
            failed = condition["type"] == "Failed"
            return Submitter(why if failed else "", finished_at=str(condition.get("lastTransitionTime") or ""))
    return Submitter()


def of_head(pod: Obj | None) -> Submitter:
    """The submitter beside the head."""
    if pod is None:
        return Submitter("Ray head pod not found.", "AppFailed")
    for container in dig(pod, "status", "containerStatuses", default=()):
        end = dig(container, "state", "terminated")
        if container.get("name") == names.SUBMITTER and end is not None:
            code, word = end.get("exitCode"), end.get("reason")
            why = f"Ray head pod container {names.SUBMITTER} terminated with exit code {code}: {word}"
            return Submitter(why if code else "", finished_at=str(end.get("finishedAt") or ""))
    return Submitter()


def judge(status: Obj, submitter: Submitter | None, probed: Obj | None, mode: str, now: datetime) -> Finding:
    """What is to be said about a job in state Running. `submitter` is None in the modes that have none."""
    late = _late(status, submitter, now)
    if late:
        return Finding(late)
    if submitter is not None and submitter.failure:
        if status.get("jobStatus") == JOB_FAILED:
            return Finding({"jobDeploymentStatus": FAILED, "reason": "AppFailed"})
        found = (probed or {}).get("job") or {}
        if found.get("status") in JOB_ENDED:
            return Finding(_ended(found))
        told = {"reason": submitter.reason, "message": submitter.failure}
        return Finding({"jobDeploymentStatus": FAILED} | told)
    if not probed:
        return Finding({})
    if "error" in probed:
        # Not every refusal is an outage: a head that starts again refuses for a while. Only lasting silence counts.
        since = status.get("jobStatusCheckFailureStartTime") or rfc3339(now)
        return Finding({"jobStatusCheckFailureStartTime": since}, again_in_seconds=_SILENCE_SECONDS)
    known: Obj = {"jobStatusCheckFailureStartTime": None}
    if probed.get("missing"):
        if mode == HTTP:
            return Finding(known, submit=True)
        if submitter is not None and submitter.finished_at:
            message = "Submitter completed but Ray job not found in RayCluster."
            return Finding(known | {"jobDeploymentStatus": FAILED, "reason": "AppFailed", "message": message})
        return Finding(known)
    found = probed["job"]
    waits = submitter is not None and not submitter.finished_at
    if found.get("status") in JOB_ENDED and not waits:
        return Finding(known | _ended(found))
    return Finding(known | _told(found) | {"jobDeploymentStatus": RUNNING}, again_in_seconds=_wait(submitter, now))


def _ended(found: Obj) -> Obj:
    failed = found.get("status") == JOB_FAILED
    over: Obj = {"jobDeploymentStatus": FAILED if failed else COMPLETE, "reason": "AppFailed" if failed else None}
    return _told(found) | over


def _told(found: Obj) -> Obj:
    times: Obj = {}
    for field, name in (("startTime", "start_time"), ("endTime", "end_time")):
        if found.get(name):
            times[field] = rfc3339(datetime.fromtimestamp(int(found[name]) / 1000, UTC))
    told: Obj = {"jobStatus": found.get("status") or "", "message": found.get("message") or None}
    return told | ({"rayJobInfo": times} if times else {})


def _late(status: Obj, submitter: Submitter | None, now: datetime) -> Obj | None:
    """What has taken too long: the dashboard's silence, or an end that nobody reports."""
    since = status.get("jobStatusCheckFailureStartTime")
    if since and _seconds(since, now) >= _SILENCE_SECONDS:
        message = f"Job status checks have been failing since {since}; exceeded timeout of {_SILENCE_SECONDS:.0f}s"
        return {"jobDeploymentStatus": FAILED, "reason": "JobStatusCheckTimeoutExceeded", "message": message}
    ended = dig(status, "rayJobInfo", "endTime")
    exceeded = "JobDeploymentStatusTransitionGracePeriodExceeded"
    if ended and status.get("jobStatus") in JOB_ENDED and _seconds(ended, now) >= _TRANSITION_SECONDS:
        message = (
            "JobDeploymentStatus does not transition to Complete or Failed within the grace period after JobStatus "
            "reaches a terminal state."
        )
        over = FAILED if status["jobStatus"] == JOB_FAILED else COMPLETE
        return {"jobDeploymentStatus": over, "reason": exceeded, "message": message}
    gone = submitter.finished_at if submitter is not None else ""
    if gone and _seconds(gone, now) >= _SUBMITTER_GONE_SECONDS and status.get("jobStatus") not in JOB_ENDED:
        message = (
            f"The RayJob submitter finished at {gone} but the ray job did not reach terminal state within "
            f"{_SUBMITTER_GONE_SECONDS:.0f}s"
        )
        return {"jobStatus": JOB_FAILED, "jobDeploymentStatus": FAILED, "reason": exceeded, "message": message}
    return None


def _wait(submitter: Submitter | None, now: datetime) -> float | None:
    if submitter is None or not submitter.finished_at:
        return None
    return max(_SUBMITTER_GONE_SECONDS - _seconds(submitter.finished_at, now), 0.1)


def _seconds(since: str, now: datetime) -> float:
    return (now - parse_time(since)).total_seconds()
