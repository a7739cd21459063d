"""A JobSet's plan in the making: what `plan` has seen and decided so far.

It only collects. A condition that changes, and an action that is taken, are each told once from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.clock import rfc3339
from argosy.intent import Action, Delete, Observed, Plan, Reason
from argosy.kinds import JOB
from argosy.meta.conditions import find_in
from argosy.meta.json import Obj
from argosy.meta.objects import is_deleting, key_of, uid_of
from argosy.operators.jobset.census import Census
from argosy.operators.jobset.spec import JobSet

COMPLETED, FAILED, SUSPENDED, RESTARTING = "Completed", "Failed", "Suspended", "RestartingJobSet"
IN_PROGRESS, STARTED = "StartupPolicyInProgress", "StartupPolicyCompleted"
_EXCLUDES = {IN_PROGRESS: STARTED, STARTED: IN_PROGRESS}


@dataclass(slots=True)
class Draft:
    """Mutable only while one plan is being made."""

    seen: Observed
    job_set: JobSet
    census: Census
    status: Obj
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    again: float | None = None
    asks: tuple[str, ...] = ()

    def condition(self, type: str, reason: str, message: str, *, holds: bool = True, warning: bool = False) -> None:
        """Set a condition as upstream does: one that is new comes last and only when it holds; two that exclude each other
        never hold at once.
        """
        conditions: list[Obj] = self.status.get("conditions") or []
        before, stamp = find_in(conditions, type), rfc3339(self.seen.now)
        wanted: Obj = {"type": type, "status": str(holds), "reason": reason, "message": message}
        if (before is None and not holds) or (before is not None and wanted.items() <= before.items()):
            return
        same = before is not None and before.get("status") == wanted["status"]
        wanted["lastTransitionTime"] = (before or {}).get("lastTransitionTime") if same else stamp
        made = [wanted if c.get("type") == type else c for c in conditions]
        if before is None:
            made.append(wanted)
        if holds:
            other = _EXCLUDES.get(type)
            made = [{**c, "status": "False"} if c.get("type") == other else c for c in made]
        self.status["conditions"] = made
        self.reasons.append(Reason(reason, message, warning))

    def end(self, type: str, reason: str, message: str, restarting: tuple[str, str]) -> None:
        """Reach the end, well or not."""
        self.condition(type, reason, message, warning=type == FAILED)
        self.condition(RESTARTING, *restarting, holds=False)
        self.status["terminalState"] = type

    def delete_jobs(self, jobs: list[Obj]) -> None:
        """Delete Jobs with their pods; a name is free again once the pods are gone."""
        self.actions += [
            Delete(JOB, key_of(job), uid_of(job), propagation="Foreground") for job in jobs if not is_deleting(job)
        ]

    def plan(self) -> Plan:
        """What was decided."""
        return Plan(tuple(self.actions), self.status, tuple(self.reasons), self.again, self.asks)
