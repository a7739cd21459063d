"""ReplicationController: the ReplicaSet's forerunner, which ordinary manifests still use."""

from argosy.engine.controllers.claims import orphans_wanted
from argosy.engine.controllers.replicationcontroller.plan import plan
from argosy.intent import Operator
from argosy.kinds import POD, REPLICATION_CONTROLLER

OPERATOR = Operator(
    kind=REPLICATION_CONTROLLER, owns=(POD,), related=(orphans_wanted(),), plan=plan, name="replication-controller"
)
