"""The decision about one Experiment: which Trials to make, and what its status should say.

Called by `argosy.control.runner` whenever the Experiment, one of its Trials or its Suggestion changes. What to try comes
from `suggest`; what became of a trial from the Trial's own conditions, which `trial` writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.clock import rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.conditions import find_in, is_true, is_true_in
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import annotations_of, is_deleting, key_of, name_of, namespace_of, owner_reference, uid_of
from argosy.operators.experiment import collector, suggestion
from argosy.operators.experiment.experiment import Experiment, read
from argosy.operators.experiment.schema import (
    EXPERIMENT,
    LABEL_EXPERIMENT,
    NUMBER,
    RECORD,
    STEPS,
    SUGGESTION,
    TRIAL,
)
from argosy.operators.experiment.template import config_map_of, run_spec
from argosy.operators.gang.conditions import CREATED, FAILED, RESTARTING, RUNNING, SUCCEEDED, put
from argosy.operators.search import stopping
from argosy.operators.search.hyperband import Later, Past
from argosy.operators.search.metrics import value_of
from argosy.operators.search.suggest import suggest

_STATES = ("Killed", "Failed", "Succeeded", "EarlyStopped", "MetricsUnavailable", "Running")
"""In the order in which a Trial's conditions are asked; none of them: pending."""
_ENDED = ("Killed", "Failed", "Succeeded", "EarlyStopped", "MetricsUnavailable")
_LISTS = {
    "Running": ("runningTrialList", "trialsRunning"),
    "Pending": ("pendingTrialList", "trialsPending"),
    "Failed": ("failedTrialList", "trialsFailed"),
    "Succeeded": ("succeededTrialList", "trialsSucceeded"),
    "Killed": ("killedTrialList", "trialsKilled"),
    "EarlyStopped": ("earlyStoppedTrialList", "trialsEarlyStopped"),
    "MetricsUnavailable": ("metricsUnavailableTrialList", "trialMetricsUnavailable"),
}
_MAX_REACHED = "ExperimentMaxTrialsReached"


@dataclass(slots=True)
class _Draft:
    """A plan in the making; mutable while it is."""

    seen: Observed
    image: str
    experiment: Experiment
    status: Obj
    actions: list[Action]
    reasons: list[Reason]

    @property
    def conditions(self) -> list[Obj]:
        return self.status.get("conditions") or []

    def condition(self, type: str, reason: str, message: str, *, warning: bool = False) -> None:
        after = put(self.conditions, type, reason, message, self.seen.now)
        if after != self.conditions:
            self.status["conditions"] = after
            self.reasons.append(Reason(reason, message, warning))

    def end(self, type: str, reason: str, message: str) -> None:
        self.condition(type, reason, message, warning=type == FAILED)
        self.status["completionTime"] = rfc3339(self.seen.now)

    def plan(self) -> Plan:
        return Plan(tuple(self.actions), self.status, tuple(self.reasons))


def plan(seen: Observed, image: str) -> Plan:
    """Decide about one Experiment. `image` has `sh` and `tail`, and reads the file of a trial that writes its metrics to one."""
    if is_deleting(seen.subject):
        return Plan()
    config_maps = seen.related.get(kinds.CONFIG_MAP, ())
    draft = _Draft(seen, image, read(seen.subject, config_maps), thaw(seen.subject.get("status")) or {}, [], [])
    trials = sorted(seen.of(TRIAL), key=_number)
    _count(draft, trials)
    if _is_finished(draft, trials):
        for trial in trials:
            if _is_active(trial) and not is_deleting(trial):
                draft.actions.append(Delete(TRIAL, key_of(trial), uid_of(trial)))
        _keep_suggestion(draft, trials, ended=True)
        return draft.plan()
    draft.condition(CREATED, "ExperimentCreated", "Experiment is created")
    draft.status.setdefault("startTime", rfc3339(seen.now))
    missing = config_map_of((seen.subject.get("spec") or {}).get("trialTemplate") or {})
    if (
        missing is not None
        and not config_maps
        and not any("configMap needs" in text for text in draft.experiment.wrong)
    ):
        message = f"the template's ConfigMap {missing} is not there; create it and the trials begin"
        draft.reasons.append(Reason("TemplateMissing", message, warning=True))
        return draft.plan()
    if draft.experiment.wrong:
        draft.end(FAILED, "ExperimentFailed", f"Experiment is not valid: {'; '.join(draft.experiment.wrong)}")
        return draft.plan()
    _prune(draft, trials)
    if not _verdict(draft, trials):
        _go_on(draft, trials)
    return draft.plan()


def _is_finished(draft: _Draft, trials: Sequence[Obj]) -> bool:
    """Whether it has ended; one that may be resumed and is given more trials goes on."""
    if not (is_true_in(draft.conditions, SUCCEEDED) or is_true_in(draft.conditions, FAILED)):
        return False
    succeeded = find_in(draft.conditions, SUCCEEDED) or {}
    most = draft.experiment.most
    ended = sum(_state(trial) in _ENDED for trial in trials)
    more = succeeded.get("reason") == _MAX_REACHED and draft.experiment.resumable and (most is None or most > ended)
    if not more or is_true_in(draft.conditions, FAILED):
        return True
    draft.status["conditions"] = [c for c in draft.conditions if c.get("type") != SUCCEEDED]
    draft.status.pop("completionTime", None)
    draft.condition(RESTARTING, "ExperimentRestarting", "Experiment is restarted")
    return False


def _verdict(draft: _Draft, trials: Sequence[Obj]) -> bool:
    """End the experiment if it has come to an end."""
    experiment = draft.experiment
    best = _best(experiment, trials)
    if best is not None and experiment.reached(best[0]):
        draft.end(SUCCEEDED, "ExperimentGoalReached", "Experiment has succeeded because Objective goal has reached")
        return True
    failed = sum(_state(trial) in ("Failed", "MetricsUnavailable") for trial in trials)
    if experiment.most_failed is not None and failed and failed >= experiment.most_failed:
        told = next(
            (_told(trial) for trial in reversed(trials) if _state(trial) in ("Failed", "MetricsUnavailable")), ""
        )
        reason = "Experiment has failed because max failed count has reached"
        draft.end(FAILED, "ExperimentFailed", f"{reason}; at last {told}" if told else reason)
        return True
    if experiment.most is not None and sum(_state(trial) in _ENDED for trial in trials) >= experiment.most:
        draft.end(SUCCEEDED, _MAX_REACHED, "Experiment has succeeded because max trial count has reached")
        return True
    return False


def _prune(draft: _Draft, trials: Sequence[Obj]) -> None:
    """Give the trials that run the rule by which they end, where they fall behind those beside them."""
    experiment = draft.experiment
    if not isinstance(experiment.stop, stopping.Asha):
        return
    records = [_record(trial) for trial in trials]
    for trial, own in zip(trials, records, strict=True):
        if not _is_active(trial) or is_deleting(trial):
            continue
        rules = experiment.stop.rules(experiment.metric, own, records, lowest=experiment.lowest)
        if rules and rules != dig(trial, "spec", "earlyStoppingRules"):
            patch = {"spec": {"earlyStoppingRules": rules}}
            draft.actions.append(Patch(TRIAL, key_of(trial), patch, uid=uid_of(trial)))


def _go_on(draft: _Draft, trials: Sequence[Obj]) -> None:
    """Make as many trials as may run beside those that do, or end the newest where too many do."""
    experiment = draft.experiment
    active = [trial for trial in trials if _is_active(trial)]
    ended = len(trials) - len(active)
    if len(active) > experiment.parallel:
        surplus = active[experiment.parallel :]
        draft.actions += [Delete(TRIAL, key_of(t), uid_of(t)) for t in surplus if not is_deleting(t)]
        _keep_suggestion(draft, [trial for trial in trials if trial not in surplus])
        return
    room = experiment.parallel if experiment.most is None else min(experiment.parallel, experiment.most - ended)
    past = {_number(t): Past(_assignments(t), _loss(experiment, t), not _is_active(t)) for t in trials}
    rules = _rules(experiment, trials)
    made: list[Obj] = []
    found: dict[str, str] | Later | None = Later.WAIT
    while len(active) + len(made) < room:
        number = next(n for n in range(len(past) + 1) if n not in past)
        found = suggest(experiment.search, [past[n] for n in sorted(past)], number)
        if found is None or found is Later.WAIT:
            break
        made.append(_trial(draft, found, number, rules))
        past[number] = Past(found, None, ended=False)
    draft.actions += [Create(TRIAL, trial) for trial in made]
    if found is None and not made and not active:
        message = "Experiment has succeeded because suggestion service has reached the end"
        draft.end(SUCCEEDED, "ExperimentSuggestionEndReached", message)
        _keep_suggestion(draft, trials, ended=True)
        return
    draft.condition(RUNNING, "ExperimentRunning", "Experiment is running")
    _keep_suggestion(draft, [*trials, *made])


def _rules(experiment: Experiment, trials: Sequence[Obj]) -> list[Obj]:
    """By which the next trials are ended early."""
    if not isinstance(experiment.stop, stopping.MedianStop):
        return []
    succeeded = [_record(trial) for trial in trials if _state(trial) == "Succeeded"]
    return experiment.stop.rules(experiment.metric, succeeded, lowest=experiment.lowest)


def _trial(draft: _Draft, assignments: dict[str, str], number: int, rules: list[Obj]) -> Obj:
    experiment, subject = draft.experiment, draft.seen.subject
    assert experiment.source is not None, "an experiment without a template is not valid"
    mark = hashlib.sha256(f"{uid_of(subject)}/{number}".encode()).hexdigest()[:8]
    name, namespace = f"{name_of(subject)}-{mark}", namespace_of(subject)
    annotations = {NUMBER: str(number)}
    if experiment.stop is not None:
        annotations[STEPS] = ",".join(str(step) for step in experiment.stop.marks)
    job = run_spec(experiment.template, experiment.source, assignments, name, namespace)
    container = str(experiment.template.get("primaryContainerName") or "")
    reader = collector.read(experiment.trial_spec["metricsCollector"])
    return {
        "apiVersion": TRIAL.api_version,
        "kind": TRIAL.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {LABEL_EXPERIMENT: name_of(subject)},
            "annotations": annotations,
            "ownerReferences": [owner_reference(subject, EXPERIMENT)],
        },
        "spec": {
            **experiment.trial_spec,
            **({"earlyStoppingRules": rules} if rules else {}),
            "parameterAssignments": [{"name": key, "value": value} for key, value in assignments.items()],
            "runSpec": collector.with_sidecar(job, container, reader, draft.image),
        },
    }


def _keep_suggestion(draft: _Draft, trials: Sequence[Obj], *, ended: bool = False) -> None:
    there = next(iter(draft.seen.of(SUGGESTION)), None)
    if ended and there is None:
        return
    draft.actions += suggestion.kept(draft.seen, there, trials, draft.experiment.resume if ended else "")


def _count(draft: _Draft, trials: Sequence[Obj]) -> None:
    """The lists and numbers of the status, and the best trial so far."""
    status = draft.status
    for state, (names, number) in _LISTS.items():
        found = [name_of(trial) for trial in trials if _state(trial) == state]
        for field, value in ((names, found), (number, len(found))):
            if value:
                status[field] = value
            else:
                status.pop(field, None)
    if trials:
        status["trials"] = len(trials)
    best = _best(draft.experiment, trials)
    if best is not None:
        status["currentOptimalTrial"] = {
            "bestTrialName": name_of(best[1]),
            "parameterAssignments": dig(best[1], "spec", "parameterAssignments", default=[]),
            "observation": {"metrics": dig(best[1], "status", "observation", "metrics", default=[])},
        }


def _best(experiment: Experiment, trials: Sequence[Obj]) -> tuple[float, Obj] | None:
    known = [(value, trial) for trial in trials if (value := _value(experiment, trial)) is not None]
    sign = 1 if experiment.lowest else -1
    return min(known, key=lambda pair: sign * pair[0], default=None)


def _value(experiment: Experiment, trial: Obj) -> float | None:
    return value_of(dig(trial, "status", "observation"), experiment.metric, experiment.strategy)


def _loss(experiment: Experiment, trial: Obj) -> float | None:
    value = _value(experiment, trial)
    return value if value is None or experiment.lowest else -value


def _assignments(trial: Obj) -> dict[str, str]:
    given = dig(trial, "spec", "parameterAssignments", default=())
    return {str(pair.get("name")): str(pair.get("value")) for pair in given}


def _record(trial: Obj) -> stopping.Record:
    return stopping.parse(annotations_of(trial).get(RECORD, ""))


def _is_active(trial: Obj) -> bool:
    return _state(trial) in ("Running", "Pending")


def _state(trial: Obj) -> str:
    return next((state for state in _STATES if is_true(trial, state)), "Pending")


def _told(trial: Obj) -> str:
    last = dig(trial, "status", "conditions", -1, default={})
    return f"{name_of(trial)}: {last.get('message') or ''}".rstrip(": ")


def _number(trial: Obj) -> int:
    text = annotations_of(trial).get(NUMBER, "")
    return int(text) if text.isdigit() else -1
