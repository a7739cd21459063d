"""Node: found dead by its lease (`plan`), its pods let go (`loop`)."""

from argosy.engine.controllers.node.plan import plan
from argosy.intent import Operator, Related
from argosy.kinds import LEASE, NODE
from argosy.meta.objects import name_of, namespace_of

_LEASES = "kube-node-lease"

OPERATOR = Operator(
    kind=NODE,
    related=(
        Related(
            LEASE,
            lambda node, lease: namespace_of(lease) == _LEASES and name_of(lease) == name_of(node),
            subject_keys=lambda node: (name_of(node),),
            object_keys=lambda lease: (name_of(lease),) if namespace_of(lease) == _LEASES else (),
        ),
    ),
    plan=plan,
    name="node-lifecycle-controller",
)
