"""Why something is not ready: the chain of reasons, from the object a person made down to what holds it up.

`judge` reads one object as its controllers left it (conditions, container states, phases); `chain` puts a family's
judgements and Events together. Both are pure; `argosy why` reads the cluster and prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of, namespace_of, uid_of
from argosy.sdk.ownership import Family

_GOOD_WHEN_TRUE = frozenset(
    [
        "Ready",
        "Available",
        "Succeeded",
        "Complete",
        "Completed",
        "Established",
        "Bound",
        "Initialized",
        "ContainersReady",
        "PodScheduled",
        "PredictorReady",
        "IngressReady",
        "NamesAccepted",
        "PodReadyToStartContainers",
        "RoutesReady",
        "LatestDeploymentReady",
    ]
)
_BAD_WHEN_TRUE = frozenset(
    ["Failed", "ReplicaFailure", "Suspended", "Stopped", "FailureTarget", "DisruptionTarget", "Waiting"]
)


class State(StrEnum):
    """How an object stands."""

    ok = "ok"
    waiting = "waiting"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one object; `reasons` are sentences, the most telling first."""

    kind: str
    name: str
    state: State
    reasons: tuple[str, ...]
    children: tuple[Finding, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether it or anything below is not as it should be."""
        return self.state is not State.ok or any(child.blocked for child in self.children)


def chain(family: Family, events: Mapping[str, Sequence[Obj]]) -> Finding:
    """The judgement of a family; `events` are grouped by the uid of what they are about, oldest first."""
    children = tuple(chain(child, events) for child in family.children)
    state, reasons = judge(family.kind.kind, family.obj)
    told = _told(events.get(uid_of(family.obj), ()), warnings_only=state is State.ok)
    merged = tuple(dict.fromkeys([*reasons, *(text for text in told if not _repeats(text, reasons))]))
    return Finding(family.kind.kind, name_of(family.obj), state, merged, children)


def innermost(finding: Finding) -> str:
    """What holds it up at the bottom of the chain, in a sentence; empty where nothing does."""
    for child in finding.children:
        found = innermost(child) if child.blocked else ""
        if found:
            return found
    if finding.state is State.ok or not finding.reasons:
        return ""
    return f"{finding.kind} {finding.name}: {finding.reasons[0]}"


def judge(kind: str, obj: Obj) -> tuple[State, tuple[str, ...]]:
    """How one object stands, by its kind's own rules where it has some and by its conditions otherwise."""
    if obj["metadata"].get("deletionTimestamp"):
        finalizers = ", ".join(obj["metadata"].get("finalizers") or ())
        return State.waiting, (f"it is being deleted{f', waiting for {finalizers}' if finalizers else ''}",)
    special = {
        "Pod": _pod, "PersistentVolumeClaim": _claim, "RayJob": _ray_job, "Service": _nothing,
        "ReplicaSet": _replicas, "StatefulSet": _replicas,
    }.get(kind)  # fmt: skip
    return special(obj) if special else _conditions(obj)


def lines(finding: Finding, depth: int = 0, *, all_: bool = False) -> list[str]:
    """The chain as text; what is well is passed over unless `all_`."""
    mark = {State.ok: "ok", State.waiting: "waiting", State.failed: "failed"}[finding.state]
    own = [f"{'  ' * depth}{finding.kind}/{finding.name}: {mark}"]
    own += [f"{'  ' * depth}  - {reason}" for reason in finding.reasons]
    shown = [child for child in finding.children if all_ or child.blocked or child.reasons]
    return own + [line for child in shown for line in lines(child, depth + 1, all_=all_)]


def _pod(pod: Obj) -> tuple[State, tuple[str, ...]]:
    phase = dig(pod, "status", "phase", default="Pending")
    if phase == "Succeeded":
        return State.ok, ()
    preparing = [_preparing(status) for status in dig(pod, "status", "initContainerStatuses", default=[])]
    running = [_container(status) for status in dig(pod, "status", "containerStatuses", default=[])]
    reasons = [text for text in (*preparing, *running) if text]
    if _ended_in_silence(pod):
        reasons.append(f"what it said: argosy logs {name_of(pod)} -n {namespace_of(pod)}")
    scheduled = find(pod, "PodScheduled")
    if scheduled and scheduled.get("status") == "False":
        reasons.insert(0, f"not placed: {scheduled.get('message') or scheduled.get('reason')}")
    if phase == "Failed":
        message = dig(pod, "status", "message") or dig(pod, "status", "reason")
        return State.failed, tuple(([str(message)] if message else []) + reasons) or ("it failed",)
    ready = find(pod, "Ready")
    if phase == "Running" and ready and ready.get("status") == "True":
        return State.ok, ()
    if phase == "Running" and not reasons and ready and ready.get("message"):
        reasons.append(str(ready["message"]))
    return State.waiting, tuple(reasons)


def _preparing(status: Obj) -> str:
    """What an init container says: one that runs is not late, it is at work."""
    if dig(status, "state", "running") and not status.get("ready"):
        return f"init container {status.get('name')} runs; the others wait for it"
    return _container(status)


def _container(status: Obj) -> str:
    name = status.get("name")
    waiting, ended = dig(status, "state", "waiting"), dig(status, "state", "terminated")
    if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
        last = dig(status, "lastState", "terminated")
        before = f"; it last ended with {_ended(last)}" if last else ""
        return f"container {name} waits: {waiting.get('reason')}: {waiting.get('message') or ''}".rstrip(": ") + before
    if ended and ended.get("exitCode"):
        return f"container {name} ended with {_ended(ended)}"
    if dig(status, "state", "running") and not status.get("ready"):
        return f"container {name} runs and is not ready yet (its readiness or startup probe)"
    return ""


def _ended_in_silence(pod: Obj) -> bool:
    """Whether a container failed without a message of its own."""
    ends = (
        dig(status, place, "terminated", default={})
        for field in ("initContainerStatuses", "containerStatuses")
        for status in dig(pod, "status", field, default=())
        for place in ("state", "lastState")
    )
    return any(end.get("exitCode") and not end.get("message") for end in ends)


def _replicas(owner: Obj) -> tuple[State, tuple[str, ...]]:
    """Kinds that say how far they are in numbers."""
    wanted, ready = dig(owner, "spec", "replicas", default=1), dig(owner, "status", "readyReplicas", default=0)
    if ready >= wanted:
        return State.ok, ()
    return State.waiting, (f"{ready} of {wanted} pods are ready",)


def _ended(ended: Obj) -> str:
    text = f"exit code {ended.get('exitCode')} ({ended.get('reason') or 'Error'})"
    message = str(ended.get("message") or "").strip()
    return f"{text}: {message.splitlines()[-1][:300]}" if message else text


def _claim(claim: Obj) -> tuple[State, tuple[str, ...]]:
    phase = dig(claim, "status", "phase", default="Pending")
    return (State.ok, ()) if phase == "Bound" else (State.waiting, (f"the claim is {phase}",))


def _ray_job(job: Obj) -> tuple[State, tuple[str, ...]]:
    """KubeRay's RayJob has no conditions; how far it is stands in one field."""
    stage = str(dig(job, "status", "jobDeploymentStatus", default="") or "not seen by its operator")
    message = str(dig(job, "status", "message", default="") or dig(job, "status", "reason", default=""))
    reason = f"the RayJob is {stage}: {message}".rstrip(": ")
    if stage in ("Running", "Complete"):
        return State.ok, ()
    return State.failed if stage in ("Failed", "ValidationFailed") else State.waiting, (reason,)


def _nothing(_: Obj) -> tuple[State, tuple[str, ...]]:
    return State.ok, ()


def _conditions(obj: Obj) -> tuple[State, tuple[str, ...]]:
    state = State.ok
    reasons: list[str] = []
    conditions = dig(obj, "status", "conditions", default=[])
    for condition in conditions:
        type_, status = condition.get("type"), condition.get("status")
        text = f"{type_}={status}: {condition.get('message') or condition.get('reason') or ''}".rstrip(": ")
        if type_ in _BAD_WHEN_TRUE and status == "True":
            state = State.failed if type_ in ("Failed", "FailureTarget") else State.waiting
            reasons.insert(0, text)
        elif type_ in _GOOD_WHEN_TRUE and status != "True" and state is not State.failed:
            state = State.waiting
            reasons.append(text)
    if conditions and conditions[-1].get("type") in ("Created", "Restarting") and state is State.ok:
        last = conditions[-1]
        return State.waiting, (f"{last.get('type')}: {last.get('message') or last.get('reason') or ''}",)
    return state, tuple(reasons)


def _told(events: Sequence[Obj], *, warnings_only: bool) -> list[str]:
    """What the Events of one object say, newest first, at most four."""
    chosen = [e for e in events if e.get("type") == "Warning" or not warnings_only]
    texts = [f"{e.get('reason')}: {e.get('message')}" for e in reversed(chosen)]
    return list(dict.fromkeys(texts))[:4]


def _repeats(text: str, reasons: Sequence[str]) -> bool:
    """Whether an Event says what a reason says: the kubelet's end as the container's status does, after a `Failed to …: `."""
    message = text.partition(": ")[2]
    ends = (message, message.partition(": ")[2])
    return any(end and end in reason for end in ends for reason in reasons)
