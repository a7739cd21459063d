"""Counting a job's pods: which slot has which pod, which are of another time, how many are at what.

Pure; called by `plan` before it decides anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from argosy.clock import parse_time
from argosy.meta.json import Obj, dig
from argosy.meta.objects import created_of, is_deleting, labels_of
from argosy.operators.gang import failure
from argosy.operators.gang.failure import Failure
from argosy.operators.gang.job import Job, Replica
from argosy.operators.gang.labels import LABEL_EPOCH, LABEL_INDEX, LABEL_SIZE, LABEL_TYPE
from argosy.operators.gang.restart import Memory

Slot = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Census:
    """The pods of a job at one moment."""

    pods: dict[Slot, Obj]
    """The pod of each slot, of the present epoch."""
    strays: tuple[Obj, ...]
    """Pods of an earlier epoch, or of a slot that the spec no longer has."""
    missing: tuple[tuple[Replica, int], ...]
    outgrown: bool = False
    """Whether some of the strays believe in another size of the gang than the spec has now."""

    def of(self, type: str) -> Iterator[Obj]:
        """The pods of a replica type."""
        return (pod for slot, pod in self.pods.items() if slot[0] == type)

    def count(self, type: str, phase: str) -> int:
        """How many pods of a type are in a phase; what is on its way out counts only for having succeeded."""
        ended = phase == "Succeeded"
        return sum(dig(pod, "status", "phase") == phase and (ended or not is_deleting(pod)) for pod in self.of(type))

    def failures(self, job: Job) -> list[Failure]:
        """What pods of the present epoch failed of, unordered."""
        container = job.framework.container
        found = (failure.of(pod, slot[0], container) for slot, pod in self.pods.items())
        return [one for one in found if one is not None]

    def lost(self, job: Job) -> list[Failure]:
        """The pods that should be there and are not; only of a gang that was complete once."""
        what = "is gone: it was deleted, or its node was lost"
        return [Failure(job.pod_name(r.type, i), r.type, what, lost=True) for r, i in self.missing]

    def busy(self) -> list[Obj]:
        """Pods that hold, or will hold, a place on a node."""
        phases = ("Pending", "Running", "Unknown", None)
        return [pod for pod in self.everyone() if dig(pod, "status", "phase") in phases]

    def everyone(self) -> list[Obj]:
        """Every pod that the job owns."""
        return [*self.pods.values(), *self.strays]

    def began(self) -> datetime | None:
        """When the present epoch's first pod was made."""
        stamps = [created_of(pod) for pod in self.pods.values()]
        return min((parse_time(stamp) for stamp in stamps if stamp), default=None)


def take(job: Job, pods: Sequence[Obj], memory: Memory) -> Census:
    """Sort the owned pods by slot. With upstream's restart scope the epoch does not matter.

    A pod on its way out is a failure of a gang that was complete; before that (after a suspension, say) it only has
    to be gone before its successor can have its name.
    """
    wanted = {(replica.type, index): (replica, index) for replica, index in job.slots()}
    types = {replica.type.lower(): replica.type for replica in job.replicas}
    placed: dict[Slot, Obj] = {}
    strays: list[Obj] = []
    size, outgrown = str(job.total), False
    for pod in pods:
        labels = labels_of(pod)
        index = labels.get(LABEL_INDEX, "")
        slot = (types.get(labels.get(LABEL_TYPE, ""), ""), int(index) if index.isdigit() else -1)
        stale = job.whole_gang and labels.get(LABEL_EPOCH, "0") != str(memory.epoch)
        stale |= is_deleting(pod) and not (job.whole_gang and memory.has_formed(job))
        if job.whole_gang and not job.framework.resizes(job) and labels.get(LABEL_SIZE, size) != size:
            stale = outgrown = True
        if stale or slot not in wanted or slot in placed:
            strays.append(pod)
        else:
            placed[slot] = pod
    missing = tuple(wanted[slot] for slot in wanted if slot not in placed)
    return Census(placed, tuple(strays), missing, outgrown)


def replica_statuses(job: Job, census: Census) -> Obj:
    """`status.replicaStatuses`; counts of zero are left out, as upstream does."""
    statuses: Obj = {}
    for replica in job.replicas:
        selector = ",".join(f"{k}={v}" for k, v in sorted(job.selector(replica.type).items()))
        counts = {
            "active": census.count(replica.type, "Running"),
            "succeeded": census.count(replica.type, "Succeeded"),
            "failed": census.count(replica.type, "Failed"),
        }
        statuses[replica.type] = {"selector": selector} | {name: n for name, n in counts.items() if n}
    return statuses
