"""The decision about one Trial: make its job, and say in its conditions what became of it.

Called by `argosy.control.runner` whenever the Trial or its job changes, and when the probe has read the metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from argosy.clock import parse_time, rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, is_deleting, key_of, labels_of, name_of, owner_reference, uid_of
from argosy.operators.experiment import outcome, stopping
from argosy.operators.experiment.metrics import UNAVAILABLE
from argosy.operators.experiment.schema import EARLY_AVERAGE, LABEL_TRIAL, START_STEP, TRIAL
from argosy.operators.gang.conditions import CREATED, FAILED, RUNNING, SUCCEEDED, put

METRICS_UNAVAILABLE, EARLY_STOPPED = "MetricsUnavailable", "EarlyStopped"
_ENDS = (SUCCEEDED, FAILED, METRICS_UNAVAILABLE, EARLY_STOPPED, "Killed")
_PATIENCE_SECONDS = 10.0
"""How long after a job's end its pods are looked for."""

Kinds = Mapping[tuple[str, str], Kind]
"""The kinds that a trial may run, by apiVersion and kind."""


def is_over(trial: Obj) -> bool:
    """Whether nothing more will become of it."""
    return any(is_true(trial, type) for type in _ENDS)


def plan(seen: Observed, kinds: Kinds) -> Plan:
    """Decide about one Trial."""
    trial = seen.subject
    if is_deleting(trial):
        return Plan()
    spec: Obj = trial.get("spec") or {}
    run: Obj = spec.get("runSpec") or {}
    status: Obj = thaw(trial.get("status")) or {}
    kind = kinds.get((str(run.get("apiVersion")), str(run.get("kind"))))
    job = next(iter(seen.of(kind)), None) if kind else None
    if is_over(trial):
        return Plan(_clean(spec, kind, job), status)
    story = _Story(status, seen.now)
    story.tell(CREATED, "TrialCreated", "Trial is created")
    status.setdefault("startTime", rfc3339(seen.now))
    if kind is None:
        known = ", ".join(sorted({name for _, name in kinds}))
        message = (
            f"Trial has failed: no operator here runs {run.get('kind')} of {run.get('apiVersion')}; use one of {known}"
        )
        story.end(FAILED, "TrialFailed", message, warning=True)
        return Plan((), status, tuple(story.reasons))
    if job is None:
        made = Create(kind, _job(trial, run, kind))
        story.tell(RUNNING, "TrialRunning", "Trial is running")
        return Plan((made,), status, tuple(story.reasons))
    return _judge(seen, story, kind, job)


def _judge(seen: Observed, story: _Story, kind: Kind, job: Obj) -> Plan:
    spec, status = seen.subject["spec"], story.status
    found = outcome.outcome_of(job, spec)
    probed = seen.probed or {}
    again: float | None = None
    actions: tuple[Action, ...] = ()
    if found.state == "failed":
        story.end(FAILED, "TrialFailed", f"Trial has failed. Job message: {found.message}", warning=True)
    elif found.state == "succeeded":
        metrics = probed.get("metrics") if probed.get("ended") else None
        if metrics is not None:
            status["observation"] = {"metrics": metrics}
            name = dig(spec, "objective", "objectiveMetricName")
            if any(metric["name"] == name and metric["latest"] != UNAVAILABLE for metric in metrics):
                actions = _early_average(seen.subject, probed)
                story.end(SUCCEEDED, "TrialSucceeded", "Trial has succeeded")
            else:
                _without_metrics(story, f"no line said {name}=NUMBER")
        elif _ended_seconds_ago(job, seen.now) > _PATIENCE_SECONDS:
            _without_metrics(story, "the pods that printed them are gone, or their log cannot be read")
        else:
            again = _PATIENCE_SECONDS
    elif rule := next(
        (r for r in spec.get("earlyStoppingRules") or () if stopping.is_met(r, probed.get("numbers") or ())), None
    ):
        status["observation"] = {"metrics": probed["metrics"]}
        story.tell_quietly(RUNNING, "TrialRunning", "Trial is running", status="False")
        message = f"Trial is early stopped: {rule['name']} is {rule['comparison']} than {rule['value']}, the median at this point"
        story.end(EARLY_STOPPED, "TrialEarlyStopped", message)
        return Plan((Delete(kind, key_of(job), uid_of(job)),), status, tuple(story.reasons))
    if is_over({"status": status}):
        actions += _clean(spec, kind, job)
    return Plan(actions, status, tuple(story.reasons), again)


def _early_average(trial: Obj, probed: Obj) -> tuple[Action, ...]:
    """What later trials are compared with, written down where it outlives the log."""
    start = annotations_of(trial).get(START_STEP, "")
    average = stopping.early_average(probed.get("numbers") or (), int(start)) if start.isdigit() else None
    if average is None or EARLY_AVERAGE in annotations_of(trial):
        return ()
    return (
        Patch(TRIAL, key_of(trial), {"metadata": {"annotations": {EARLY_AVERAGE: repr(average)}}}, uid=uid_of(trial)),
    )


def _without_metrics(story: _Story, why: str) -> None:
    story.tell_quietly(RUNNING, "TrialRunning", "Trial is running", status="False")
    story.end(METRICS_UNAVAILABLE, "TrialMetricsUnavailable", f"Metrics are not available: {why}", warning=True)


def _clean(spec: Obj, kind: Kind | None, job: Obj | None) -> tuple[Action, ...]:
    """Katib removes a trial's job once it has ended, unless the template says to retain it."""
    if kind is None or job is None or spec.get("retainRun") or is_deleting(job):
        return ()
    return (Delete(kind, key_of(job), uid_of(job)),)


def _job(trial: Obj, run: Obj, kind: Kind) -> Obj:
    made: Obj = thaw(run)
    made["metadata"]["ownerReferences"] = [owner_reference(trial, TRIAL)]
    made["metadata"]["labels"] = {**labels_of(made), **labels_of(trial), LABEL_TRIAL: name_of(trial)}
    return made


def _ended_seconds_ago(job: Obj, now: datetime) -> float:
    stamps = [str(c.get("lastTransitionTime") or "") for c in dig(job, "status", "conditions", default=())]
    latest = max((stamp for stamp in stamps if stamp), default="")
    return (now - parse_time(latest)).total_seconds() if latest else 0.0


class _Story:
    """The conditions in the making, and what was told of them."""

    def __init__(self, status: Obj, now: datetime) -> None:
        self.status, self.now = status, now
        self.reasons: list[Reason] = []

    @property
    def conditions(self) -> list[Obj]:
        return self.status.get("conditions") or []

    def tell(self, type: str, reason: str, message: str, *, warning: bool = False) -> None:
        after = put(self.conditions, type, reason, message, self.now)
        if after != self.conditions:
            self.status["conditions"] = after
            self.reasons.append(Reason(reason, message, warning))

    def tell_quietly(self, type: str, reason: str, message: str, *, status: str) -> None:
        """Set a condition of which no event is made."""
        self.status["conditions"] = put(self.conditions, type, reason, message, self.now, status=status)

    def end(self, type: str, reason: str, message: str, *, warning: bool = False) -> None:
        self.tell(type, reason, message, warning=warning)
        self.status["completionTime"] = rfc3339(self.now)
