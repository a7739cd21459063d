"""`leaderworkerset.x-k8s.io/v1 LeaderWorkerSet`: groups of one leader and its workers, for models that need several pods."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.leaderworkerset.schema import LEADER_WORKER_SET
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.leaderworkerset.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(),)


OFFER = Offer(kinds=(LEADER_WORKER_SET,), operators=_operators, official=("lws-controller-manager",))
