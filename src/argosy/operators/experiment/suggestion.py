"""The Suggestion of an Experiment: what was suggested, where Katib's users and tools look for it. Pure; `plan` keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.clock import rfc3339
from argosy.intent import Action, Create, Observed, Patch
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, name_of, namespace_of, owner_reference, uid_of
from argosy.operators.experiment.experiment import FROM_VOLUME, NEVER
from argosy.operators.experiment.schema import EXPERIMENT, LABEL_EXPERIMENT, SUGGESTION
from argosy.operators.gang.conditions import CREATED, RUNNING, SUCCEEDED, put

_OVER = {
    NEVER: "Suggestion is succeeded, can't be restarted",
    FROM_VOLUME: "Suggestion is succeeded, suggestion volume is not deleted, can be restarted",
}


def kept(seen: Observed, there: Obj | None, trials: Sequence[Obj], over: str = "") -> list[Action]:
    """What makes it, or brings it to what these trials say. `over`: the resume policy of an experiment that has ended."""
    subject = seen.subject
    spec = _spec(subject, len(trials))
    if there is None:
        metadata = {
            "name": name_of(subject),
            "namespace": namespace_of(subject),
            "labels": {LABEL_EXPERIMENT: name_of(subject)},
            "ownerReferences": [owner_reference(subject, EXPERIMENT)],
        }
        made = {"apiVersion": SUGGESTION.api_version, "kind": SUGGESTION.kind, "metadata": metadata, "spec": spec}
        return [Create(SUGGESTION, made)]
    found: list[Action] = []
    key, uid = key_of(there), uid_of(there)
    if not spec.items() <= (there.get("spec") or {}).items():
        found.append(Patch(SUGGESTION, key, {"spec": spec}, uid=uid))
    status = _status(seen, there, trials, over)
    if {name: dig(there, "status", name) for name in status} != status:
        found.append(Patch(SUGGESTION, key, {"status": status}, subresource="status", uid=uid))
    return found


def _spec(subject: Obj, requests: int) -> Obj:
    given: Obj = subject.get("spec") or {}
    told = {name: given[name] for name in ("algorithm", "earlyStopping") if given.get(name)}
    return {**told, "resumePolicy": given.get("resumePolicy") or NEVER, "requests": requests}


def _status(seen: Observed, there: Obj, trials: Sequence[Obj], over: str) -> Obj:
    now = seen.now
    told = []
    for trial in trials:
        one = {"name": name_of(trial), "parameterAssignments": dig(trial, "spec", "parameterAssignments")}
        rules = dig(trial, "spec", "earlyStoppingRules")
        told.append({**one, "earlyStoppingRules": rules} if rules else one)
    before: list[Obj] = dig(there, "status", "conditions", default=[])
    if over not in _OVER:
        before = [c for c in before if c.get("type") != SUCCEEDED]
    conditions = put(before, CREATED, "SuggestionCreated", "Suggestion is created", now)
    if over in _OVER:
        conditions = put(conditions, SUCCEEDED, "SuggestionSucceeded", _OVER[over], now)
    else:
        conditions = put(conditions, RUNNING, "SuggestionRunning", "Suggestion is running", now)
    start = dig(there, "status", "startTime", default=rfc3339(now))
    return {"suggestionCount": len(told), "suggestions": told, "conditions": conditions, "startTime": start}
