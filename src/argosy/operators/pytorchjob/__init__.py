"""`kubeflow.org/v1 PyTorchJob`: distributed PyTorch training as pods that find each other and restart together."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.offer import Offer
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.pytorchjob.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings),)


OFFER = Offer(kinds=(PYTORCH_JOB,), operators=_operators, official=("training-operator",), trains=True)
