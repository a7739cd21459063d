"""`kubeflow.org/v1 JAXJob`: processes of one JAX program that form one device mesh."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.jaxjob.schema import JAX_JOB
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.jaxjob.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings),)


OFFER = Offer(kinds=(JAX_JOB,), operators=_operators, official=("training-operator",), trains=True)
