"""What Kubernetes itself reconciles: one folder a kind, and ALL names them."""

from argosy.engine.controllers import (
    budget,
    cronjob,
    daemonset,
    deployment,
    endpointslice,
    job,
    replicaset,
    statefulset,
    volume,
)
from argosy.intent import Operator

ALL: tuple[Operator, ...] = (
    deployment.OPERATOR,
    replicaset.OPERATOR,
    statefulset.OPERATOR,
    daemonset.OPERATOR,
    job.OPERATOR,
    cronjob.OPERATOR,
    endpointslice.OPERATOR,
    volume.OPERATOR,
    budget.OPERATOR,
)
"""The operators that need no settings; `service.run` adds those that do, and the loops that are not about one object."""
