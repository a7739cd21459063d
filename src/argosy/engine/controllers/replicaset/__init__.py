"""ReplicaSet: keeps so many pods of a template alive."""

from argosy.engine.controllers.claims import orphans_wanted
from argosy.engine.controllers.replicaset.plan import plan
from argosy.intent import Operator
from argosy.kinds import POD, REPLICA_SET

OPERATOR = Operator(kind=REPLICA_SET, owns=(POD,), related=(orphans_wanted(),), plan=plan, name="replicaset-controller")
