"""StatefulSet: pods with names, order and storage of their own."""

from argosy.engine.controllers.claims import orphans_wanted
from argosy.engine.controllers.statefulset.identity import claims_wanted
from argosy.engine.controllers.statefulset.plan import plan
from argosy.intent import Operator
from argosy.kinds import CONTROLLER_REVISION, POD, STATEFUL_SET

OPERATOR = Operator(
    kind=STATEFUL_SET, owns=(POD, CONTROLLER_REVISION), related=(orphans_wanted(), claims_wanted()), plan=plan
)
