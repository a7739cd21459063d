"""DaemonSet: one pod on every node that lets it in."""

from argosy.engine.controllers.claims import orphans_wanted
from argosy.engine.controllers.daemonset.plan import plan
from argosy.intent import Operator, Related
from argosy.kinds import CONTROLLER_REVISION, DAEMON_SET, NODE, POD

OPERATOR = Operator(
    kind=DAEMON_SET,
    owns=(POD, CONTROLLER_REVISION),
    related=(orphans_wanted(), Related(NODE, lambda _, node: True)),
    plan=plan,
)
