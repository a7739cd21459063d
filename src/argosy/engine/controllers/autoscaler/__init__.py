"""HorizontalPodAutoscaler: as many replicas as a target's use of resources asks for.

`algebra` computes, `probe` reads scale and metrics from the API, `plan` writes the scale and the status.
"""

from argosy.clock import Clock
from argosy.engine.controllers.autoscaler.plan import plan
from argosy.engine.controllers.autoscaler.probe import Probe
from argosy.intent import Operator
from argosy.kinds import HORIZONTAL_POD_AUTOSCALER


def operator(clock: Clock) -> Operator:
    """The operator; its probe remembers past recommendations, which stabilisation windows look back on."""
    return Operator(
        kind=HORIZONTAL_POD_AUTOSCALER,
        plan=plan,
        probe=Probe(clock),
        probe_every_seconds=5.0,
        name="horizontal-pod-autoscaler",
    )
