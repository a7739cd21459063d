"""What a Deployment needs: a ReplicaSet for its template, and sizes that move pods over to it. Pure.

`revisions` tells the ReplicaSets apart, `rolling` does the arithmetic, `progress` writes the status.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.engine.controllers.claims import claim
from argosy.engine.controllers.deployment import revisions
from argosy.engine.controllers.deployment.progress import limits, status_of
from argosy.engine.controllers.deployment.rolling import Size, Target, rescale, roll
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.kinds import DEPLOYMENT, REPLICA_SET
from argosy.meta.conditions import Condition
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, is_deleting, key_of, name_of, uid_of


def plan(seen: Observed) -> Plan:
    """One step of the Deployment's rollout."""
    deployment = seen.subject
    if is_deleting(deployment):
        return Plan()
    claimed = claim(deployment, DEPLOYMENT, seen.of(REPLICA_SET), seen.related.get(REPLICA_SET, ()), kind=REPLICA_SET)
    sets = revisions.by_age(claimed.items)
    current = revisions.current_set(deployment, sets)
    olds = [s for s in sets if s is not current]
    draft = _Draft(deployment, current, olds)
    draft.actions.extend(claimed.actions)
    if deployment["spec"].get("paused"):
        draft.pause()
    else:
        draft.resume()
        draft.advance()
        draft.forget_history()
    draft.annotate()
    outcome = status_of(deployment, sets, current, draft.note, seen.now)
    return Plan(tuple(draft.actions), outcome.status, tuple(draft.reasons), outcome.wait_seconds)


class _Draft:
    """A plan being written; lives for one call of `plan`."""

    def __init__(self, deployment: Obj, current: Obj | None, olds: Sequence[Obj]) -> None:
        self.deployment = deployment
        self.current = current
        self.olds = olds
        surge, unavailable = limits(deployment)
        self.target = Target(int(deployment["spec"].get("replicas", 1)), surge, unavailable)
        self.annotations = revisions.set_annotations(deployment, surge)
        self.actions: list[Action] = []
        self.reasons: list[Reason] = []
        self.note: Condition | None = None
        self.revision = revisions.revision_of(current) if current else 0
        self._sizes: dict[str, int] = {}
        self._made: Obj | None = None

    def pause(self) -> None:
        """A paused Deployment follows `spec.replicas` and starts no rollout."""
        if self._progress_reason() != "DeploymentPaused":
            self.note = Condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        self._sizes = rescale(self.target, self._size(self.current), self._old_sizes())

    def resume(self) -> None:
        """Note the end of a pause."""
        if self._progress_reason() == "DeploymentPaused":
            self.note = Condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")

    def advance(self) -> None:
        """Make the new ReplicaSet where there is none, and move one step towards it."""
        newest = max((revisions.revision_of(s) for s in self.olds), default=0) + 1
        if self._recreates() and not self._old_pods_gone():
            self._sizes = {name_of(s): 0 for s in self.olds if s["spec"].get("replicas", 1)}
            if self.current is None:
                return
        if self.current is None:
            self._make(newest)
        elif self._was_scaled() and not self._recreates():
            self._sizes = rescale(self.target, self._size(self.current), self._old_sizes())
        self.revision = max(self.revision, newest)
        if self._sizes:
            return
        if not self._recreates():
            new = self._size(self.current) or Size(name_of(self._made or {"metadata": {"name": ""}}), 0, 0)
            self._sizes = roll(self.target, new, self._old_sizes())
        elif self._old_pods_gone():
            new_size = self._size(self.current)
            if new_size is None or new_size.asked != self.target.replicas:
                self._sizes = {name_of(self.current or self._made or {}): self.target.replicas}

    def forget_history(self) -> None:
        """Delete what lies beyond `revisionHistoryLimit`, once the rollout is over."""
        if self.current is None or any(s["spec"].get("replicas", 1) for s in self.olds):
            return
        for replica_set in revisions.expired(self.deployment, self.olds):
            self.actions.append(Delete(REPLICA_SET, key_of(replica_set), uid=uid_of(replica_set)))

    def annotate(self) -> None:
        """Write the sizes and annotations that changed, each ReplicaSet in one patch."""
        if self._made is not None:
            replicas = self._sizes.get(name_of(self._made), 0)
            self._made["spec"]["replicas"] = replicas
            self.actions.append(Create(REPLICA_SET, self._made))
            self._tell(name_of(self._made), 0, replicas)
        for replica_set in [*self.olds, *([self.current] if self.current else [])]:
            self._update(replica_set)
        if self.revision and revisions.revision_of(self.deployment) != self.revision:
            patch = {"metadata": {"annotations": {revisions.REVISION: str(self.revision)}}}
            self.actions.append(Patch(DEPLOYMENT, key_of(self.deployment), patch, uid=uid_of(self.deployment)))

    def _update(self, replica_set: Obj) -> None:
        name = name_of(replica_set)
        asked = int(replica_set["spec"].get("replicas", 1))
        size = self._sizes.get(name, asked)
        is_current = replica_set is self.current
        wanted: dict[str, str] = {}
        if is_current:
            wanted = self.annotations | revisions.renumbered(replica_set, self.revision)
        elif size != asked or asked:
            wanted = {k: self.annotations[k] for k in (revisions.DESIRED, revisions.MAX)}
        had = annotations_of(replica_set)
        changed = {k: v for k, v in wanted.items() if had.get(k) != v}
        patch: Obj = {"metadata": {"annotations": changed}} if changed else {}
        spec: Obj = {"replicas": size} if size != asked else {}
        min_ready = int(self.deployment["spec"].get("minReadySeconds") or 0)
        if is_current and int(replica_set["spec"].get("minReadySeconds") or 0) != min_ready:
            spec["minReadySeconds"] = min_ready
        if spec:
            patch["spec"] = spec
        if patch and not is_deleting(replica_set):
            self.actions.append(Patch(REPLICA_SET, key_of(replica_set), patch, uid=uid_of(replica_set)))
            self._tell(name, asked, size)

    def _make(self, revision: int) -> None:
        self._made = revisions.new_set(self.deployment, revision, self.annotations)
        self.revision = revision
        self.note = Condition(
            "Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{name_of(self._made)}"'
        )

    def _tell(self, name: str, before: int, after: int) -> None:
        if before != after:
            way = "up" if after > before else "down"
            message = f"Scaled {way} replica set {name} from {before} to {after}"
            self.reasons.append(Reason("ScalingReplicaSet", message))

    def _recreates(self) -> bool:
        return bool(dig(self.deployment, "spec", "strategy", "type") == "Recreate")

    def _old_pods_gone(self) -> bool:
        return not any(
            s["spec"].get("replicas", 1)
            or dig(s, "status", "replicas", default=0)
            or dig(s, "status", "terminatingReplicas", default=0)
            or dig(s, "status", "observedGeneration", default=0) < s["metadata"].get("generation", 0)
            for s in self.olds
        )

    def _was_scaled(self) -> bool:
        sets = [*self.olds, *([self.current] if self.current else [])]
        told = [annotations_of(s).get(revisions.DESIRED) for s in sets if s["spec"].get("replicas", 1)]
        return any(t is not None and t != str(self.target.replicas) for t in told)

    def _progress_reason(self) -> str:
        conditions = dig(self.deployment, "status", "conditions", default=())
        return next((str(c.get("reason")) for c in conditions if c.get("type") == "Progressing"), "")

    def _size(self, replica_set: Obj | None) -> Size | None:
        if replica_set is None:
            return None
        noted = annotations_of(replica_set).get(revisions.MAX, "")
        return Size(
            name_of(replica_set),
            int(replica_set["spec"].get("replicas", 1)),
            int(dig(replica_set, "status", "availableReplicas", default=0)),
            int(noted) if noted.isdigit() else 0,
        )

    def _old_sizes(self) -> list[Size]:
        return [size for s in self.olds if (size := self._size(s)) is not None]
