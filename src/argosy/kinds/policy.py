"""What disturbs pods and what may not: disruption budgets, evictions, priorities."""

from __future__ import annotations

from argosy.kinds.cells import AGE, column, count
from argosy.meta.json import dig
from argosy.meta.kind import Column, Kind

POD_DISRUPTION_BUDGET = Kind(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", short_names=("pdb",),
    subresources=frozenset({"status"}),
    columns=(
        Column("Min Available", ".spec.minAvailable", cell=lambda o, now: str(dig(o, "spec", "minAvailable", default="N/A")), description="The minimum number of pods that must be available."),
        Column("Max Unavailable", ".spec.maxUnavailable", cell=lambda o, now: str(dig(o, "spec", "maxUnavailable", default="N/A")), description="The maximum number of pods that may be unavailable."),
        column("Allowed Disruptions", "status", "disruptionsAllowed", default=0, type="integer", about="Calculated number of pods that may be disrupted at this time."),
        AGE,
    ),
)  # fmt: skip

EVICTION = Kind("policy", "v1", "Eviction", "evictions", verbs=())
"""Never stored: the body of a pod's eviction subresource."""

PRIORITY_CLASS = Kind(
    "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False, short_names=("pc",),
    columns=(
        count("Value", "value"),
        Column("Global-Default", ".globalDefault", cell=lambda o, now: bool(o.get("globalDefault")), type="boolean"),
        AGE,
        column("PreemptionPolicy", "preemptionPolicy"),
    ),
)  # fmt: skip

ALL = (POD_DISRUPTION_BUDGET, PRIORITY_CLASS)
