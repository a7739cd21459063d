"""The decision about one Trial: make its job, and say in its conditions what became of it.

Called by `argosy.control.runner` whenever the Trial, its job or the pod that prints changes, and when that pod has printed
something that matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from argosy import kinds
from argosy.clock import parse_time, rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, is_deleting, key_of, labels_of, name_of, owner_reference, uid_of
from argosy.operators.experiment import collector, outcome
from argosy.operators.experiment.schema import LABEL_TRIAL, RECORD, STEPS, TRIAL
from argosy.operators.gang.conditions import CREATED, FAILED, RUNNING, SUCCEEDED, put
from argosy.operators.search import stopping
from argosy.operators.search.metrics import UNAVAILABLE
from argosy.operators.search.reading import Source

METRICS_UNAVAILABLE, EARLY_STOPPED = "MetricsUnavailable", "EarlyStopped"
_ENDS = (SUCCEEDED, FAILED, METRICS_UNAVAILABLE, EARLY_STOPPED, "Killed")
_PATIENCE_SECONDS = 10.0
"""How long after a job's end its pods are looked for."""

Kinds = Mapping[tuple[str, str], Kind]
"""The kinds that a trial may run, by apiVersion and kind."""


def is_over(trial: Obj) -> bool:
    """Whether nothing more will become of it."""
    return any(is_true(trial, type) for type in _ENDS)


def source(seen: Observed) -> Source | None:
    """What to listen to: the log of the pod that prints, once it has ended; from its start on where the trial may be ended
    early. A page is scraped for as long as there is one.
    """
    trial = seen.subject
    spec: Obj = trial.get("spec") or {}
    pod = outcome.printing(seen.related.get(kinds.POD, ()))
    if pod is None or pod["status"]["phase"] == "Failed" or is_over(trial):
        return None
    if collector.problems(spec.get("metricsCollector")):
        return None
    reader, marks = collector.read(spec.get("metricsCollector")), _marks(trial)
    ended = pod["status"]["phase"] != "Running"
    if (reader.page and ended) or not (reader.page or ended or marks):
        return None
    primary = str(spec.get("primaryContainerName") or pod["spec"]["containers"][0]["name"])
    container = collector.SIDECAR if reader.kind == collector.FILE else primary
    return Source(key_of(pod), uid_of(pod), container, reader.wanted(_names(spec), marks), ended, reader.page)


def _names(spec: Obj) -> tuple[str, ...]:
    """The metrics, the objective's first."""
    objective: Obj = spec.get("objective") or {}
    named = [str(strategy["name"]) for strategy in objective.get("metricStrategies") or ()]
    more = [str(name) for name in objective.get("additionalMetricNames") or ()]
    return tuple(dict.fromkeys([str(objective.get("objectiveMetricName") or ""), *named, *more]))


def _marks(trial: Obj) -> tuple[int, ...]:
    """After how many values it is looked at."""
    told = annotations_of(trial).get(STEPS, "")
    steps = {int(text) for text in told.split(",") if text.isdecimal()}
    return tuple(sorted(steps | stopping.steps_of(dig(trial, "spec", "earlyStoppingRules", default=()) or ())))


def plan(seen: Observed, runnable: Kinds) -> Plan:
    """Decide about one Trial."""
    trial = seen.subject
    if is_deleting(trial):
        return Plan()
    spec: Obj = trial.get("spec") or {}
    run: Obj = spec.get("runSpec") or {}
    status: Obj = thaw(trial.get("status")) or {}
    kind = runnable.get((str(run.get("apiVersion")), str(run.get("kind"))))
    job = next(iter(seen.of(kind)), None) if kind else None
    if is_over(trial):
        return Plan(_clean(spec, kind, job), status)
    story = _Story(status, seen.now)
    story.tell(CREATED, "TrialCreated", "Trial is created")
    status.setdefault("startTime", rfc3339(seen.now))
    if kind is None:
        known = ", ".join(sorted({name for _, name in runnable}))
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
    actions = _record(seen.subject, probed, seen.now)
    if found.state == "failed":
        story.end(FAILED, "TrialFailed", f"Trial has failed. Job message: {found.message}", warning=True)
    elif found.state == "succeeded":
        again = _collect(story, spec, job, probed)
    elif (rules := spec.get("earlyStoppingRules")) and all(
        stopping.is_met(r, probed.get("marks") or {}) for r in rules
    ):
        status["observation"] = {"metrics": probed["metrics"]}
        story.tell_quietly(RUNNING, "TrialRunning", "Trial is running", status="False")
        told = "; ".join(
            f"{r['name']} is {r['comparison']} than {r['value']} after {r.get('startStep') or 1} values" for r in rules
        )
        story.end(EARLY_STOPPED, "TrialEarlyStopped", f"Trial is early stopped: {told}")
        return Plan((*actions, Delete(kind, key_of(job), uid_of(job))), status, tuple(story.reasons))
    if is_over({"status": status}):
        actions += _clean(spec, kind, job)
    return Plan(actions, status, tuple(story.reasons), again)


def _collect(story: _Story, spec: Obj, job: Obj, probed: Obj) -> float | None:
    """The end of a trial whose job has succeeded; or after how many seconds to look again for its metrics."""
    name = dig(spec, "objective", "objectiveMetricName")
    pushed = {
        str(m.get("name")): str(m.get("value")) for m in dig(job, "status", "trainerStatus", "metrics", default=())
    }
    page = bool(collector.read(spec.get("metricsCollector")).page)
    late = _ended_seconds_ago(job, story.now) > _PATIENCE_SECONDS
    if not (probed.get("ended") or (page and probed) or name in pushed or late):
        return _PATIENCE_SECONDS
    metrics = _with_pushed(probed.get("metrics") or [], pushed, _names(spec))
    if metrics:
        story.status["observation"] = {"metrics": metrics}
    if any(metric["name"] == name and metric["latest"] != UNAVAILABLE for metric in metrics):
        story.end(SUCCEEDED, "TrialSucceeded", "Trial has succeeded")
    elif probed:
        _without_metrics(story, f"no line said {name}=NUMBER")
    else:
        _without_metrics(story, "the pods that printed them are gone, or their log cannot be read")
    return None


def _with_pushed(read: list[Obj], pushed: Mapping[str, str], names: tuple[str, ...]) -> list[Obj]:
    """What was read; where that is nothing, what the program pushed into its TrainJob's status."""
    found = {metric["name"]: metric for metric in read if metric["latest"] != UNAVAILABLE}
    told = {n: {"name": n, "min": v, "max": v, "latest": v} for n, v in pushed.items() if n in names and n not in found}
    return [*(told.pop(metric["name"], metric) for metric in read), *told.values()]


def _record(trial: Obj, probed: Obj, now: datetime) -> tuple[Action, ...]:
    """How it stood at each step, written down where others can be compared with it and where it outlives the log."""
    marks, before = probed.get("marks") or {}, stopping.parse(annotations_of(trial).get(RECORD, ""))
    if not marks or not annotations_of(trial).get(STEPS) or not marks.keys() - before.keys():
        return ()
    text = stopping.write(marks, before, now)
    return (Patch(TRIAL, key_of(trial), {"metadata": {"annotations": {RECORD: text}}}, uid=uid_of(trial)),)


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
