"""Gangs: pods that are placed together or not at all. Pure.

A pod says which gang it belongs to in one of three ways, and a PodGroup of the matching sort says how many must be placed
together: Kubernetes' own (`spec.schedulingGroup.podGroupName`, `scheduling.k8s.io`), the coscheduling plugin's (label
`scheduling.x-k8s.io/pod-group`, `scheduling.x-k8s.io`) and Volcano's (annotation `scheduling.k8s.io/group-name`,
`scheduling.volcano.sh`). Where no PodGroup of that sort is served, the label or annotation `argosy.dev/gang-size` on the
pods may say it; else such a pod is an ordinary one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, labels_of, name_of, namespace_of

NATIVE, COSCHEDULING, VOLCANO = "native", "coscheduling", "volcano"
SIZE = "argosy.dev/gang-size"
_LABEL = "scheduling.x-k8s.io/pod-group"
_ANNOTATION = "scheduling.k8s.io/group-name"

KINDS: Mapping[Kind, str] = {
    Kind("scheduling.k8s.io", "v1beta1", "PodGroup", "podgroups"): NATIVE,
    Kind("scheduling.k8s.io", "v1alpha2", "PodGroup", "podgroups"): NATIVE,
    Kind("scheduling.x-k8s.io", "v1alpha1", "PodGroup", "podgroups"): COSCHEDULING,
    Kind("scheduling.volcano.sh", "v1beta1", "PodGroup", "podgroups"): VOLCANO,
}


class GangName(NamedTuple):
    """A gang's identity: PodGroups of different sorts may share a name."""

    family: str
    namespace: str
    group: str


@dataclass(frozen=True, slots=True)
class Membership:
    """A pod's gang, and the size that the pod itself gives it, 0 when it gives none."""

    name: GangName
    size: int = 0


def membership(pod: Obj) -> Membership | None:
    """Which gang a pod belongs to, None for most."""
    group = dig(pod, "spec", "schedulingGroup", "podGroupName")
    family = NATIVE
    if not group:
        group, family = labels_of(pod).get(_LABEL), COSCHEDULING
    if not group:
        group, family = annotations_of(pod).get(_ANNOTATION), VOLCANO
    if not group:
        return None
    text = labels_of(pod).get(SIZE) or annotations_of(pod).get(SIZE) or ""
    return Membership(GangName(family, namespace_of(pod), str(group)), int(text) if text.isdigit() else 0)


def announced(kind: Kind, group: Obj) -> tuple[GangName, int]:
    """What a PodGroup object says. A native group of policy `basic` is no gang: its size is 1."""
    family = KINDS[kind]
    spec = group.get("spec") or {}
    if family == NATIVE:
        size = dig(spec, "schedulingPolicy", "gang", "minCount", default=None) or dig(
            spec, "policy", "gang", "minCount", default=1
        )
    else:
        size = spec.get("minMember") or 1
    return GangName(family, namespace_of(group), name_of(group)), int(size)


def size_of(member: Membership, gangs: Mapping[GangName, int], served: frozenset[str]) -> int | None:
    """How many must be placed together; 1 for an ordinary pod; None while the PodGroup is awaited."""
    known = gangs.get(member.name)
    if known is not None:
        return known
    if member.size:
        return member.size
    return None if member.name.family in served else 1
