"""`ray.io/v1 RayJob`: a Ray cluster, a program submitted to it, and what becomes of both."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.offer import Offer
from argosy.operators.rayjob.schema import RAY_JOB
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.rayjob.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings),)


OFFER = Offer(kinds=(RAY_JOB,), operators=_operators, official=("kuberay-operator",), trains=True)
