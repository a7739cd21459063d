"""The operator of InferenceServices: what it owns and looks at, and the probe of their demand."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from argosy import kinds
from argosy.clock import Clock
from argosy.intent import Operator, Related
from argosy.meta.json import Obj
from argosy.meta.objects import labels_of, name_of, namespace_of
from argosy.operators.inferenceservice.demand import Demand
from argosy.operators.inferenceservice.plan import OWNED, plan
from argosy.operators.inferenceservice.schema import INFERENCE_SERVICE, LABEL_SERVICE
from argosy.operators.settings import OperatorSettings


def operator(settings: OperatorSettings, clock: Clock) -> Operator:
    """The operator under these settings; `clock` dates what the probe sees."""
    return Operator(
        kind=INFERENCE_SERVICE,
        plan=partial(plan, settings=settings),
        owns=OWNED,
        related=(Related(kinds.POD, _is_of, subject_keys=_own_key, object_keys=_pod_key),),
        probe=Demand(settings, clock),
        name="inferenceservice-controller",
    )


def _own_key(subject: Obj) -> Iterable[str]:
    yield f"{namespace_of(subject)}/{name_of(subject)}"


def _pod_key(pod: Obj) -> Iterable[str]:
    name = labels_of(pod).get(LABEL_SERVICE)
    if name:
        yield f"{namespace_of(pod)}/{name}"


def _is_of(subject: Obj, pod: Obj) -> bool:
    return list(_own_key(subject)) == list(_pod_key(pod))
