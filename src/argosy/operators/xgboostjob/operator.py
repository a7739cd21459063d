"""XGBoostJob as a framework of gangs, and its operator."""

from __future__ import annotations

from argosy.intent import Operator
from argosy.operators.gang import operator as gang
from argosy.operators.gang.framework import Framework
from argosy.operators.settings import OperatorSettings
from argosy.operators.xgboostjob.rendezvous import environment
from argosy.operators.xgboostjob.schema import CONTAINER, MASTER, PORT, PORT_NAME, WORKER, XGBOOST_JOB

XGBOOST = Framework(
    kind=XGBOOST_JOB,
    specs="xgbReplicaSpecs",
    types=(MASTER, WORKER),
    masters=(MASTER,),
    required=(MASTER,),
    single=(MASTER,),
    container=CONTAINER,
    port_name=PORT_NAME,
    port=PORT,
    restart_policy="Never",
    environment=environment,
)


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return gang.operator(XGBOOST, settings)
