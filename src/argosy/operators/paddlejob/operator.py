"""PaddleJob as a framework of gangs, and its operator."""

from __future__ import annotations

from argosy.intent import Operator
from argosy.operators.gang import operator as gang
from argosy.operators.gang.framework import Framework
from argosy.operators.paddlejob.rendezvous import environment
from argosy.operators.paddlejob.schema import CONTAINER, MASTER, PADDLE_JOB, PORT, PORT_NAME, WORKER
from argosy.operators.settings import OperatorSettings

PADDLE = Framework(
    kind=PADDLE_JOB,
    specs="paddleReplicaSpecs",
    types=(MASTER, WORKER),
    masters=(MASTER,),
    worker_0_is_master=False,
    container=CONTAINER,
    port_name=PORT_NAME,
    port=PORT,
    restart_policy="OnFailure",
    environment=environment,
)


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return gang.operator(PADDLE, settings)
