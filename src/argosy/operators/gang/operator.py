"""The operator of a framework's kind: what it owns, and its plan under an administrator's settings."""

from __future__ import annotations

from functools import partial

from argosy import kinds
from argosy.clock import Clock, SystemClock
from argosy.intent import Operator
from argosy.operators.gang import podgroup, room
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.labels import LABEL_JOB
from argosy.operators.gang.plan import plan
from argosy.operators.settings import OperatorSettings
from argosy.operators.watching.watch import EVERY_SECONDS, Watch, asked_for


def operator(framework: Framework, settings: OperatorSettings, clock: Clock | None = None) -> Operator:
    """The operator under these settings; `clock` dates what its watch over hung jobs sees."""
    return Operator(
        kind=framework.kind,
        plan=partial(plan, framework=framework, settings=settings),
        owns=(kinds.POD, kinds.SERVICE, *framework.owns, *podgroup.KINDS),
        related=room.related(framework.kind),
        name=framework.component,
        probe=Watch(framework.container, clock or SystemClock(), LABEL_JOB),
        probe_every_seconds=EVERY_SECONDS,
        probed=asked_for,
    )
