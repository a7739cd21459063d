"""The decision about an MPIJob v1: that of any gang, with MPI's files and rights around it.

Called by `argosy.control.runner`. Pods that the gang wants are dressed for MPI; the host file and the launcher's rights
follow the spec, the list of present hosts follows the workers.
"""

from __future__ import annotations

from dataclasses import replace

from argosy import kinds
from argosy.intent import Action, Create, Observed, Patch, Plan
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, labels_of, name_of, uid_of
from argosy.operators.gang import plan as gang
from argosy.operators.gang.conditions import is_finished
from argosy.operators.gang.job import Job, read
from argosy.operators.gang.labels import LABEL_TYPE
from argosy.operators.mpijob.schema import MPI_JOB_V1, WORKER, made_as
from argosy.operators.mpijobv1 import objects
from argosy.operators.mpijobv1.objects import FRAMEWORK
from argosy.operators.settings import OperatorSettings


def plan(seen: Observed, settings: OperatorSettings) -> Plan:
    """Decide about one job."""
    if made_as(seen.subject) != MPI_JOB_V1.version:
        return Plan()
    decided = gang.plan(replace(seen, subject=_one_policy(seen.subject)), FRAMEWORK, settings)
    job = read(FRAMEWORK, seen.subject)
    actions = tuple(_dressed(job, action) for action in decided.actions)
    if decided.status is None or is_finished(decided.status.get("conditions") or ()):
        return replace(decided, actions=actions)
    return replace(decided, actions=(*_changes(job, seen), *actions))


def _one_policy(subject: Obj) -> Obj:
    """v1 has `cleanPodPolicy` in two places; the gang reads the one in `runPolicy`, which goes first."""
    spec = subject.get("spec") or {}
    policy = spec.get("runPolicy") or {}
    if not spec.get("cleanPodPolicy") or policy.get("cleanPodPolicy"):
        return subject
    return {**subject, "spec": {**spec, "runPolicy": {**policy, "cleanPodPolicy": spec["cleanPodPolicy"]}}}


def _dressed(job: Job, action: Action) -> Action:
    if isinstance(action, Create) and action.kind is kinds.POD:
        return Create(kinds.POD, objects.dressed(job, action.obj))
    return action


def _changes(job: Job, seen: Observed) -> list[Action]:
    """What of the objects that are there no longer says what it should."""
    running = [
        name_of(pod)
        for pod in seen.of(kinds.POD)
        if labels_of(pod).get(LABEL_TYPE) == WORKER.lower()
        and dig(pod, "status", "phase") == "Running"
        and not is_deleting(pod)
    ]
    wanted = [
        (kinds.CONFIG_MAP, "data", objects.config_map(job, seen.subject, running)),
        (kinds.ROLE, "rules", objects.role(job, seen.subject)),
    ]
    return [change for kind, field, obj in wanted for change in _change(seen, kind, field, obj)]


def _change(seen: Observed, kind: Kind, field: str, wanted: Obj) -> list[Action]:
    live = next((each for each in seen.of(kind) if name_of(each) == name_of(wanted)), None)
    if live is None or live.get(field) == wanted[field]:
        return []
    return [Patch(kind, key_of(live), {field: wanted[field]}, uid=uid_of(live))]
