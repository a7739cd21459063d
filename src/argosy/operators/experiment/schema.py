"""Katib's three kinds. As upstream serves them their specs are open: what is wrong is said in conditions, by `plan`."""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind

LABEL_EXPERIMENT = "katib.kubeflow.org/experiment"
LABEL_TRIAL = "katib.kubeflow.org/trial"
NUMBER = "argosy.dev/trial-number"
"""On a Trial: which one it is, from 0; suggestions are a function of it."""
START_STEP = "argosy.dev/early-stopping-start-step"
"""On a Trial: how many of its first values later trials are compared with."""
EARLY_AVERAGE = "argosy.dev/early-stopping-average"
"""On a Trial that has succeeded: the average of those values."""

_OPEN: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _kind(name: str, *more: Column) -> Kind:
    return Kind(
        group="kubeflow.org",
        version="v1beta1",
        kind=name,
        plural=f"{name.lower()}s",
        categories=("all", "kubeflow", "katib"),
        subresources=frozenset({"status"}),
        columns=(
            Column("Type", path=".status.conditions[-1:].type"),
            Column("Status", path=".status.conditions[-1:].status"),
            *more,
            Column("Age", path=".metadata.creationTimestamp", type="date"),
        ),
        schema={"type": "object", "properties": {"spec": _OPEN, "status": _OPEN}},
    )


EXPERIMENT = _kind("Experiment")
TRIAL = _kind("Trial")
SUGGESTION = _kind(
    "Suggestion",
    Column("Requested", path=".spec.requests"),
    Column("Assigned", path=".status.suggestionCount"),
)
