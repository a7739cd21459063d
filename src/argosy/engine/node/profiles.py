"""What makes one of several nodes different from the others: `$ARGOSY_HOME/nodes.yaml`, for trying out scheduling.

    nodes:                              # the first entry is argosy-1's, and so on
      - labels: {topology.kubernetes.io/zone: a}
        resources: {nvidia.com/gpu: 8}  # pretended; cpu and memory may be told as well
        taints: [{key: dedicated, value: training, effect: NoSchedule}]

Read by `nodes` when the engine starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from argosy.errors import UserError
from argosy.meta.json import Obj
from argosy.meta.quantity import parse

FILE = "nodes.yaml"


@dataclass(frozen=True, slots=True)
class Profile:
    """One node's own labels, taints and resources."""

    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Obj, ...] = ()


def profiles(home: Path) -> list[Profile]:
    """The profiles that a home's file names, in the order of its nodes; none without a file. Raises UserError."""
    path = home / FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    try:
        document = yaml.safe_load(text) or {}
        return [_profile(entry or {}) for entry in document.get("nodes") or ()]
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        advice = "write a list `nodes` of mappings with labels, resources and taints"
        raise UserError(f"{path} is no description of nodes: {error}", advice) from None


def _profile(entry: Obj) -> Profile:
    resources = {str(name): str(amount) for name, amount in (entry.get("resources") or {}).items()}
    for amount in resources.values():
        parse(amount)
    labels = {str(name): str(value) for name, value in (entry.get("labels") or {}).items()}
    return Profile(labels, resources, tuple(dict(taint) for taint in entry.get("taints") or ()))
