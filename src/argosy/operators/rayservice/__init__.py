"""`ray.io/v1 RayService`: Ray Serve applications on a cluster, and a new cluster under traffic when its spec changes."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.offer import Offer
from argosy.operators.rayservice.schema import RAY_SERVICE
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.rayservice.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(settings),)


OFFER = Offer(kinds=(RAY_SERVICE,), operators=_operators, official=("kuberay-operator",))
