"""A plan for an MPIJob in the making: it only collects; `plan` decides."""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.clock import rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, uid_of
from argosy.operators.gang import conditions, restart
from argosy.operators.gang.restart import Memory
from argosy.operators.mpijob.job import MpiJob
from argosy.operators.mpijob.schema import MPI_JOB
from argosy.operators.mpijob.world import World


@dataclass(slots=True)
class Draft:
    """Mutable only while one plan is being made."""

    seen: Observed
    job: MpiJob
    world: World
    memory: Memory
    status: Obj
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    again: float | None = None

    @property
    def name(self) -> str:
        """`namespace/name`, as upstream's messages have it."""
        return f"{self.job.namespace}/{self.job.name}"

    @property
    def conditions(self) -> list[Obj]:
        """The conditions as they will be."""
        return self.status.get("conditions") or []

    def condition(self, type: str, reason: str, message: str, *, status: str = "True", warning: bool = False) -> None:
        """Set a condition, and tell of it when that changes anything."""
        before = self.conditions
        after = conditions.put(before, type, reason, message, self.seen.now, status=status)
        if after != before:
            self.status["conditions"] = after
            self.reasons.append(Reason(reason, message, warning))

    def create(self, kind: Kind, obj: Obj) -> None:
        """Make an object."""
        self.actions.append(Create(kind, obj))

    def patch(self, kind: Kind, obj: Obj, change: Obj, subresource: str = "") -> None:
        """Change an object."""
        self.actions.append(Patch(kind, key_of(obj), change, subresource, uid_of(obj)))

    def delete(self, kind: Kind, obj: Obj) -> None:
        """Delete an object, unless that is under way."""
        if not is_deleting(obj):
            self.actions.append(Delete(kind, key_of(obj), uid_of(obj)))

    def remember(self, memory: Memory) -> None:
        """Write what must outlive the pods into the job's annotations, before anything else happens."""
        change = restart.patch(self.memory, memory)
        if change is not None:
            subject = self.seen.subject
            self.actions.insert(0, Patch(MPI_JOB, key_of(subject), change, uid=uid_of(subject)))
        self.memory = memory

    def stamp(self, field: str) -> None:
        """Set a time of the status to now."""
        self.status[field] = rfc3339(self.seen.now)

    def plan(self) -> Plan:
        """What was decided."""
        return Plan(tuple(self.actions), self.status, tuple(self.reasons), self.again)
