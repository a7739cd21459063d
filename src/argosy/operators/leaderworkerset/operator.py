"""The operator of LeaderWorkerSets: what it owns and what it reads."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.intent import Operator, Related
from argosy.kinds import CONTROLLER_REVISION, ENDPOINT_SLICE, POD, SERVICE, STATEFUL_SET
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import labels_of, name_of, namespace_of
from argosy.operators.leaderworkerset.plan import plan
from argosy.operators.leaderworkerset.schema import LEADER_WORKER_SET, NAME


def operator() -> Operator:
    """The operator. What hangs on a leader pod belongs to that pod; it is found by the set's name among its labels."""
    return Operator(
        kind=LEADER_WORKER_SET,
        plan=plan,
        owns=(CONTROLLER_REVISION, STATEFUL_SET, SERVICE, ENDPOINT_SLICE),
        related=tuple(_labelled(kind) for kind in (POD, STATEFUL_SET, SERVICE, ENDPOINT_SLICE)),
        name="leaderworkerset-controller",
    )


def _labelled(kind: Kind) -> Related:
    return Related(kind, _is_of, subject_keys=_name, object_keys=_set)


def _name(subject: Obj) -> Iterable[str]:
    return (f"{namespace_of(subject)}/{name_of(subject)}",)


def _set(obj: Obj) -> Iterable[str]:
    name = labels_of(obj).get(NAME)
    return (f"{namespace_of(obj)}/{name}",) if name else ()


def _is_of(subject: Obj, obj: Obj) -> bool:
    return set(_set(obj)) == set(_name(subject))
