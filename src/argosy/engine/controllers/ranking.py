"""Which of several equal pods a scale-down deletes first. Pure; asked by ReplicaSet and Job."""

from __future__ import annotations

from typing import Any

from argosy.engine.controllers.pods import phase
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of, pod_is_ready

_COST = "controller.kubernetes.io/pod-deletion-cost"
_LATEST = "9999"


def deletion_order(pod: Obj, crowd: int) -> tuple[Any, ...]:
    """Sort key: smaller goes first.

    Without a node before with; Pending, then Unknown, then Running; not ready before ready; lower deletion cost; more
    siblings on the node (`crowd`); ready for less time; more restarts; younger. The name settles what is left.
    """
    ready = pod_is_ready(pod)
    since = str((find(pod, "Ready") or {}).get("lastTransitionTime") or _LATEST) if ready else _LATEST
    restarts = max((c.get("restartCount") or 0 for c in dig(pod, "status", "containerStatuses", default=())), default=0)
    return (
        bool(dig(pod, "spec", "nodeName")),
        {"Pending": 0, "Unknown": 1}.get(phase(pod), 2),
        ready,
        deletion_cost(pod),
        -crowd,
        _descending(since),
        -restarts,
        _descending(str(pod["metadata"].get("creationTimestamp") or _LATEST)),
        name_of(pod),
    )


def deletion_cost(pod: Obj) -> int:
    """The pod's own wish; 0 when absent or not a number."""
    try:
        return int(annotations_of(pod).get(_COST, 0))
    except ValueError:
        return 0


def _descending(stamp: str) -> tuple[int, ...]:
    return tuple(-ord(letter) for letter in stamp)
