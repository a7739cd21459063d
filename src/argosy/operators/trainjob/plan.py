"""The decision of the TrainJob operator: one JobSet, and what becomes of it told in the TrainJob's own words.

Called by `argosy.control.runner` whenever the TrainJob, its JobSet or its runtime changes. A JobSet that runs is left as
it is, whatever becomes of the runtime; one that is suspended follows the TrainJob.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from argosy.clock import parse_time, rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.kinds import CONFIG_MAP, SECRET
from argosy.meta.conditions import find_in, is_true_in, with_condition, without_condition
from argosy.meta.json import Obj, thaw
from argosy.meta.objects import annotations_of, created_of, is_deleting, key_of, name_of, uid_of
from argosy.operators import drift
from argosy.operators.gang.failure import Failure
from argosy.operators.jobset import first, pods
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.trainjob import compose, gang, mpi
from argosy.operators.trainjob.job import Runtime, TrainJob, read, read_runtime
from argosy.operators.trainjob.problems import problems
from argosy.operators.trainjob.schema import CLUSTER_TRAINING_RUNTIME, CONTROLLER, GROUP, TRAIN_JOB, TRAINING_RUNTIME

SUSPENDED, COMPLETE, FAILED = "Suspended", "Complete", "Failed"
NOT_FOUND, NOT_SUPPORTED, INVALID = "TrainingRuntimeNotFound", "TrainingRuntimeNotSupported", "FailedValidation"
_RUNTIMES = {kind.kind: kind for kind in (CLUSTER_TRAINING_RUNTIME, TRAINING_RUNTIME)}
_COUNTS = ("ready", "succeeded", "failed", "active", "suspended")

Keys = Callable[[str], tuple[str, str]]


@dataclass(slots=True)
class _Draft:
    """Mutable only while one plan is being made."""

    seen: Observed
    job: TrainJob
    status: Obj
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    again: float | None = None
    asks: tuple[str, ...] = ()

    @property
    def conditions(self) -> list[Obj]:
        conditions: list[Obj] = self.status.get("conditions") or []
        return conditions

    def condition(self, type: str, reason: str, message: str, *, holds: bool = True) -> None:
        wanted: Obj = {"type": type, "status": str(holds), "reason": reason, "message": message}
        before = find_in(self.conditions, type)
        if before is None or not wanted.items() <= before.items():
            self.status["conditions"] = with_condition(self.conditions, wanted, self.seen.now)
            self.reasons.append(Reason(reason, message, warning=type == FAILED))

    def plan(self) -> Plan:
        return Plan(tuple(self.actions), self.status, tuple(self.reasons), self.again, self.asks)


def plan(seen: Observed, keys: Keys) -> Plan:
    """Decide about one TrainJob; `keys` gives an MPI job its SSH keys by the job's uid."""
    job = read(seen.subject)
    if is_deleting(seen.subject) or job.managed_by != CONTROLLER:
        return Plan()
    draft = _Draft(seen, job, thaw(seen.subject.get("status") or {}))
    made = next(iter(seen.of(JOB_SET)), None)
    if not _is_finished(draft):
        _converge(draft, made, keys)
    if job.suspend:
        draft.condition(SUSPENDED, "Suspended", "TrainJob is suspended")
    elif is_true_in(draft.conditions, SUSPENDED):
        draft.condition(SUSPENDED, "Resumed", "TrainJob is resumed", holds=False)
    hung = pods.answer(seen, TRAIN_JOB) if not _is_finished(draft) else None
    if hung is not None:
        draft.actions += hung[0]
        draft.reasons += hung[1]
    elif (job.checkpoint_dir or job.watched) and (together := pods.leave_together(seen)):
        draft.actions += together
        said = (
            "pods of TrainJob were asked to leave; the others leave with them, and all begin anew from their checkpoint"
        )
        draft.reasons.append(Reason("TrainJobLeaves", said.replace("TrainJob", f"TrainJob {job.name}"), warning=True))
    cause = _cause(draft) if not _is_finished(draft) else None
    if made is not None:
        _follow(draft, made, cause)
    _mind_deadline(draft, made)
    return draft.plan()


def _is_finished(draft: _Draft) -> bool:
    """Whether it has come to its end. One that waits for its runtime has failed only for as long as there is none."""
    failed = find_in(draft.conditions, FAILED) or {}
    waits = failed.get("reason") == NOT_FOUND
    return is_true_in(draft.conditions, COMPLETE) or (failed.get("status") == "True" and not waits)


def _converge(draft: _Draft, made: Obj | None, keys: Keys) -> None:
    """Make the JobSet, or bring a suspended one to what the TrainJob says now."""
    job = draft.job
    if made is not None and not job.suspend and not (made["spec"] or {}).get("suspend"):
        return
    runtime = _runtime(draft)
    if runtime is None:
        return
    if is_true_in(draft.conditions, FAILED):
        draft.status["conditions"] = without_condition(draft.conditions, FAILED)
    wrong = problems(job, runtime)
    if wrong:
        draft.condition(FAILED, INVALID, f"TrainJob is not valid: {'; '.join(wrong)}")
        return
    owner = draft.seen.subject
    wanted = compose.job_set(job, runtime, owner)
    group = gang.announce(job, runtime, wanted, draft.seen)
    if group is not None and not draft.seen.of(group[0]):
        draft.actions.append(Create(*group))
    if runtime.source == "mpi":
        _converge_mpi(draft, runtime, wanted, keys)
    wanted = drift.marked(wanted)
    if made is None:
        draft.actions.append(Create(JOB_SET, wanted))
        draft.reasons.append(Reason("SuccessfulCreate", f"Created JobSet {job.name}"))
        return
    change = drift.patch(made, wanted, "replicatedJobs", "suspend")
    if change is not None:
        draft.actions.append(Patch(JOB_SET, key_of(made), change, uid=uid_of(made)))


def _runtime(draft: _Draft) -> Runtime | None:
    """The runtime that is referred to; where there is none, the condition says so."""
    job = draft.job
    kind = _RUNTIMES.get(job.runtime_kind)
    if kind is None or job.runtime_group != GROUP:
        said = f"unsupported runtime: {job.runtime_kind}.{job.runtime_group}; use {' or '.join(_RUNTIMES)}"
        draft.condition(FAILED, NOT_SUPPORTED, said)
        return None
    found = next(iter(draft.seen.related.get(kind, ())), None)
    if found is None:
        look = f"kubectl get {kind.plural}" + (f" -n {job.namespace}" if kind.namespaced else "")
        said = (
            f"there is no {kind.kind} named {job.runtime_name}; create it, or choose one of those that `{look}` lists"
        )
        draft.condition(FAILED, NOT_FOUND, said)
        return None
    return read_runtime(found)


def _converge_mpi(draft: _Draft, runtime: Runtime, wanted: Obj, keys: Keys) -> None:
    job, owner = draft.job, draft.seen.subject
    if not any(name_of(each) == mpi.secret_name(job) for each in draft.seen.of(SECRET)):
        draft.actions.append(Create(SECRET, mpi.secret(job, keys(uid_of(owner)), owner)))
    hosts = mpi.hostfile(job, runtime, wanted, owner)
    present = next((each for each in draft.seen.of(CONFIG_MAP) if name_of(each) == name_of(hosts)), None)
    if present is None:
        draft.actions.append(Create(CONFIG_MAP, hosts))
    elif present.get("data") != hosts["data"]:
        draft.actions.append(Patch(CONFIG_MAP, key_of(present), {"data": hosts["data"]}, uid=uid_of(present)))


def _cause(draft: _Draft) -> Failure | None:
    """How its pods failed first, once it is known what they said."""
    how = first.failures(pods.of(draft.seen))
    draft.asks = first.asks(how, draft.seen.subject)
    return first.first(how, draft.seen) if draft.seen.answers.keys() >= set(draft.asks) else None


def _follow(draft: _Draft, made: Obj, cause: Failure | None) -> None:
    """Say of the TrainJob what its JobSet says of itself, with the first failure; or end it for a mistake of its program,
    which containers that restart in place would only repeat.
    """
    status: Obj = made.get("status") or {}
    for theirs, ours in (("Completed", COMPLETE), (FAILED, FAILED)):
        ended = find_in(status.get("conditions") or (), theirs)
        if ended is None or ended.get("status") != "True":
            continue
        waits = ours == FAILED and cause is None and bool(draft.asks)
        if not waits and not _is_finished(draft):
            told = cause is not None and ours == FAILED and cause.pod not in ended["message"]
            draft.condition(ours, ended["reason"], ended["message"] + (f"; at first {cause}" if told else ""))
    if cause is not None and not _is_finished(draft):
        draft.reasons.append(Reason("TrainJobPodFailed", f"{cause}", warning=True))
    by_itself = annotations_of(made).get(first.USER_ERRORS) == first.STOP
    said = first.mistake(cause) if cause is not None and draft.job.stops_on_mistakes and not by_itself else ""
    if said and not _is_finished(draft):
        draft.condition(FAILED, first.USER_ERROR, f"TrainJob failed: {said}")
        if not is_deleting(made):
            draft.actions.append(Delete(JOB_SET, key_of(made), uid_of(made)))
    statuses = [
        {"name": each["name"], **{name: each.get(name) or 0 for name in _COUNTS}}
        for each in status.get("replicatedJobsStatus") or ()
    ]
    if statuses:
        draft.status["jobsStatus"] = statuses


def _mind_deadline(draft: _Draft, made: Obj | None) -> None:
    job, now = draft.job, draft.seen.now
    if job.deadline is None or job.suspend or _is_finished(draft):
        return
    resumed = find_in(draft.conditions, SUSPENDED) or {}
    start = resumed.get("lastTransitionTime") or created_of(draft.seen.subject) or rfc3339(now)
    left = job.deadline - (now - parse_time(start)).total_seconds()
    if left > 0:
        draft.again = left
        return
    draft.condition(FAILED, "DeadlineExceeded", "TrainJob exceeded its active deadline")
    if made is not None and not is_deleting(made):
        draft.actions.append(Delete(JOB_SET, key_of(made), uid_of(made)))
