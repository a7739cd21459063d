"""The failure of a JobSet's pods that the others follow from, in its own words: for the set's operator and that of TrainJobs.

A pod whose container is to be restarted in place counts too: how it ended is told by its last state. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.intent import Observed
from argosy.meta.json import Obj, dig
from argosy.meta.objects import is_deleting, labels_of, namespace_of
from argosy.operators.gang import autopsy, failure
from argosy.operators.gang.failure import Failure
from argosy.operators.jobset import schema

USER_ERRORS = "argosy.dev/user-errors"
STOP, RETRY = "stop", "retry"
USER_ERROR = "UserError"


def failures(pods: Sequence[Obj], attempt: int | None = None) -> list[Failure]:
    """How pods failed (of one attempt, or of the newest). One that was taken away says nothing where another failed."""
    numbers = {label for pod in pods if (label := labels_of(pod).get(schema.RESTART_ATTEMPT, "")).isdigit()}
    wanted = str(attempt) if attempt is not None else max(numbers, key=int, default="")
    present = [pod for pod in pods if labels_of(pod).get(schema.RESTART_ATTEMPT, wanted) == wanted]
    found = [failure.of(_ended(pod), labels_of(pod).get(schema.REPLICATED_JOB, ""), "") for pod in present]
    known = [one for one in found if one is not None]
    return [one for one in known if not one.lost] or known


def asks(of: Sequence[Failure], subject: Obj) -> tuple[str, ...]:
    """The logs that have to be read before `first` can tell."""
    return autopsy.paths(of, namespace_of(subject))


def first(of: Sequence[Failure], seen: Observed) -> Failure | None:
    """The one that came first, once `asks` has been answered."""
    return failure.first(autopsy.read(of, namespace_of(seen.subject), seen.answers))


def mistake(of: Failure) -> str:
    """The end of a message about a failure that no restart mends; empty where one may."""
    return (
        f"{of} (no restart mends this; correct the program and create the job again)" if autopsy.is_mistake(of) else ""
    )


def _ended(pod: Obj) -> Obj:
    """The pod as it was when its containers ended, where they wait to be started again."""
    statuses = dig(pod, "status", "containerStatuses", default=())
    if is_deleting(pod) or not any(_waits(status) for status in statuses):
        return pod
    before = [{**status, "state": status["lastState"]} if _waits(status) else status for status in statuses]
    return {**pod, "status": {**pod["status"], "phase": "Failed", "containerStatuses": before}}


def _waits(status: Obj) -> bool:
    return bool(dig(status, "state", "waiting") and dig(status, "lastState", "terminated"))
