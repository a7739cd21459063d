"""The decision about one training job: from what is seen of it to what should happen to it now.

Called by `argosy.control.runner`, through each kind's operator, whenever the job or one of its pods changes. It reads like
upstream's reconciler up to the point where a pod fails; there `failing` takes over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from argosy import kinds
from argosy.intent import Delete, Observed, Patch, Plan, Reason
from argosy.meta.conditions import is_true_in
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import is_deleting, key_of, name_of, uid_of
from argosy.operators import drift
from argosy.operators.gang import census, cordon, datasets, elsewhere, failing, failure, podgroup, pods, restart, room
from argosy.operators.gang.conditions import CREATED, RESTARTING, RUNNING, SUSPENDED, WAITING, is_finished
from argosy.operators.gang.draft import Draft
from argosy.operators.gang.ending import fail, finished, succeed, suspend
from argosy.operators.gang.framework import Framework
from argosy.operators.gang.job import Job, read
from argosy.operators.gang.problems import problems
from argosy.operators.settings import OperatorSettings

_USUAL_GRACE_SECONDS, _RESIZE_GRACE_SECONDS = 30, 5


def plan(seen: Observed, framework: Framework, settings: OperatorSettings) -> Plan:
    """Decide about one job of a framework's kind."""
    job = read(framework, seen.subject)
    if is_deleting(seen.subject) or job.managed_by not in ("", framework.managed_by):
        return Plan()
    memory = restart.remember(seen.subject)
    draft = Draft(
        seen, job, memory, census.take(job, seen.of(kinds.POD), memory), thaw(seen.subject.get("status")) or {}
    )
    if is_finished(draft.conditions):
        return finished(draft)
    draft.condition(CREATED, "Created", f"{draft.title} is created.")
    wrong = problems(job)
    if wrong:
        return fail(draft, f"{draft.title} is not valid: {'; '.join(wrong)}.", word="FailedValidation")
    if job.suspend:
        draft.no_longer(WAITING)
        return suspend(draft)
    _start(draft)
    _record_data(draft)
    if settings.cordon:
        cordon.consider(draft)
    if job.deadline is not None and draft.seconds_since("startTime") >= job.deadline:
        late = f"Job {job.name} has failed because it was active longer than specified deadline"
        return fail(draft, f"{late} ({job.deadline} s).")
    if _has_succeeded(job, draft.census):
        return succeed(draft)
    over = failing.whole_gang(draft) if job.whole_gang else failing.pod_by_pod(draft)
    if over is not None:
        return over
    if draft.census.outgrown:
        draft.remember(restart.scattered(draft.memory))
        resized = f"{draft.title} is restarting because its number of pods is now {job.total}."
        draft.condition(RESTARTING, "Restarting", resized)
    _converge(draft, settings)
    _tell(draft)
    return draft.plan()


def _start(draft: Draft) -> None:
    """Begin the clock, or begin it again after a suspension."""
    if is_true_in(draft.conditions, SUSPENDED):
        draft.condition(SUSPENDED, "Resumed", f"{draft.title} is resumed.", status="False")
        draft.status.pop("startTime", None)
    if "startTime" not in draft.status:
        draft.stamp("startTime")
    if draft.job.deadline is not None:
        draft.wake_in(max(draft.job.deadline - draft.seconds_since("startTime"), 0.1))


def _record_data(draft: Draft) -> None:
    """Write down which versions of its data sets the job has got, and how they are had."""
    found, wanted = datasets.came(draft.census.pods.values()), draft.job.datasets
    if not found or found == draft.memory.data:
        return
    draft.remember(replace(draft.memory, data=found))
    shared = (
        f"from the cache in claim {wanted.cache}" if wanted.cache else "by each pod for itself, as no cache is named"
    )
    draft.reasons.append(Reason("DataSetsReady", f"{draft.title} reads {found}, fetched {shared}."))


def _has_succeeded(job: Job, counted: census.Census) -> bool:
    if job.has_master:
        return counted.count(job.lead, "Succeeded") == job.count(job.lead) > 0
    return job.framework.workers_done(job, counted)


def _converge(draft: Draft, settings: OperatorSettings) -> None:
    """Bring the objects to what the spec asks for, once nothing of an earlier epoch is in the way."""
    job, counted, owner = draft.job, draft.census, draft.seen.subject
    group = podgroup.announce(job, owner, draft.seen.capabilities)
    ready = group is None or _converge_group(draft, group)
    _converge_services(draft)
    _converge_extras(draft)
    for stray in counted.strays:
        draft.delete(kinds.POD, stray, grace_seconds=_resize_grace(stray) if counted.outgrown else None)
    if not counted.missing:
        replacing = any(isinstance(action, Delete) and action.kind == kinds.POD for action in draft.actions)
        if job.whole_gang and not counted.strays and not replacing:
            draft.remember(restart.forming(draft.memory, job))
        draft.no_longer(WAITING)
        return
    if not ready:
        return
    waiting = draft.memory.not_before
    if waiting is not None and draft.seen.now < waiting:
        draft.wake_in((waiting - draft.seen.now).total_seconds())
        return
    _make_pods(draft, group.gang if group is not None else podgroup.NO_GANG, settings)


def _converge_group(draft: Draft, group: podgroup.Announcement) -> bool:
    """Whether the gang is announced in its present size; what a PodGroup asks for cannot be changed everywhere."""
    there = draft.seen.of(group.kind)
    if not there:
        draft.create(group.kind, group.obj)
        return True
    if podgroup.announced(there[0]) == podgroup.announced(group.obj):
        return not is_deleting(there[0])
    draft.delete(group.kind, there[0])
    return False


def _converge_extras(draft: Draft) -> None:
    for kind, obj in draft.job.framework.extras(draft.job, draft.seen.subject):
        wanted = drift.marked(obj)
        live = next((one for one in draft.seen.of(kind) if name_of(one) == name_of(obj)), None)
        if live is None:
            draft.create(kind, wanted)
        elif "spec" in obj and (change := drift.patch(live, wanted, *obj["spec"])) is not None:
            draft.actions.append(Patch(kind, key_of(live), change, uid=uid_of(live)))


def _make_pods(draft: Draft, gang: pods.Gang, settings: OperatorSettings) -> None:
    job, owner = draft.job, draft.seen.subject
    taken = {name_of(stray) for stray in draft.census.strays}
    if job.whole_gang and taken:
        return
    epoch = draft.memory.epoch
    slots = [slot for slot in draft.census.missing if job.pod_name(slot[0].type, slot[1]) not in taken]
    wanted = [pods.pod(job, slot, epoch, gang, owner=owner, init_image=settings.init_image) for slot in slots]
    if not _has_room(draft, wanted):
        return
    fetching = datasets.loader(job.datasets, settings.data_loader, job.framework.kind, owner)
    if fetching is not None:
        draft.create(kinds.CONFIG_MAP, fetching)
    for (replica, _), made in zip(slots, wanted, strict=True):
        elsewhere.prefer_others(made["spec"], draft.memory.avoid)
        draft.create(kinds.POD, made)
        given = dig(replica.template, "spec", "restartPolicy")
        if given and given != made["spec"]["restartPolicy"]:
            overridden = "Restart policy in pod template overridden by restart policy in replica spec"
            draft.reasons.append(Reason("SetPodTemplateRestartPolicy", overridden, warning=True))


def _has_room(draft: Draft, wanted: Sequence[Obj]) -> bool:
    """Whether quotas let all of these pods in; a gang that is not let in whole gives back what it holds, and waits."""
    job, related = draft.job, draft.seen.related
    quotas = related.get(kinds.RESOURCE_QUOTA, ())
    short = room.shortage(wanted, quotas, whole=job.total) if wanted else None
    if short is None and quotas and not draft.census.pods:
        short = room.out_of_turn(draft.seen.subject, related.get(job.framework.kind, ()))
    if short is None:
        draft.no_longer(WAITING)
        return True
    draft.condition(WAITING, short.word, f"{draft.title} waits, since {short.why}.", warning=True)
    for pod in draft.census.pods.values() if job.whole_gang else ():
        draft.delete(kinds.POD, pod)
    return False


def _resize_grace(pod: Obj) -> int | None:
    """A resize takes seconds, also of programs that only note SIGTERM; a template that gives a time of its own has it."""
    given = dig(pod, "spec", "terminationGracePeriodSeconds", default=_USUAL_GRACE_SECONDS)
    return _RESIZE_GRACE_SECONDS if given == _USUAL_GRACE_SECONDS else None


def _converge_services(draft: Draft) -> None:
    job, owner = draft.job, draft.seen.subject
    if not job.framework.has_services:
        return
    there = {name_of(service): service for service in draft.seen.of(kinds.SERVICE)}
    for replica, index in job.slots():
        if there.pop(job.pod_name(replica.type, index), None) is None:
            draft.create(kinds.SERVICE, pods.service(job, replica, index, owner))
    for service in there.values():
        draft.delete(kinds.SERVICE, service)


def _tell(draft: Draft) -> None:
    """Say in the status what the pods are at, and of one that cannot start why."""
    stuck = next((text for pod in draft.census.pods.values() if (text := failure.cannot_start(pod))), "")
    if stuck:
        message = f"{draft.title} waits, since {stuck}"
        draft.reasons.append(Reason(f"{draft.job.framework.kind.kind}Waiting", message, warning=True))
    job, counted, memory = draft.job, draft.census, draft.memory
    draft.status["replicaStatuses"] = census.replica_statuses(job, counted)
    if counted.count(job.lead, "Running"):
        if not (not job.whole_gang and counted.failures(job)):
            draft.condition(RUNNING, "Running", f"{draft.title} is running.")
    elif job.whole_gang and memory.because:
        failing.tell_restart(draft)
