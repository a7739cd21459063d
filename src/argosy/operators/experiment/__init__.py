"""`kubeflow.org/v1beta1 Experiment`: Katib's searches over hyperparameters, as Trials that are jobs of any kind."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.experiment.schema import EXPERIMENT, SUGGESTION, TRIAL
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.experiment.operator import operators  # noqa: PLC0415 - see `Offer`

    return operators(settings)


OFFER = Offer(kinds=(EXPERIMENT, TRIAL, SUGGESTION), operators=_operators, official=("katib-controller",))
