"""The decision of the MPIJob operator for `v2beta1`: from what is seen of one job to what should happen to it now.

It reads like upstream's reconciler, with one addition: a worker that failed while the launcher still tries is replaced, for
without it no retry can succeed. Replacements count towards `backoffLimit` and wait longer each time.
"""

from __future__ import annotations

from argosy import kinds
from argosy.clock import parse_time
from argosy.intent import Observed, Plan, Reason
from argosy.meta.conditions import find, find_in, is_true_in
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import created_of, is_deleting, name_of
from argosy.operators import drift
from argosy.operators.gang import podgroup, restart
from argosy.operators.gang.conditions import CREATED, FAILED, RESTARTING, RUNNING, SUCCEEDED, SUSPENDED, is_finished
from argosy.operators.gang.failure import Failure
from argosy.operators.mpijob import hosts
from argosy.operators.mpijob.draft import Draft
from argosy.operators.mpijob.job import FRAMEWORK, problems, read
from argosy.operators.mpijob.objects import Maker
from argosy.operators.mpijob.schema import LAUNCHER, MPI_JOB, WORKER, made_as
from argosy.operators.mpijob.world import look, phase
from argosy.operators.watching import hang
from argosy.operators.watching.hang import Hang

_BACKOFF_LIMIT = 6
"""Kubernetes' own for a Job that gives none."""
_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")


def plan(seen: Observed, seed: bytes) -> Plan:
    """Decide about one job. `seed` is a secret from which new jobs' keys follow."""
    subject = seen.subject
    job = read(subject)
    if is_deleting(subject) or made_as(subject) != MPI_JOB.version:
        return Plan()
    if job.base.managed_by not in ("", FRAMEWORK.managed_by):
        return Plan()
    draft = Draft(seen, job, look(job, seen), restart.remember(subject), thaw(subject.get("status")) or {})
    if is_finished(draft.conditions):
        return _finished(draft)
    wrong = problems(job, subject)
    if wrong:
        return _fail(draft, "ValidationError", f"MPIJob {draft.name} is not valid: {'; '.join(wrong)}.")
    if not draft.conditions:
        draft.condition(CREATED, "MPIJobCreated", f"MPIJob {draft.name} is created.")
    if "startTime" not in draft.status and not job.base.suspend:
        draft.stamp("startTime")
    hung = hang.found(seen.probed, (*draft.world.launcher_pods, *draft.world.everyone()))
    if hung is not None:
        return _begin_anew(draft, hung)
    if not draft.world.launcher_finished:
        _converge(draft, seed)
    _align_suspension(draft)
    return _tell(draft)


def _begin_anew(draft: Draft, hung: Hang) -> Plan:
    """Take launcher and workers away together: a launcher that starts again by itself would meet the hung ones."""
    world, memory, limit = draft.world, draft.memory, _limit(draft)
    pods = [*world.launcher_pods, *world.everyone()]
    actions, reasons = hang.answer(hung, str(memory.epoch), MPI_JOB, draft.seen.subject, pods)
    if memory.epoch >= limit:
        message = f"MPIJob {draft.name} has failed: {hung}; it began anew {limit} times before (backoffLimit)"
        draft.actions.append(actions[0])  # the stacks; the pods go as the job ends
        return _fail(draft, "BackoffLimitExceeded", message)
    draft.actions += actions
    draft.reasons += reasons
    cause = Failure(hung.name, LAUNCHER, hung.what)
    began = min((parse_time(created_of(pod)) for pod in world.workers.values()), default=None)
    draft.remember(restart.next_epoch(memory, cause, began, draft.seen.now))
    message = f"MPIJob {draft.name} is restarting because {cause} (restart {draft.memory.epoch} of {limit})."
    draft.condition(RESTARTING, "MPIJobRestarting", message, warning=True)
    return draft.plan()


def _limit(draft: Draft) -> int:
    given = draft.job.base.backoff_limit
    return given if given is not None else _BACKOFF_LIMIT


# -- objects


def _converge(draft: Draft, seed: bytes) -> None:
    """Bring the objects to what the spec asks for."""
    job, seen, world = draft.job, draft.seen, draft.world
    group = podgroup.announce(job.base, seen.subject, seen.capabilities)
    maker = Maker(job, seen.subject, group.gang if group is not None else podgroup.NO_GANG)
    _converge_service(draft, maker)
    _converge_files(draft, maker)
    if not any(name_of(secret) == job.secret_name for secret in seen.of(kinds.SECRET)):
        draft.create(kinds.SECRET, maker.secret(seed))
    if not job.base.suspend:
        if group is not None and not seen.of(group.kind):
            draft.create(group.kind, group.obj)
        _replace_failed(draft)
        _converge_workers(draft, maker)
    if world.launcher is None and (not job.waits or job.base.suspend or world.ready(job)):
        draft.create(kinds.JOB, maker.launcher())
        if dig(job.launcher.template, "spec", "restartPolicy"):
            overridden = "Restart policy in pod template overridden by restart policy in replica spec"
            draft.reasons.append(Reason("SetPodTemplateRestartPolicy", overridden, warning=True))


def _converge_service(draft: Draft, maker: Maker) -> None:
    wanted = maker.service()
    live = next((each for each in draft.seen.of(kinds.SERVICE) if name_of(each) == draft.job.name), None)
    if live is None:
        draft.create(kinds.SERVICE, wanted)
        return
    fields = ("selector", "publishNotReadyAddresses")
    spec = {name: wanted["spec"].get(name) for name in fields if wanted["spec"].get(name) != live["spec"].get(name)}
    if any(value or live["spec"].get(name) for name, value in spec.items()):
        draft.patch(kinds.SERVICE, live, {"spec": drift.replacement({n: live["spec"].get(n) for n in spec}, spec)})


def _converge_files(draft: Draft, maker: Maker) -> None:
    """The host file follows the spec, the list of present hosts follows the workers."""
    running = draft.world.running()
    live = next((each for each in draft.seen.of(kinds.CONFIG_MAP) if name_of(each) == draft.job.config_name), None)
    if live is None:
        draft.create(kinds.CONFIG_MAP, maker.config_map(running))
        return
    files = hosts.files(draft.job, running)
    if live.get("data") != files:
        draft.patch(kinds.CONFIG_MAP, live, {"data": files})


def _converge_workers(draft: Draft, maker: Maker) -> None:
    job, world, now = draft.job, draft.world, draft.seen.now
    for pod in world.surplus:
        draft.delete(kinds.POD, pod)
    replica = job.base.replica(WORKER)
    missing = [index for index in range(job.workers) if index not in world.workers]
    waiting = draft.memory.not_before
    if not missing or replica is None:
        return
    if waiting is not None and now < waiting:
        draft.again = (waiting - now).total_seconds()
        return
    for index in missing:
        draft.create(kinds.POD, maker.worker(replica, index))


def _replace_failed(draft: Draft) -> None:
    """Take away workers that failed, so that new ones come, unless that was done too often."""
    world = draft.world
    failed = [(pod, how) for pod, how in world.failed() if not is_deleting(pod)]
    if not failed or world.evicted():
        return
    cause, waiting = failed[0][1], draft.memory.not_before
    counted = waiting is not None and draft.seen.now < waiting  # more of the last failure
    limit = _limit(draft)
    if draft.memory.epoch >= limit and not counted:
        message = f"MPIJob {draft.name} has failed: {cause}; workers were replaced {limit} times before (backoffLimit)"
        draft.condition(FAILED, "BackoffLimitExceeded", message, warning=True)
        return
    for pod, _ in failed:
        draft.delete(kinds.POD, pod)
    if counted:
        return
    began = min(parse_time(created_of(pod)) for pod in world.workers.values())
    draft.remember(restart.next_epoch(draft.memory, cause, began, draft.seen.now))
    message = f"MPIJob {draft.name} is restarting because {cause} (restart {draft.memory.epoch} of {limit})."
    draft.condition(RESTARTING, "MPIJobRestarting", message, warning=True)


def _align_suspension(draft: Draft) -> None:
    """Suspend and resume the launcher's Job with the MPIJob. A resumed one takes over what a queue wrote meanwhile."""
    job, launcher = draft.job, draft.world.launcher
    if job.base.suspend:
        _remove_workers(draft)
    if launcher is None or draft.world.launcher_finished:
        return
    suspended = bool(dig(launcher, "spec", "suspend"))
    if job.base.suspend and not suspended:
        draft.patch(kinds.JOB, launcher, {"spec": {"suspend": True}})
    elif suspended and not job.base.suspend:
        if dig(launcher, "status", "startTime"):
            # The template of a Job is fixed once it has a start time.
            draft.patch(kinds.JOB, launcher, {"status": {"startTime": None}}, "status")
            return
        change = _template_change(draft, launcher)
        draft.patch(kinds.JOB, launcher, {"spec": {"suspend": False, **({"template": change} if change else {})}})


def _template_change(draft: Draft, launcher: Obj) -> Obj:
    """What of the launcher's template follows the MPIJob's: labels, annotations and where it may be scheduled."""
    group = podgroup.announce(draft.job.base, draft.seen.subject, draft.seen.capabilities)
    gang = group.gang if group is not None else podgroup.NO_GANG
    wanted = Maker(draft.job, draft.seen.subject, gang).launcher_template()
    live = launcher["spec"]["template"]
    spec = {
        name: drift.replacement(live["spec"].get(name), wanted["spec"].get(name))
        for name in _DIRECTIVES
        if live["spec"].get(name) != wanted["spec"].get(name)
    }
    metadata = {
        name: wanted["metadata"][name]
        for name in ("labels", "annotations")
        if not (wanted["metadata"].get(name) or {}).items() <= (dig(live, "metadata", name) or {}).items()
    }
    return ({"spec": spec} if spec else {}) | ({"metadata": metadata} if metadata else {})


def _remove_workers(draft: Draft) -> None:
    """Take workers away, all or (`cleanPodPolicy: Running`) those that have not ended; and what holds the gang together."""
    for pod in draft.world.everyone():
        if draft.job.base.clean_pods != "Running" or phase(pod) in ("Running", "Pending"):
            draft.delete(kinds.POD, pod)
    for kind in podgroup.KINDS:
        for group in draft.seen.of(kind):
            draft.delete(kind, group)


# -- status


def _tell(draft: Draft) -> Plan:
    """Say in the status what launcher and workers are at."""
    job, world = draft.job, draft.world
    if job.base.suspend:
        # Before the other, though upstream has it behind: the last condition is what people see of a job.
        draft.condition(RUNNING, "MPIJobSuspended", f"MPIJob {draft.name} is suspended.", status="False")
        draft.condition(SUSPENDED, "MPIJobSuspended", "MPIJob suspended")
    elif is_true_in(draft.conditions, SUSPENDED):
        draft.condition(SUSPENDED, "MPIJobResumed", "MPIJob resumed", status="False")
        draft.stamp("startTime")
    _count(draft)
    if is_finished(draft.conditions):
        return _end(draft)
    if world.launcher_succeeded:
        return _succeed(draft)
    if world.launcher_finished:
        return _fail(draft, *_launcher_verdict(draft))
    if world.evicted():
        return _fail(draft, "MPIJobEvicted", f"{world.evicted()}/{job.workers} workers are evicted")
    if not job.base.suspend and world.launching and world.count("Running") == job.workers and not _is_replacing(draft):
        draft.condition(RUNNING, "MPIJobRunning", f"MPIJob {draft.name} is running.")
    return draft.plan()


def _is_replacing(draft: Draft) -> bool:
    return any(is_deleting(pod) for pod in draft.world.workers.values())


def _count(draft: Draft) -> None:
    """`status.replicaStatuses`; counts of zero are left out, as upstream does."""
    world, launcher = draft.world, draft.world.launcher
    statuses: Obj = {}
    if launcher is not None:
        done = world.launcher_finished
        statuses[LAUNCHER] = _positive(
            active=0 if done else world.launching,
            succeeded=int(world.launcher_succeeded),
            failed=int(dig(launcher, "status", "failed", default=0)),
        )
    suspended = draft.job.base.suspend
    statuses[WORKER] = _positive(
        active=0 if suspended else world.count("Running"),
        succeeded=0 if suspended else world.count("Succeeded"),
        failed=0 if suspended else world.count("Failed"),
    )
    draft.status["replicaStatuses"] = statuses


def _positive(**counts: int) -> Obj:
    return {name: count for name, count in counts.items() if count}


def _launcher_verdict(draft: Draft) -> tuple[str, str]:
    """(reason, message) of a launcher that failed for good: its Job's, and what its last pod said."""
    ended = find(draft.world.launcher, "Failed") or {}
    reason = str(ended.get("reason") or "MPIJobFailed")
    message = str(ended.get("message") or f"MPIJob {draft.name} has failed")
    how = draft.world.launcher_failure()
    return reason, f"{message}: {how}" if how is not None else message


def _succeed(draft: Draft) -> Plan:
    draft.status["completionTime"] = dig(draft.world.launcher, "status", "completionTime")
    _never_ran(draft)
    draft.condition(SUCCEEDED, "MPIJobSucceeded", f"MPIJob {draft.name} successfully completed.")
    return _end(draft)


def _fail(draft: Draft, reason: str, message: str) -> Plan:
    if draft.world.launcher is not None:
        _never_ran(draft)
    draft.condition(FAILED, reason, message, warning=True)
    return _end(draft)


def _never_ran(draft: Draft) -> None:
    """A job that was over before it was seen running says so, for those who reckon its duration."""
    if find_in(draft.conditions, RUNNING) is None:
        message = f"MPIJob {draft.name} is finished but Running condition was never set."
        draft.condition(RUNNING, "MPIJobRunning", message, status="False")


def _end(draft: Draft) -> Plan:
    if not draft.status.get("completionTime"):
        draft.stamp("completionTime")
    return _finished(draft)


def _finished(draft: Draft) -> Plan:
    """Clean up as `cleanPodPolicy` says. The launcher's Job has its own time to live; one that still tries is stopped."""
    launcher = draft.world.launcher
    if launcher is not None and not draft.world.launcher_finished and not dig(launcher, "spec", "suspend"):
        draft.patch(kinds.JOB, launcher, {"spec": {"suspend": True}})
    if draft.job.base.clean_pods in ("All", "Running"):
        _remove_workers(draft)
        draft.status.setdefault("replicaStatuses", {})[WORKER] = {}
    return draft.plan()
