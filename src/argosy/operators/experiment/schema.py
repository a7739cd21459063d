"""Katib's three kinds. As upstream serves them their specs are open: what is wrong is said in conditions, by `plan`."""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind

LABEL_EXPERIMENT = "katib.kubeflow.org/experiment"
LABEL_TRIAL = "katib.kubeflow.org/trial"
NUMBER = "argosy.dev/trial-number"
"""On a Trial: which one it is, from 0; suggestions are a function of it."""
STEPS = "argosy.dev/early-stopping-steps"
"""On a Trial that may be ended early: after how many values it is looked at, `3` or `1,3,9`."""
RECORD = "argosy.dev/early-stopping-record"
"""On such a Trial: how it stood then, as `stopping.write` has it."""

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
