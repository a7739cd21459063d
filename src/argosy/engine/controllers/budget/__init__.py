"""PodDisruptionBudget: how many of some pods may be evicted now."""

from argosy.engine.controllers.budget.plan import plan, wants_pod, wants_workload
from argosy.intent import Operator, Related
from argosy.kinds import POD, POD_DISRUPTION_BUDGET, REPLICA_SET, STATEFUL_SET
from argosy.meta.objects import namespace_of

OPERATOR = Operator(
    kind=POD_DISRUPTION_BUDGET,
    related=(
        Related(POD, wants_pod, lambda budget: (namespace_of(budget),), lambda pod: (namespace_of(pod),)),
        Related(REPLICA_SET, wants_workload, lambda budget: (namespace_of(budget),), lambda obj: (namespace_of(obj),)),
        Related(STATEFUL_SET, wants_workload, lambda budget: (namespace_of(budget),), lambda obj: (namespace_of(obj),)),
    ),
    plan=plan,
    name="disruption-controller",
)
