"""What a ReplicationController needs: what a ReplicaSet does. Pure."""

from dataclasses import replace

from argosy.engine.controllers.replicaset.plan import replicated
from argosy.intent import Observed, Plan
from argosy.kinds import REPLICATION_CONTROLLER


def plan(seen: Observed) -> Plan:
    """Bring the number of active pods to `spec.replicas`."""
    planned = replicated(seen, REPLICATION_CONTROLLER)
    if planned.status is None:
        return planned
    return replace(planned, status={k: v for k, v in planned.status.items() if k != "terminatingReplicas"})
