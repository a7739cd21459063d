"""Which pods of a worker group go, and which come: one decision a group, made from the pods that are there. Pure.

A replica is one pod, or `numOfHosts` pods that live and die together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from argosy.clock import parse_time
from argosy.meta.json import Obj, dig
from argosy.meta.objects import created_of, is_deleting, labels_of, name_of, pod_is_ready
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Group
from argosy.operators.raycluster.pods import Host

_SETTLE_SECONDS = 5.0
"""A pod that ends sooner than this after it was made is replaced only then: a template that cannot run makes no storm."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to a group."""

    gone: tuple[tuple[Obj, str], ...] = ()
    """Pods to delete, each with the reason."""
    hosts: tuple[Host, ...] = ()
    """Places to make pods for."""
    again_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Replica:
    index: int
    pods: list[Obj]

    @property
    def rank(self) -> tuple[bool, str, int]:
        """Who goes first when there are too many: what is not ready, then the youngest."""
        return all(map(pod_is_ready, self.pods)), _reversed(max(map(created_of, self.pods))), -self.index


def decide(group: Group, pods: Sequence[Obj], now: datetime, *, autoscaled: bool) -> Change:
    """Decide about one group. Pods that are being deleted count no longer."""
    alive = [pod for pod in pods if not is_deleting(pod)]
    if group.suspended:
        return Change(tuple((pod, "its worker group is suspended") for pod in alive))
    kept: list[_Replica] = []
    gone: list[tuple[Obj, str]] = []
    waits: list[float] = []
    for replica in _replicas(group, alive):
        why, wait = _ending(group, replica, now)
        if wait is not None:
            waits.append(wait)
        if why and wait is None:
            gone += [(pod, why) for pod in replica.pods]
        else:
            kept.append(replica)
    missing = group.replicas - len(kept)
    if missing < 0 and not autoscaled:
        # With an autoscaler only that says which pods go, for only it knows which are idle.
        surplus = sorted(kept, key=lambda replica: replica.rank)[:-missing]
        gone += [(pod, "its worker group is scaled down") for replica in surplus for pod in replica.pods]
    hosts = _places(group, {replica.index for replica in kept}, missing, now) if missing > 0 else ()
    return Change(tuple(gone), hosts, min(waits, default=None))


def ended(pod: Obj) -> str:
    """Why a pod of Ray cannot go on; empty while it can, by itself or by its restart policy."""
    phase = dig(pod, "status", "phase")
    if phase in ("Failed", "Succeeded"):
        return f"Pod status: {phase}"
    if phase != "Running" or dig(pod, "spec", "restartPolicy") != "Never":
        return ""
    name = dig(pod, "spec", "containers", 0, "name")
    for status in dig(pod, "status", "containerStatuses", default=()):
        end = dig(status, "state", "terminated")
        if status.get("name") == name and end is not None:
            return f"Pod status: Running; Ray container ended with exit code {end.get('exitCode')}"
    return ""


def settled_in(pod: Obj, now: datetime) -> float | None:
    """How long to wait before an ended pod is replaced; None when that is now."""
    created = created_of(pod)
    left = _SETTLE_SECONDS - (now - parse_time(created)).total_seconds() if created else 0.0
    return left if left > 0 else None


def _ending(group: Group, replica: _Replica, now: datetime) -> tuple[str, float | None]:
    """Why a replica has to go, empty when it may stay, and how long that has time."""
    if any(name_of(pod) in group.doomed for pod in replica.pods):
        return "it is among the workersToDelete", None
    if len(replica.pods) < group.hosts:
        return f"only {len(replica.pods)} of the {group.hosts} hosts of its replica are left", None
    for pod in replica.pods:
        why = ended(pod)
        if why:
            return why, settled_in(pod, now)
    return "", None


def _replicas(group: Group, pods: Sequence[Obj]) -> list[_Replica]:
    together: dict[str, list[Obj]] = {}
    for pod in pods:
        key = labels_of(pod).get(names.LABEL_REPLICA_NAME, "") if group.hosts > 1 else ""
        together.setdefault(key or name_of(pod), []).append(pod)
    return [_Replica(_index(members[0]), members) for members in together.values()]


def _index(pod: Obj) -> int:
    text = labels_of(pod).get(names.LABEL_REPLICA_INDEX, "")
    return int(text) if text.isdigit() else 0


def _places(group: Group, taken: set[int], count: int, now: datetime) -> tuple[Host, ...]:
    free = (index for index in range(len(taken) + count) if index not in taken)
    places = []
    for _, index in zip(range(count), free, strict=False):
        name = f"{group.name}-{names.suffix(group.name, index, now)}" if group.hosts > 1 else ""
        places += [Host(index, host, name) for host in range(group.hosts)]
    return tuple(places)


def _reversed(text: str) -> str:
    """So that a later time sorts first."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in text)
