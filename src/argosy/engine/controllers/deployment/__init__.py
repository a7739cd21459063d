"""Deployment: moves a set of pods from one template to the next without losing service."""

from argosy.engine.controllers.claims import orphans_wanted
from argosy.engine.controllers.deployment.plan import plan
from argosy.intent import Operator
from argosy.kinds import DEPLOYMENT, REPLICA_SET

OPERATOR = Operator(kind=DEPLOYMENT, owns=(REPLICA_SET,), related=(orphans_wanted(REPLICA_SET),), plan=plan)
