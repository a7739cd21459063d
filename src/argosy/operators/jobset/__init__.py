"""`jobset.x-k8s.io/v1alpha2 JobSet`: several Jobs as one, that find each other, start in order and restart together."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.jobset.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(clock),)


OFFER = Offer(kinds=(JOB_SET,), operators=_operators, official=("jobset-controller-manager",), trains=True)
