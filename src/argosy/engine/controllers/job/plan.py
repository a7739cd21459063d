"""What a Job needs now: pods made, pods ended, its end declared. Pure.

`census` counts the pods, `verdict` says whether the Job is decided, `wanted` which pods should run; here they are put
together with as few writes as the outside can bear: for a Job of one short pod one create and one status.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from argosy.clock import rfc3339
from argosy.engine.controllers.job import indexes, wanted
from argosy.engine.controllers.job.census import RELEASED, TRACKING, Census, take
from argosy.engine.controllers.job.verdict import Tallies, Verdict, decide, finished
from argosy.engine.controllers.pods import BURST, created, moment, soonest
from argosy.intent import Action, Delete, Observed, Patch, Plan, Reason
from argosy.kinds import JOB, POD
from argosy.meta.conditions import Condition, find, is_true_in, with_stamped
from argosy.meta.json import Obj, dig
from argosy.meta.objects import created_of, is_deleting, key_of, name_of, pod_is_ready, uid_of

OURS = "kubernetes.io/job-controller"
_UNHURRIED = frozenset({"active", "ready", "startTime", "terminating", "uncountedTerminatedPods"})
_PENDING_SECONDS = 3.0
_READY_SECONDS = 1.0


def plan(seen: Observed) -> Plan:
    """One step of the Job."""
    job = seen.subject
    if job["spec"].get("managedBy", OURS) != OURS:
        return Plan()
    census = take(job, seen.of(POD))
    if is_deleting(job):
        return Plan(tuple(_untrack(census.leaving)))
    end = finished(job)
    if end is not None:
        return _after_the_end(job, census, end, seen.now)
    tallies = wanted.tally(job, census) if job["spec"].get("completionMode") == "Indexed" else None
    decided = decide(job, census, tallies, seen.now)
    draft = _Draft(job, census, tallies, seen.now)
    draft.let_go()
    if decided.verdict is not None:
        draft.conclude(decided.verdict)
    elif job["spec"].get("suspend"):
        draft.suspend()
    else:
        draft.proceed()
    status, held = draft.status()
    wait = soonest(draft.wait_seconds, held, decided.wait_seconds)
    return Plan(tuple(draft.actions), status, tuple(draft.reasons), wait)


def _after_the_end(job: Obj, census: Census, end: Obj, now: datetime) -> Plan:
    actions: list[Action] = [*_untrack(census.leaving), *(_end(pod) for pod in census.active)]
    limit = job["spec"].get("ttlSecondsAfterFinished")
    if limit is None:
        return Plan(tuple(actions))
    since = moment(dig(job, "status", "completionTime") or end.get("lastTransitionTime")) or now
    left = (since + timedelta(seconds=int(limit)) - now).total_seconds()
    if left > 0:
        return Plan(tuple(actions), again_in_seconds=left)
    actions.append(Delete(JOB, key_of(job), uid=uid_of(job)))
    return Plan(tuple(actions))


class _Draft:
    """A plan being written; lives for one call of `plan`."""

    def __init__(self, job: Obj, census: Census, tallies: Tallies | None, now: datetime) -> None:
        self.job = job
        self.census = census
        self.tallies = tallies
        self.now = now
        self.actions: list[Action] = []
        self.reasons: list[Reason] = []
        self.wait_seconds: float | None = None
        self.conditions: list[Obj] = list(dig(job, "status", "conditions", default=[]))
        self._start: datetime | None = moment(dig(job, "status", "startTime"))
        self._completed: datetime | None = None
        self._active = len(census.active)

    def let_go(self) -> None:
        """Free the pods that somebody deletes, once the count that includes them is written down."""
        said = self.census.noted()
        if said is not None:
            patch = {"metadata": {"annotations": {RELEASED: said.text()}}}
            self.actions.append(Patch(JOB, key_of(self.job), patch, uid=uid_of(self.job)))
        written = self.census.gone.pods
        self.actions.extend(_untrack(pod for pod in self.census.leaving if uid_of(pod) in written))

    def conclude(self, verdict: Verdict) -> None:
        """End what still runs; declare the end once nothing does."""
        still = self.census.active
        self.actions.extend(_end(pod) for pod in still)
        self._active = 0
        early = "SuccessCriteriaMet" if verdict.succeeded else "FailureTarget"
        self._condition(Condition(early, "True", verdict.reason, verdict.message))
        if still or self.census.terminating:
            return
        last = "Complete" if verdict.succeeded else "Failed"
        self._condition(Condition(last, "True", verdict.reason, verdict.message))
        if verdict.succeeded:
            self._completed = self.now
            self.reasons.append(Reason("Completed", "Job completed"))
        else:
            self.reasons.append(Reason(verdict.reason, verdict.message, warning=True))

    def suspend(self) -> None:
        """End the pods without counting them; the clock of the deadline starts again on resumption."""
        for pod in self.census.active:
            self._discard(pod)
        self._active = 0
        self._start = None
        if not is_true_in(self.conditions, "Suspended"):
            self.reasons.append(Reason("Suspended", "Job suspended"))
        self._condition(Condition("Suspended", "True", "JobSuspended", "Job suspended"))

    def proceed(self) -> None:
        """Bring the active pods to what is wanted."""
        if is_true_in(self.conditions, "Suspended"):
            self._condition(Condition("Suspended", "False", "JobResumed", "Job resumed"))
            self.reasons.append(Reason("Resumed", "Job resumed"))
            self._start = self.now
        change = wanted.change(self.job, self.census, self.tallies, self.now)
        self.wait_seconds = change.wait_seconds
        for pod in change.make[:BURST]:
            action, reason = created(pod)
            self.actions.append(action)
            self.reasons.append(reason)
        for pod in change.discard:
            self._discard(pod)
        self._active += min(len(change.make), BURST) - len(change.discard)
        if self._start is None:
            stamps = [moment(created_of(pod)) for pod in self.census.active]
            self._start = min((s for s in stamps if s is not None), default=self.now)

    def status(self) -> tuple[Obj | None, float | None]:
        """The status, or None and a wait where it may well be overtaken by the next one."""
        census = self.census
        status: Obj = {"uncountedTerminatedPods": {}}
        if self.conditions:
            status["conditions"] = self.conditions
        over = any(c["type"] in {"Complete", "Failed"} for c in self.conditions)
        if self._start is not None or (over and not self.job["spec"].get("suspend")):
            status["startTime"] = rfc3339(self._start or self._first_pod())
        if self._completed is not None:
            status["completionTime"] = rfc3339(self._completed)
        status["ready"] = 0 if over else min(census.ready_count, self._active)
        status["terminating"] = (
            0 if over else len(census.terminating) + len(census.active) - min(len(census.active), self._active)
        )
        succeeded = census.succeeded_count
        if self.tallies is not None:
            succeeded = len(self.tallies.succeeded)
            if self.tallies.succeeded:
                status["completedIndexes"] = indexes.write(self.tallies.succeeded)
            if self.job["spec"].get("backoffLimitPerIndex") is not None:
                status["failedIndexes"] = indexes.write(self.tallies.failed)
        counts = {"active": self._active, "succeeded": succeeded, "failed": census.failed_count}
        status |= {name: count for name, count in counts.items() if count}
        return self._unless_hasty(status)

    def _unless_hasty(self, status: Obj) -> tuple[Obj | None, float | None]:
        """A single pod that has just been made, or has just become ready, may be done before anybody could look."""
        before = self.job.get("status") or {}
        changed = {k for k in status.keys() | before.keys() if status.get(k) != before.get(k)}
        if not changed:
            return None, None
        parallel = max(self._active, len(self.census.active))
        if not changed <= _UNHURRIED or parallel != 1 or self.job["spec"].get("activeDeadlineSeconds") is not None:
            return status, None
        pod = self.census.active[0] if self.census.active else None
        left = _PENDING_SECONDS if pod is None else (_settles_at(pod, self.now) - self.now).total_seconds()
        return (None, max(left, 0.05)) if left > 0 else (status, None)

    def _first_pod(self) -> datetime:
        stamps = [
            moment(created_of(pod)) for pod in (*self.census.succeeded, *self.census.failed, *self.census.ignored)
        ]
        return min((s for s in stamps if s is not None), default=self.now)

    def _discard(self, pod: Obj) -> None:
        self.actions.extend(_untrack([pod]))
        self.actions.append(_end(pod))
        self.reasons.append(Reason("SuccessfulDelete", f"Deleted pod: {name_of(pod)}"))

    def _condition(self, condition: Condition) -> None:
        self.conditions = with_stamped(self.conditions, condition, self.now, stamp="lastProbeTime")


def _settles_at(pod: Obj, now: datetime) -> datetime:
    meta = pod["metadata"]
    if pod_is_ready(pod):
        since = moment((find(pod, "Ready") or {}).get("lastTransitionTime")) or now
        return since + timedelta(seconds=_READY_SECONDS)
    return (moment(meta.get("creationTimestamp")) or now) + timedelta(seconds=_PENDING_SECONDS)


def _untrack(pods: Iterable[Obj]) -> list[Action]:
    actions: list[Action] = []
    for pod in pods:
        finalizers = pod["metadata"].get("finalizers") or []
        if TRACKING in finalizers:
            kept = [f for f in finalizers if f != TRACKING]
            actions.append(Patch(POD, key_of(pod), {"metadata": {"finalizers": kept or None}}, uid=uid_of(pod)))
    return actions


def _end(pod: Obj) -> Delete:
    return Delete(POD, key_of(pod), uid=uid_of(pod))
