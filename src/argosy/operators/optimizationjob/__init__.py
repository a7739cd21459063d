"""`trainer.kubeflow.org/v1alpha1 OptimizationJob`: Kubeflow Trainer's own search, whose trials are TrainJobs."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.offer import Offer
from argosy.operators.optimizationjob.schema import OPTIMIZATION_JOB
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.optimizationjob.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(),)


OFFER = Offer(kinds=(OPTIMIZATION_JOB,), operators=_operators, official=("kubeflow-trainer-controller-manager",))
