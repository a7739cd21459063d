"""`kubeflow.org/v1 XGBoostJob`: gradient boosting over rows that are spread across pods."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings
from argosy.operators.xgboostjob.schema import XGBOOST_JOB


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.xgboostjob.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings),)


OFFER = Offer(kinds=(XGBOOST_JOB,), operators=_operators, official=("training-operator",), trains=True)
