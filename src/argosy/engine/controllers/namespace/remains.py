"""What a namespace that is being deleted still contains, as its conditions say it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from argosy.meta.conditions import Condition, with_stamped
from argosy.meta.json import Obj


@dataclass(slots=True)
class Remains:
    """Objects left by resource, and the finalizers that hold them."""

    counts: dict[str, int] = field(default_factory=dict)
    finalizers: Counter[str] = field(default_factory=Counter)


def conditions_for(conditions: Iterable[Obj], remains: Remains, now: datetime) -> list[Obj]:
    """The conditions of a namespace on its way out, in Kubernetes' words."""
    left = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(remains.counts.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(remains.finalizers.items()))
    wanted = [
        Condition(
            "NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"
        ),
        Condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        Condition(
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        Condition("NamespaceContentRemaining", "True", "SomeResourcesRemain", f"Some resources are remaining: {left}")
        if left
        else Condition("NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed"),
        Condition(
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {held}",
        )
        if held
        else Condition(
            "NamespaceFinalizersRemaining",
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ]
    told = list(conditions)
    for condition in wanted:
        told = with_stamped(told, condition, now)
    return told
