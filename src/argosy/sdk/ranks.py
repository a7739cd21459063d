"""Which rank each pod of a gang is. Pure; `argosy logs` and whoever follows a job prefix lines with it.

A pod's own environment says it where the operator writes it there; else the labels of the kinds that make gangs give the
order: the leading replica first, then the workers by index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from argosy.meta.json import Obj, dig
from argosy.meta.objects import labels_of, name_of

_VARIABLES = ("RANK", "NODE_RANK", "PROCESS_ID", "PET_NODE_RANK", "JAX_PROCESS_ID", "LWS_WORKER_INDEX")
_TYPES = ("training.kubeflow.org/replica-type", "ray.io/node-type", "jobset.sigs.k8s.io/replicatedjob-name")
_LEADING = ("master", "chief", "launcher", "head", "scheduler", "leader", "driver")
_TRAILING = ("ps", "evaluator")
_INDEXES = (
    "jobset.sigs.k8s.io/job-index",
    "training.kubeflow.org/replica-index",
    "leaderworkerset.sigs.k8s.io/group-index",
    "leaderworkerset.sigs.k8s.io/worker-index",
    "batch.kubernetes.io/job-completion-index",
    "apps.kubernetes.io/pod-index",
)


def ranks_of(pods: Iterable[Obj]) -> dict[str, int]:
    """The rank of each pod by its name. Where the pods do not say it themselves they are numbered in their order."""
    pods = list(pods)
    told = {name_of(pod): _told(pod) for pod in pods}
    known = [rank for rank in told.values() if rank is not None]
    if len(known) == len(pods) == len(set(known)):
        return {name: rank for name, rank in told.items() if rank is not None}
    return {name_of(pod): number for number, pod in enumerate(sorted(pods, key=_place))}


def _told(pod: Obj) -> int | None:
    given = {
        entry.get("name"): entry.get("value")
        for container in dig(pod, "spec", "containers", default=())[:1]
        for entry in container.get("env") or ()
    }
    for variable in _VARIABLES:
        value = given.get(variable)
        if isinstance(value, str) and value.isdigit():
            return int(value)
    return None


def _place(pod: Obj) -> tuple[int, str, list[int], list[tuple[int, str]]]:
    labels = labels_of(pod)
    type = next((labels[label].lower() for label in _TYPES if label in labels), "")
    group = 0 if type in _LEADING else 2 if type in _TRAILING else 1
    indexes = [int(labels[label]) for label in _INDEXES if labels.get(label, "").isdigit()]
    # `worker-10` after `worker-9`
    natural = [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name_of(pod)) if part]
    return group, type, indexes, natural
