"""`kubeflow.org MPIJob`, v2beta1 and v1: MPI programs over worker pods that a launcher reaches by SSH or through the API."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators.mpijob.schema import MPI_JOB, MPI_JOB_V1
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.mpijob.operator import operator, operator_v1  # noqa: PLC0415 - see `Offer`

    return operator(clock), operator_v1(settings, clock)


OFFER = Offer(
    kinds=(MPI_JOB, MPI_JOB_V1), operators=_operators, official=("mpi-operator", "training-operator"), trains=True
)
