"""The operator of PyTorchJobs: what it owns, and its plan under an administrator's settings."""

from __future__ import annotations

from functools import partial

from argosy import kinds
from argosy.intent import Operator
from argosy.operators.pytorchjob import podgroup
from argosy.operators.pytorchjob.plan import plan
from argosy.operators.pytorchjob.schema import OPERATOR_NAME, PYTORCH_JOB
from argosy.operators.settings import OperatorSettings


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return Operator(
        kind=PYTORCH_JOB,
        plan=partial(plan, settings=settings),
        owns=(kinds.POD, kinds.SERVICE, kinds.HORIZONTAL_POD_AUTOSCALER, *podgroup.KINDS),
        name=OPERATOR_NAME,
    )
