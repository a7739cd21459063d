"""`kubeflow.org/v1 PaddleJob`: distributed PaddlePaddle, collective or with parameter servers."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.offer import Offer
from argosy.operators.paddlejob.schema import PADDLE_JOB
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.paddlejob.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings),)


OFFER = Offer(kinds=(PADDLE_JOB,), operators=_operators, official=("training-operator",), trains=True)
