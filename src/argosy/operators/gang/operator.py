"""The operator of a framework's kind: what it owns, and its plan under an administrator's settings."""

from __future__ import annotations

from functools import partial

from argosy import kinds
from argosy.intent import Operator
from argosy.operators.gang import podgroup
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.plan import plan
from argosy.operators.settings import OperatorSettings


def operator(framework: Framework, settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return Operator(
        kind=framework.kind,
        plan=partial(plan, framework=framework, settings=settings),
        owns=(kinds.POD, kinds.SERVICE, *framework.owns, *podgroup.KINDS),
        name=framework.component,
    )
