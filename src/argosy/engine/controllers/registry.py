"""The list of the engine's controllers that are operators. Read it and know what is reconciled."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.engine.controllers import (
    autoscaler,
    budget,
    claim,
    cronjob,
    daemonset,
    deployment,
    endpointslice,
    job,
    node,
    replicaset,
    replicationcontroller,
    statefulset,
    volume,
)
from argosy.engine.controllers.namespace import plan as namespace
from argosy.engine.controllers.settings import ControllerSettings
from argosy.intent import Operator

ALL: tuple[Operator, ...] = (
    deployment.OPERATOR,
    replicaset.OPERATOR,
    replicationcontroller.OPERATOR,
    statefulset.OPERATOR,
    daemonset.OPERATOR,
    job.OPERATOR,
    cronjob.OPERATOR,
    endpointslice.OPERATOR,
    volume.OPERATOR,
    budget.OPERATOR,
    node.OPERATOR,
)
"""Those that need no settings."""


def operators(settings: ControllerSettings, clock: Clock) -> tuple[Operator, ...]:
    """All of them."""
    return (
        *ALL,
        namespace.operator(settings.ca_pem),
        claim.operator(settings.volumes_dir),
        autoscaler.operator(clock),
    )
