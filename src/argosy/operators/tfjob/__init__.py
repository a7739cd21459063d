"""`kubeflow.org/v1 TFJob`: distributed TensorFlow, by workers that are equal or by parameter servers."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings
from argosy.operators.tfjob.schema import TF_JOB


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.tfjob.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings),)


OFFER = Offer(kinds=(TF_JOB,), operators=_operators, official=("training-operator",), trains=True)
