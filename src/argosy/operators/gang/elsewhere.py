"""Trying elsewhere: a pod that was ended by its machine rather than by its program casts doubt on that machine.

The next epoch's pods then prefer other nodes. It is only a preference: on the only node there is, or the only one with
room, the gang begins anew all the same. Pure; called by `failing` and `pods`.
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of
from argosy.operators.gang.failure import Failure

_REMEMBERED = 8
_PREFERENCE = 100


def suspect(cause: Failure, pods: Iterable[Obj]) -> str:
    """The node of a pod that failed without its program's doing; empty where nothing speaks against a node."""
    if cause.by_the_cluster or cause.out_of_memory or not cause.retryable:
        return ""
    return next((str(dig(pod, "spec", "nodeName", default="")) for pod in pods if name_of(pod) == cause.pod), "")


def remembered(avoided: tuple[str, ...], node: str) -> tuple[str, ...]:
    """The nodes to avoid, the newest last; the oldest are forgotten, lest none be left."""
    if not node:
        return avoided
    return (*(one for one in avoided if one != node), node)[-_REMEMBERED:]


def struck(strikes: tuple[tuple[str, int], ...], node: str) -> tuple[tuple[str, int], ...]:
    """How often each node's machine ended a pod, with one more for this node; the oldest are forgotten."""
    if not node:
        return strikes
    count = dict(strikes).get(node, 0) + 1
    return (*(one for one in strikes if one[0] != node), (node, count))[-_REMEMBERED:]


def prefer_others(spec: Obj, avoided: tuple[str, ...]) -> None:
    """Have a pod prefer nodes other than these. Changes the spec, which is fresh."""
    if not avoided:
        return
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [
        *(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()),
        *(
            {
                "weight": _PREFERENCE,
                "preference": {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": [node]}]},
            }
            for node in avoided
        ),
    ]
