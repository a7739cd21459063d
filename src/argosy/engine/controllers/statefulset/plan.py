"""What a StatefulSet needs: its pods in order, each with its claims, moved to a new template from the highest down. Pure."""

from __future__ import annotations

from argosy.engine.controllers.claims import claim
from argosy.engine.controllers.history import History, expired, history
from argosy.engine.controllers.pods import Tally, availability, is_finished, resolve_int_or_percent, soonest, tally
from argosy.engine.controllers.statefulset import identity
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.kinds import CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from argosy.meta.json import Obj, dig
from argosy.meta.objects import is_deleting, key_of, name_of, uid_of


def plan(seen: Observed) -> Plan:
    """One step of the set."""
    subject = seen.subject
    if is_deleting(subject):
        return Plan()
    claimed = claim(subject, STATEFUL_SET, seen.of(POD), seen.related.get(POD, ()))
    told = history(subject, STATEFUL_SET, seen.of(CONTROLLER_REVISION))
    draft = _Draft(seen, claimed.items, told)
    draft.actions += [*claimed.actions, *told.actions]
    draft.retain()
    if draft.replicate() and draft.condemn():
        draft.update()
    status = draft.status()
    in_use = {identity.revision_name(subject, pod) for pod in claimed.items}
    in_use |= {status["currentRevision"], status["updateRevision"]}
    draft.actions += expired(told, int(subject["spec"].get("revisionHistoryLimit", 10)), in_use)
    return Plan(tuple(draft.actions), status, tuple(draft.reasons), draft.wait_seconds)


class _Draft:
    """A plan being written; lives for one call of `plan`."""

    def __init__(self, seen: Observed, pods: list[Obj], told: History) -> None:
        self.set = seen.subject
        self.now = seen.now
        self.told = told
        self.actions: list[Action] = []
        self.reasons: list[Reason] = []
        self.wait_seconds: float | None = None
        spec = self.set["spec"]
        self._start = identity.first_ordinal(self.set)
        self._end = self._start + int(spec.get("replicas", 1))
        self._min_ready = int(spec.get("minReadySeconds") or 0)
        self._ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        self._pods = {identity.ordinal_of(self.set, pod): pod for pod in pods}
        self._pods.pop(-1, None)
        self._claims = {name_of(c): c for c in seen.related.get(PERSISTENT_VOLUME_CLAIM, ())}
        self._current = str(dig(self.set, "status", "currentRevision", default="")) or name_of(told.update)

    def retain(self) -> None:
        """Claims go with the set or stay behind, as it says now and not when they were made."""
        for each in self._claims.values():
            owners = identity.owners_wanted(self.set, each)
            if owners is not None and not is_deleting(each):
                patch: Obj = {"metadata": {"ownerReferences": owners or None}}
                self.actions.append(Patch(PERSISTENT_VOLUME_CLAIM, key_of(each), patch, uid=uid_of(each)))

    def replicate(self) -> bool:
        """Make what is missing, replace what has ended. False: wait for a predecessor before anything else."""
        for ordinal in range(self._start, self._end):
            pod = self._pods.get(ordinal)
            if pod is None:
                self._create(ordinal)
            elif is_finished(pod) and not is_deleting(pod):
                self._delete(pod)
            elif not self._is_available(pod):
                pass
            else:
                continue
            if self._ordered:
                return False
        return True

    def condemn(self) -> bool:
        """End the pods beyond `replicas`, the highest first. False: some are still there."""
        condemned = sorted((o for o in self._pods if not self._start <= o < self._end), reverse=True)
        for ordinal in condemned:
            if not is_deleting(self._pods[ordinal]):
                self._delete(self._pods[ordinal])
            if self._ordered:
                break
        self._drop_claims(set(condemned))
        return not condemned

    def update(self) -> None:
        """Replace pods of other revisions, from the highest ordinal down to the partition."""
        strategy = self.set["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        rolling = strategy.get("rollingUpdate") or {}
        limit = max(
            1,
            resolve_int_or_percent(rolling.get("maxUnavailable"), self._end - self._start, round_up=True, default=1),
        )
        lowest = self._start + int(rolling.get("partition") or 0)
        unavailable = sum(not self._is_available(pod) for pod in self._pods.values())
        for ordinal in range(self._end - 1, lowest - 1, -1):
            pod = self._pods.get(ordinal)
            if pod is None or is_deleting(pod) or self._is_new(pod):
                continue
            if not self._is_available(pod):
                self._delete(pod)  # broken already: replacing it costs nothing
            elif unavailable < limit:
                self._delete(pod)
                unavailable += 1
            else:
                return

    def status(self) -> Obj:
        """The whole status."""
        spec = self.set["spec"]
        pods = list(self._pods.values())
        counted: Tally = tally((p for p in pods if not is_deleting(p)), self._min_ready, self.now)
        self.wait_seconds = soonest(self.wait_seconds, counted.wait_seconds)
        living = [pod for pod in pods if not is_deleting(pod)]
        updated = sum(self._is_new(pod) for pod in living)
        current = sum(identity.revision_name(self.set, pod) == self._current for pod in living)
        replicas = int(spec.get("replicas", 1))
        new = name_of(self.told.update)
        if updated == len(pods) == replicas == counted.ready and self._rolls():
            self._current, current = new, updated
        status: Obj = {
            "observedGeneration": self.set["metadata"].get("generation", 0),
            "replicas": len(pods),
            "availableReplicas": counted.available,
            "currentRevision": self._current,
            "updateRevision": new,
            "collisionCount": dig(self.set, "status", "collisionCount", default=0),
        }
        counts = {"readyReplicas": counted.ready, "currentReplicas": current, "updatedReplicas": updated}
        return status | {name: count for name, count in counts.items() if count}

    def _create(self, ordinal: int) -> None:
        pod = identity.make_pod(self.set, ordinal, self._revision_for(ordinal))
        owner, name = name_of(self.set), name_of(pod)
        for made in identity.make_claims(self.set, ordinal):
            if name_of(made) not in self._claims:
                self.actions.append(Create(PERSISTENT_VOLUME_CLAIM, made))
                message = f"create Claim {name_of(made)} Pod {name} in StatefulSet {owner} success"
                self.reasons.append(Reason("SuccessfulCreate", message))
        self.actions.append(Create(POD, pod))
        self.reasons.append(Reason("SuccessfulCreate", f"create Pod {name} in StatefulSet {owner} successful"))

    def _delete(self, pod: Obj) -> None:
        self.actions.append(Delete(POD, key_of(pod), uid=uid_of(pod)))
        message = f"delete Pod {name_of(pod)} in StatefulSet {name_of(self.set)} successful"
        self.reasons.append(Reason("SuccessfulDelete", message))

    def _drop_claims(self, condemned: set[int]) -> None:
        policy = dig(self.set, "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled", default="Retain")
        if policy != "Delete":
            return
        for name in sorted(self._claims):
            ordinal = int(name.rpartition("-")[2])
            if not self._start <= ordinal < self._end and ordinal not in condemned:
                gone = self._claims[name]
                self.actions.append(Delete(PERSISTENT_VOLUME_CLAIM, key_of(gone), uid=uid_of(gone)))

    def _revision_for(self, ordinal: int) -> Obj:
        """Below the partition, or below a pod that the rollout has not reached, a pod comes back as it was."""
        old = self.told.by_name(self._current)
        if not self._rolls() or old is None or old is self.told.update:
            return self.told.update
        partition = int(dig(self.set, "spec", "updateStrategy", "rollingUpdate", "partition", default=0))
        behind = [
            o
            for o, pod in self._pods.items()
            if identity.revision_name(self.set, pod) == self._current and not is_deleting(pod)
        ]
        return old if ordinal < self._start + partition or ordinal < max(behind, default=-1) else self.told.update

    def _rolls(self) -> bool:
        return bool(dig(self.set, "spec", "updateStrategy", "type", default="RollingUpdate") == "RollingUpdate")

    def _is_new(self, pod: Obj) -> bool:
        return identity.revision_name(self.set, pod) == name_of(self.told.update)

    def _is_available(self, pod: Obj) -> bool:
        state = availability(pod, self._min_ready, self.now)
        return state.available and not is_deleting(pod)
