"""The pods of a JobSet, as its own operator and that of TrainJobs see them, and what follows when they hang. Pure.

Neither owns the pods: Jobs do, and on a cluster with the official JobSet controller the JobSet is not ours either. So a hang
is answered in a way that every controller understands: all pods are deleted, which fails their Jobs or has them made again,
and the JobSet's failure policy says how the set goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from argosy import kinds
from argosy.clock import parse_time
from argosy.intent import Action, Delete, Observed, Patch, Reason, Related
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, labels_of, name_of, namespace_of, uid_of
from argosy.operators.jobset import schema
from argosy.operators.watching import hang, progress

_SENT_AWAY, _LEAST_GRACE_SECONDS = "DisruptionTarget", 1


def _subject_keys(subject: Obj) -> Iterable[str]:
    return (f"{namespace_of(subject)}/{name_of(subject)}",)


def _pod_keys(pod: Obj) -> Iterable[str]:
    name = labels_of(pod).get(schema.NAME, "")
    return (f"{namespace_of(pod)}/{name}",) if name else ()


def _is_of(subject: Obj, pod: Obj) -> bool:
    return list(_pod_keys(pod)) == list(_subject_keys(subject))


PODS = Related(kinds.POD, _is_of, subject_keys=_subject_keys, object_keys=_pod_keys)


def of(seen: Observed) -> Sequence[Obj]:
    """The pods of the subject's set."""
    return seen.related.get(kinds.POD, ())


def answer(seen: Observed, kind: Kind) -> tuple[list[Action], list[Reason]] | None:
    """What follows from a hang of the subject, which is of this kind; None where none was found."""
    pods = of(seen)
    found = hang.found(seen.probed, pods)
    if found is None:
        return None
    attempts = (labels_of(pod).get(schema.RESTART_ATTEMPT, "0") for pod in pods if uid_of(pod) in found.pods)
    return hang.answer(found, next(attempts, "0"), kind, seen.subject, pods)


def leave_together(seen: Observed) -> list[Action]:
    """What has the peers of pods that are asked to leave (a drained node) leave with them, within the same time, so that
    they can save a checkpoint together. They are marked as sent away too, which Jobs do not count as failures.
    """
    pods = [pod for pod in of(seen) if dig(pod, "status", "phase") in ("Running", "Pending")]
    leaving = [pod for pod in pods if is_deleting(pod) and pod["metadata"].get("deletionGracePeriodSeconds")]
    sent = [found for pod in leaving if (found := find(pod, _SENT_AWAY)) is not None and found.get("status") == "True"]
    if not sent:
        return []
    attempts = {labels_of(pod).get(schema.RESTART_ATTEMPT) for pod in leaving}
    until = min(parse_time(pod["metadata"]["deletionTimestamp"]) for pod in leaving)
    grace = max(int((until - seen.now).total_seconds()), _LEAST_GRACE_SECONDS)
    actions: list[Action] = []
    for pod in pods:
        if is_deleting(pod) or labels_of(pod).get(schema.RESTART_ATTEMPT) not in attempts:
            continue
        others = [each for each in dig(pod, "status", "conditions", default=()) if each.get("type") != _SENT_AWAY]
        mark = {**sent[0], "message": f"leaves with a pod of its set: {sent[0].get('message') or 'sent away'}"}
        told = {"status": {"conditions": [*others, mark]}}
        actions.append(Patch(kinds.POD, key_of(pod), told, "status", uid_of(pod), optional=True))
        actions.append(Delete(kinds.POD, key_of(pod), uid_of(pod), grace))
    return sorted(actions, key=lambda action: isinstance(action, Delete))


def problems(subject: Obj) -> Iterable[str]:
    """What cannot be read in the annotations that ask for the watch."""
    try:
        progress.policy(subject)
    except ValueError as error:
        yield str(error)
