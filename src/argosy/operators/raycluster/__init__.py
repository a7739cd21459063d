"""`ray.io/v1 RayCluster`: a Ray cluster as a head and groups of workers, run by Ray itself."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.offer import Offer
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.raycluster.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings),)


OFFER = Offer(kinds=(RAY_CLUSTER,), operators=_operators, official=("kuberay-operator",))
