"""`trainer.kubeflow.org/v1alpha1`: TrainJob, the runtimes that it is run by, and a set of ready-made ones."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.meta.json import Obj
from argosy.operators.offer import Offer
from argosy.operators.settings import OperatorSettings
from argosy.operators.trainjob.schema import CLUSTER_TRAINING_RUNTIME, TRAIN_JOB, TRAINING_RUNTIME


def _operators(settings: OperatorSettings, clock: Clock) -> tuple[Operator, ...]:
    from argosy.operators.trainjob.operator import operator  # noqa: PLC0415 - see `Offer`

    return (operator(clock),)


def _objects() -> Iterable[Obj]:
    from argosy.operators.trainjob.runtimes import note_of_version, ready_made  # noqa: PLC0415 - see `Offer`

    return (*note_of_version(), *ready_made())


OFFER = Offer(
    kinds=(TRAIN_JOB, CLUSTER_TRAINING_RUNTIME, TRAINING_RUNTIME),
    operators=_operators,
    official=("kubeflow-trainer-controller-manager",),
    objects=_objects,
    trains=True,
)
