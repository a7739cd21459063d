"""A Job's pods, counted exactly once each. Pure.

A pod carries the finalizer `batch.kubernetes.io/job-tracking`, so none vanishes unseen. What exists is counted as it is; a pod
that somebody deletes while the Job goes on is first written into an annotation of the Job (`RELEASED`) and only then let go, so
the count is a union by uid and survives a crash between any two writes. A Job whose pods are left alone costs none of
these writes, and that is nearly every Job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from argosy.engine.controllers.job import indexes
from argosy.engine.controllers.job.policies import Match, match_failure
from argosy.engine.controllers.pods import is_finished, moment, phase
from argosy.meta.json import Obj, decode, dig, encode
from argosy.meta.objects import annotations_of, is_deleting, pod_is_ready, uid_of

TRACKING = "batch.kubernetes.io/job-tracking"
RELEASED = "argosy.dev/released-pods"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"


@dataclass(frozen=True, slots=True)
class Released:
    """The finished pods that were let go while the Job went on."""

    succeeded: int = 0
    failed: int = 0
    pods: dict[str, str] = field(default_factory=dict)
    """uid -> `succeeded`, `failed` or `ignored`, of those that may still be seen."""

    def text(self) -> str:
        """The annotation's value."""
        return encode({"succeeded": self.succeeded, "failed": self.failed, "pods": self.pods}).decode()


def released(job: Obj) -> Released:
    """Read the annotation; what makes no sense counts as nothing."""
    text = annotations_of(job).get(RELEASED)
    if not text:
        return Released()
    try:
        said = decode(text)
        return Released(int(said["succeeded"]), int(said["failed"]), dict(said["pods"]))
    except (ValueError, KeyError, TypeError):
        return Released()


@dataclass(slots=True)
class Census:
    """The pods by what they are."""

    active: list[Obj] = field(default_factory=list)
    succeeded: list[Obj] = field(default_factory=list)
    failed: list[Obj] = field(default_factory=list)
    """Those that count against the limits."""
    ignored: list[Obj] = field(default_factory=list)
    terminating: list[Obj] = field(default_factory=list)
    """Being deleted and not finished."""
    leaving: list[Obj] = field(default_factory=list)
    """Being deleted and still held by the tracking finalizer."""
    fatal: Match | None = None
    """The first failure that the policy says fails the whole Job."""
    failed_indexes: set[int] = field(default_factory=set)
    """Those that a FailIndex rule gave up."""
    gone: Released = field(default_factory=Released)
    everybody: Sequence[Obj] = ()
    """All pods that can be seen."""

    @property
    def succeeded_count(self) -> int:
        """Pods that succeeded, present or not."""
        return self.gone.succeeded + len(self.succeeded) + self._missing("succeeded")

    @property
    def failed_count(self) -> int:
        """Pods that failed, present or not."""
        return self.gone.failed + len(self.failed) + self._missing("failed")

    @property
    def ready_count(self) -> int:
        """Active pods that are ready."""
        return sum(pod_is_ready(pod) for pod in self.active)

    def noted(self) -> Released | None:
        """The annotation that must be written before `leaving` may go; None when it already is."""
        outcomes = self.outcomes()
        unwritten = {uid_of(pod) for pod in self.leaving} & outcomes.keys() - self.gone.pods.keys()
        if not unwritten:
            return None
        present = set(map(uid_of, self.everybody))
        vanished = [said for uid, said in self.gone.pods.items() if uid not in present]
        kept = {uid: said for uid, said in self.gone.pods.items() if uid in present}
        return Released(
            self.gone.succeeded + vanished.count("succeeded"),
            self.gone.failed + vanished.count("failed"),
            kept | {uid: outcomes[uid] for uid in sorted(unwritten)},
        )

    def outcomes(self) -> dict[str, str]:
        """How each counted pod that is present ended, by uid."""
        sorts = (("succeeded", self.succeeded), ("failed", self.failed), ("ignored", self.ignored))
        return {uid_of(pod): outcome for outcome, pods in sorts for pod in pods}

    def _missing(self, outcome: str) -> int:
        if not self.gone.pods:
            return 0
        counted = self.outcomes()
        return sum(said == outcome and uid not in counted for uid, said in self.gone.pods.items())


def take(job: Obj, pods: Sequence[Obj]) -> Census:
    """Sort a Job's pods."""
    census = Census(gone=released(job), everybody=pods)
    has_policy = bool(job["spec"].get("podFailurePolicy"))
    replaces_failed_only = has_policy or job["spec"].get("podReplacementPolicy") == "Failed"
    for pod in pods:
        deleting = is_deleting(pod)
        ending = deleting and not is_finished(pod) and pod["metadata"].get("deletionGracePeriodSeconds") != 0
        if ending:
            census.terminating.append(pod)
        if deleting and TRACKING not in (pod["metadata"].get("finalizers") or ()):
            continue  # let go on purpose: counted already, or not to be counted
        if deleting:
            census.leaving.append(pod)
        if uid_of(pod) in census.gone.pods:
            continue  # counted for good: what was told of a pod while it ended is not taken back by how it ended
        if phase(pod) == "Succeeded":
            census.succeeded.append(pod)
        elif phase(pod) == "Failed" or (deleting and not (ending and replaces_failed_only)):
            _failed(census, job, pod, has_policy)
        elif not deleting:
            census.active.append(pod)
    return census


def _failed(census: Census, job: Obj, pod: Obj, has_policy: bool) -> None:
    if has_policy and phase(pod) == "Failed":
        match = match_failure(job, pod)
        if match.action == "Ignore":
            census.ignored.append(pod)
            return
        if match.action == "FailJob" and census.fatal is None:
            census.fatal = match
        if match.action == "FailIndex" and (index := indexes.index_of(pod)) is not None:
            census.failed_indexes.add(index)
    census.failed.append(pod)


def finished_at(pod: Obj, now: datetime) -> datetime:
    """When a pod ended: its last container's end, else its deletion, else its readiness' end, else its creation."""
    ends = [dig(c, "state", "terminated", "finishedAt") for c in dig(pod, "status", "containerStatuses", default=())]
    known = [when for when in map(moment, ends) if when is not None]
    if known:
        return max(known)
    meta = pod["metadata"]
    for condition in dig(pod, "status", "conditions", default=()):
        if condition.get("type") == "Ready" and condition.get("status") == "False":
            meta = {**meta, "ended": condition.get("lastTransitionTime")}
    return moment(meta.get("deletionTimestamp") or meta.get("ended") or meta.get("creationTimestamp")) or now
