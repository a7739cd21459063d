"""The decision about one OptimizationJob: which TrainJobs to make, and what they have shown.

Called by `argosy.control.runner` whenever the OptimizationJob, one of its TrainJobs or a pod of theirs changes, and when the
log of one that has ended has been read. The history is in its status, so a TrainJob may go when it has ended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from argosy import kinds
from argosy.intent import Action, Create, Observed, Patch, Plan, Reason
from argosy.meta.conditions import find_in, is_true_in, with_condition
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import is_deleting, key_of, name_of, uid_of
from argosy.operators.optimizationjob import trials
from argosy.operators.optimizationjob.schema import METRICS, environment_name
from argosy.operators.search.hyperband import Later, Past
from argosy.operators.search.metrics import UNAVAILABLE, Wanted, number
from argosy.operators.search.reading import Source
from argosy.operators.search.space import Parameter
from argosy.operators.search.suggest import Search, suggest
from argosy.operators.trainjob.schema import LAUNCHER, NODE, TRAIN_JOB

CREATED, RUNNING, COMPLETE, FAILED = "Created", "Running", "Complete", "Failed"


@dataclass(slots=True)
class _Draft:
    """Mutable only while one plan is being made."""

    seen: Observed
    status: Obj
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    again: float | None = None

    def condition(self, type: str, reason: str, message: str, *, holds: bool = True) -> None:
        conditions: list[Obj] = self.status.get("conditions") or []
        wanted: Obj = {"type": type, "status": str(holds), "reason": reason, "message": message}
        before = find_in(conditions, type)
        if before is None or not wanted.items() <= before.items():
            self.status["conditions"] = with_condition(conditions, wanted, self.seen.now)
            if holds:
                self.reasons.append(Reason(reason, message, warning=type == FAILED))

    def end(self, type: str, reason: str, message: str) -> None:
        if find_in(self.status.get("conditions") or (), RUNNING):
            self.condition(RUNNING, reason, "No trial runs any more", holds=False)
        self.condition(type, reason, message)

    def plan(self) -> Plan:
        return Plan(tuple(self.actions), self.status, tuple(self.reasons), self.again)


def plan(seen: Observed) -> Plan:
    """Decide about one OptimizationJob."""
    job = seen.subject
    draft = _Draft(seen, thaw(job.get("status")) or {})
    conditions = draft.status.get("conditions") or ()
    if is_deleting(job) or is_true_in(conditions, COMPLETE) or is_true_in(conditions, FAILED):
        return Plan()
    draft.condition(CREATED, "OptimizationJobCreated", "OptimizationJob is created")
    search, wrong = read(job)
    if wrong:
        draft.end(FAILED, "InvalidSpec", f"OptimizationJob is not valid: {'; '.join(wrong)}")
        return draft.plan()
    _write_down(draft)
    records = trials.history(job, seen.of(TRAIN_JOB), seen.now)
    _go_on(draft, search, records)
    return draft.plan()


def read(job: Obj) -> tuple[Search, list[str]]:
    """How it searches, and what is wrong with that beyond what the schema can tell."""
    spec: Obj = job["spec"]
    algorithm: Obj = spec.get("searchAlgorithm") or {"random": {}}
    found, wrong = [], []
    for given in spec["parameters"]:
        parameter = _parameter(given)
        if isinstance(parameter, str):
            wrong.append(f"parameter {given['name']}: {parameter}")
        else:
            found.append(parameter)
    names = [environment_name(given["name"]) for given in spec["parameters"]]
    wrong += [
        f"two parameters are told as {name}: rename one" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    seed = dig(algorithm, "random", "seed")
    name = "grid" if "grid" in algorithm else "random"
    return Search(name, tuple(found), str(uid_of(job) if seed is None else seed)), wrong


def _parameter(given: Obj) -> Parameter | str:
    name, space = str(given["name"]), given["searchSpace"]
    if "categorical" in space:
        return Parameter(name, choices=tuple(str(choice) for choice in space["categorical"]["choices"]))
    way = "logUniform" if "logUniform" in space else "uniform"
    low, high = float(space[way]["min"]), float(space[way]["max"])
    whole = space[way].get("type") == "Int"
    if whole:
        low, high = math.ceil(low), math.floor(high)
    if low > high:
        return f"there is no whole number from {space[way]['min']} to {space[way]['max']}"
    return Parameter(name, low, high, whole=whole, distribution=way)


def _write_down(draft: _Draft) -> None:
    """What was read of a trial's log, where it outlives the log."""
    told = draft.seen.probed or {}
    child = next((c for c in draft.seen.of(TRAIN_JOB) if uid_of(c) == told.get("of")), None)
    if child is None or not told.get("ended") or not trials.waits_for_metrics(child, _metric(draft.seen.subject)):
        return
    found = {m["name"]: m["latest"] for m in told["metrics"] if m["latest"] != UNAVAILABLE}
    patch = {"metadata": {"annotations": {METRICS: json.dumps(found)}}}
    if METRICS not in (child["metadata"].get("annotations") or {}):
        draft.actions.append(Patch(TRAIN_JOB, key_of(child), patch, uid=uid_of(child)))


def _go_on(draft: _Draft, search: Search, records: list[Obj]) -> None:
    job = draft.seen.subject
    most, parallel = int(dig(job, "spec", "numTrials", default=1)), int(dig(job, "spec", "parallelTrials", default=1))
    losses = [_loss(job, record) for record in records]
    past = [
        Past(trials.assignments_of(r), loss, r["state"] != trials.RUNNING)
        for r, loss in zip(records, losses, strict=True)
    ]
    active = sum(not one.ended for one in past)
    made: list[Obj] = []
    exhausted = False
    number = trials.prefix_and_number(str(records[-1]["trainJobName"]))[1] + 1 if records else 0
    while active + len(made) < parallel and len(past) < most:
        assignments = suggest(search, past, number)
        if assignments is None or assignments is Later.WAIT:
            exhausted = True
            break
        made.append(trials.train_job(job, number, assignments))
        past.append(Past(assignments, None, ended=False))
        number += 1
    draft.actions += [Create(TRAIN_JOB, child) for child in made]
    # A trial is recorded when its TrainJob has been seen: one that could not be made is no trial yet.
    draft.status["trials"] = records
    _result(draft, records)
    if active or made:
        draft.condition(RUNNING, "TrialsRunning", "Trials are running")
        draft.again = trials.PATIENCE_SECONDS + 0.5 if _waiting(draft.seen) else None
        return
    _verdict(draft, records, exhausted=exhausted)


def _waiting(seen: Observed) -> bool:
    return any(trials.waits_for_metrics(child, _metric(seen.subject)) for child in seen.of(TRAIN_JOB))


def _result(draft: _Draft, records: Sequence[Obj]) -> None:
    known = [(loss, record) for record in records if (loss := _loss(draft.seen.subject, record)) is not None]
    if known:
        best = min(known, key=lambda pair: pair[0])[1]
        draft.status["result"] = {"trainJobName": best["trainJobName"], "parameters": best["parameters"]}


def _verdict(draft: _Draft, records: Sequence[Obj], *, exhausted: bool) -> None:
    good = sum(record["state"] == trials.SUCCEEDED for record in records)
    if not good:
        draft.end(
            FAILED, "AllTrialsFailed", f"{len(records)} out of {len(records)} trials failed; {_why(draft, records)}"
        )
    elif exhausted:
        draft.end(
            COMPLETE, "SearchSpaceExhausted", f"Every combination was tried: {good} of {len(records)} trials succeeded"
        )
    else:
        draft.end(COMPLETE, "MaxTrialsReached", f"{good} of {len(records)} trials succeeded")


def _why(draft: _Draft, records: Sequence[Obj]) -> str:
    last = records[-1]
    child = next((c for c in draft.seen.of(TRAIN_JOB) if name_of(c) == last["trainJobName"]), None)
    if last.get("reason") == "MetricsUnavailable":
        metric = _metric(draft.seen.subject)
        return f"{last['trainJobName']} told no {metric}: print {metric}=NUMBER, or push it into the TrainJob's trainerStatus"
    told = trials.why_failed(child) if child is not None else ""
    return f"at last {last['trainJobName']}: {told or last.get('reason')}"


def _loss(job: Obj, record: Obj) -> float | None:
    told = next((str(m["value"]) for m in record.get("metrics") or () if m["name"] == _metric(job)), "")
    value = number(told) if record["state"] == trials.SUCCEEDED else None
    lowest = dig(job, "spec", "objectives", 0, "direction") != "Maximize"
    return value if value is None or lowest else -value


def _metric(job: Obj) -> str:
    return str(dig(job, "spec", "objectives", 0, "metric"))


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial whose log is to be read."""

    uid: str
    log: Source


def source(seen: Observed) -> Ended | None:
    """The log to read next: of the first trial that has ended well and of which no metric is known."""
    metric = _metric(seen.subject)
    pods: dict[str, list[Obj]] = {}
    for pod in seen.related.get(kinds.POD, ()):
        pods.setdefault(trials.jobset_of(pod), []).append(pod)
    for child in seen.of(TRAIN_JOB):
        if METRICS in (child["metadata"].get("annotations") or {}) or not trials.waits_for_metrics(child, metric):
            continue
        for pod in sorted(pods.get(name_of(child), ()), key=_order):
            names = [str(container["name"]) for container in pod["spec"]["containers"]]
            container = NODE if NODE in names else names[0]
            return Ended(uid_of(child), Source(key_of(pod), uid_of(pod), container, Wanted((metric,)), ended=True))
    return None


def _order(pod: Obj) -> int:
    """The launcher, then trainers, then initializers and whatever else a runtime has."""
    job = (pod["metadata"].get("labels") or {}).get("jobset.sigs.k8s.io/replicatedjob-name")
    return 0 if job == LAUNCHER else 1 if job == NODE else 2
