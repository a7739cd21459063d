"""`serving.kserve.io/v1beta1 InferenceService` in Standard mode: a model behind one Service, scaled by its requests."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.inferenceservice.schema import INFERENCE_SERVICE
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.inferenceservice.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings, clock),)


OFFER = Offer(kinds=(INFERENCE_SERVICE,), operators=_operators, official=("kserve-controller-manager",))
