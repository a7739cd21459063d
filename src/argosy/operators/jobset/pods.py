"""The pods of a JobSet, as its own operator and that of TrainJobs see them, and what follows when they hang. Pure.

Neither owns the pods: Jobs do, and on a cluster with the official JobSet controller the JobSet is not ours either. So a hang
is answered in a way that every controller understands: all pods are deleted, which fails their Jobs or has them made again,
and the JobSet's failure policy says how the set goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from argosy import kinds
from argosy.intent import Action, Observed, Reason, Related
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import labels_of, name_of, namespace_of, uid_of
from argosy.operators.jobset import schema
from argosy.operators.watching import hang, progress


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


def problems(subject: Obj) -> Iterable[str]:
    """What cannot be read in the annotations that ask for the watch."""
    try:
        progress.policy(subject)
    except ValueError as error:
        yield str(error)
