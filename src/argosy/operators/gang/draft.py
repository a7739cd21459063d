"""A plan in the making: what `plan` has seen so far, and what it has decided so far.

It only collects; every decision is made in `plan` and its neighbours. Events follow from what is recorded here, so that
a condition that changed and an action that is taken are each told exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from argosy import kinds
from argosy.clock import parse_time, rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, name_of, uid_of
from argosy.operators.gang import conditions
from argosy.operators.gang.census import Census
from argosy.operators.gang.job import Job
from argosy.operators.gang.restart import Memory, patch, remember


@dataclass(slots=True)
class Draft:
    """Mutable only while one plan is being made."""

    seen: Observed
    job: Job
    memory: Memory
    census: Census
    status: Obj
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    again: float | None = None
    asks: list[str] = field(default_factory=list)
    written: Patch | None = None
    """What `remember` has decided to write so far."""

    @property
    def title(self) -> str:
        """How messages name the job, `PyTorchJob ddp`."""
        return f"{self.job.framework.kind.kind} {self.job.name}"

    @property
    def conditions(self) -> list[Obj]:
        """The conditions as they will be."""
        return self.status.get("conditions") or []

    def condition(self, type: str, word: str, message: str, *, status: str = "True", warning: bool = False) -> None:
        """Set a condition, and tell of it when that changes anything."""
        before = self.conditions
        reason = f"{self.job.framework.kind.kind}{word}"
        after = conditions.put(before, type, reason, message, self.seen.now, status=status)
        if after != before:
            self.status["conditions"] = after
            self.reasons.append(Reason(reason, message, warning))

    def no_longer(self, type: str) -> None:
        """Take a condition away, if it is there."""
        if any(each.get("type") == type for each in self.conditions):
            self.status["conditions"] = conditions.without(self.conditions, type)

    def create(self, kind: Kind, obj: Obj) -> None:
        """Make an object."""
        self.actions.append(Create(kind, obj))
        if kind in (kinds.POD, kinds.SERVICE):
            what = kind.kind
            self.reasons.append(Reason(f"SuccessfulCreate{what}", f"Created {what.lower()}: {name_of(obj)}"))

    def delete(self, kind: Kind, obj: Obj, *, grace_seconds: int | None = None) -> None:
        """Delete an object, unless that is under way."""
        if is_deleting(obj):
            return
        self.actions.append(Delete(kind, key_of(obj), uid_of(obj), grace_seconds))
        if kind in (kinds.POD, kinds.SERVICE):
            what = kind.kind
            self.reasons.append(Reason(f"SuccessfulDelete{what}", f"Deleted {what.lower()}: {name_of(obj)}"))

    def remember(self, memory: Memory) -> None:
        """Write what must outlive the pods into the job's annotations, in one patch, before anything else happens."""
        subject = self.seen.subject
        if self.written is not None:
            self.actions.remove(self.written)
        change = patch(remember(subject), memory)
        kind, self.written, self.memory = self.job.framework.kind, None, memory
        if change is not None:
            self.written = Patch(kind, key_of(subject), change, uid=uid_of(subject))
            self.actions.insert(0, self.written)

    def wake_in(self, seconds: float) -> None:
        """Plan again after so many seconds, or sooner."""
        self.again = seconds if self.again is None else min(self.again, seconds)

    def answered(self, paths: Iterable[str]) -> bool:
        """Ask for API paths; whether all of them have been answered."""
        self.asks += paths
        return self.seen.answers.keys() >= set(self.asks)

    def stamp(self, field: str) -> None:
        """Set a time of the status to now."""
        self.status[field] = rfc3339(self.seen.now)

    def seconds_since(self, field: str) -> float:
        """How long a time of the status is ago; 0 when it is not set."""
        text = self.status.get(field)
        return (self.seen.now - parse_time(text)).total_seconds() if text else 0.0

    def plan(self) -> Plan:
        """What was decided."""
        return Plan(tuple(self.actions), self.status, tuple(self.reasons), self.again, tuple(self.asks))
