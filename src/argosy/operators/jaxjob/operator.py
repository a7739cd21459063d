"""JAXJob as a framework of gangs, and its operator."""

from __future__ import annotations

from argosy.intent import Operator
from argosy.operators.gang import operator as gang
from argosy.operators.gang.framework import Framework
from argosy.operators.jaxjob.rendezvous import environment
from argosy.operators.jaxjob.schema import CONTAINER, JAX_JOB, PORT, PORT_NAME, WORKER
from argosy.operators.settings import OperatorSettings

JAX = Framework(
    kind=JAX_JOB,
    specs="jaxReplicaSpecs",
    types=(WORKER,),
    container=CONTAINER,
    port_name=PORT_NAME,
    port=PORT,
    restart_policy="Never",
    environment=environment,
)


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return gang.operator(JAX, settings)
