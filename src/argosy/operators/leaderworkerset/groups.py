"""The groups of a LeaderWorkerSet as they are: leaders, their workers, who is ready, who has to go. Pure; called by `plan`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from argosy.intent import Observed
from argosy.kinds import POD, STATEFUL_SET
from argosy.meta.json import Obj, dig
from argosy.meta.objects import controller_of, is_deleting, labels_of, name_of, pod_is_ready, uid_of
from argosy.operators.leaderworkerset import schema
from argosy.operators.leaderworkerset.objects import key_of
from argosy.operators.leaderworkerset.rollout import State
from argosy.operators.leaderworkerset.spec import Group, LeaderWorkerSet


@dataclass(slots=True)
class Groups:
    """What is there, by name."""

    leader_set: Obj | None
    leaders: dict[str, Obj] = field(default_factory=dict)
    workers: list[Obj] = field(default_factory=list)
    worker_sets: dict[str, Obj] = field(default_factory=dict)
    """By the name of the leader, which is theirs too."""

    def owned_by(self, leader: Obj) -> Obj | None:
        """The worker StatefulSet of exactly this leader, not of one before it."""
        found = self.worker_sets.get(name_of(leader))
        owner = controller_of(found) if found is not None else None
        return found if owner is not None and owner.get("uid") == uid_of(leader) else None

    def state(self, asked: LeaderWorkerSet, index: int) -> State:
        """How the group of that index is."""
        leader = self.leaders.get(f"{asked.name}-{index}")
        if leader is None:
            return State()
        ready = dig(leader, "status", "phase") == "Running" and pod_is_ready(leader)
        updated = revision_of(leader) == asked.group.revision
        if asked.group.size > 1:
            workers = self.owned_by(leader)
            if workers is None:
                return State()
            ready = ready and _is_ready(workers)
            updated = updated and revision_of(workers) == asked.group.revision
        return State(ready, updated)


def take(asked: LeaderWorkerSet, seen: Observed) -> Groups:
    """Sort what belongs to the set."""
    sets = {name_of(each): each for each in (*seen.of(STATEFUL_SET), *seen.related.get(STATEFUL_SET, ()))}
    found = Groups(leader_set=sets.pop(asked.name, None), worker_sets=sets)
    for pod in seen.related.get(POD, ()):
        if labels_of(pod).get(schema.WORKER_INDEX) == "0":
            found.leaders[name_of(pod)] = pod
        else:
            found.workers.append(pod)
    return found


def revision_of(obj: Obj) -> str:
    """The revision that a pod or a StatefulSet is of."""
    return labels_of(obj).get(schema.REVISION, "")


def doomed(asked: LeaderWorkerSet, found: Groups) -> Iterator[tuple[Obj, Obj]]:
    """(leader to delete, pod because of which): the group comes back as a whole with a new leader."""
    if not asked.recreates:
        return
    told: set[str] = set()
    for pod in (*found.leaders.values(), *found.workers):
        leader = found.leaders.get(leader_name(pod))
        if leader is None or is_deleting(leader) or name_of(leader) in told:
            continue
        if not (_has_restarted(pod) or is_deleting(pod)) or not _same_life(found, leader, pod):
            continue
        if asked.recreates_after_start and not _has_started(asked, found, leader):
            continue
        told.add(name_of(leader))
        yield leader, pod


def missing_labels(pod: Obj, group: Group) -> dict[str, str]:
    """The labels that a pod has by its name and does not carry yet."""
    leader = leader_name(pod)
    leads = leader == name_of(pod)
    index = 0 if leads else int(name_of(pod).rpartition("-")[2])
    wanted = {
        schema.WORKER_INDEX: str(index),
        schema.GROUP_INDEX: leader.rpartition("-")[2],
        schema.GROUP_KEY: key_of(str(pod["metadata"].get("namespace") or ""), leader),
    }
    part = group.subgroup_size
    if part and not (leads and group.subgroup_type == schema.LEADER_EXCLUDED):
        extra = (group.size - 1) % part == 0 and group.size % part != 0
        subgroup = "0" if leads else str((index - 1) // part if extra else index // part)
        wanted |= {schema.SUBGROUP_INDEX: subgroup, schema.SUBGROUP_KEY: key_of(leader, subgroup)}
    has = labels_of(pod)
    return {name: value for name, value in wanted.items() if has.get(name) != value}


def leader_name(pod: Obj) -> str:
    """The name of the leader of a pod's group."""
    if labels_of(pod).get(schema.WORKER_INDEX) == "0":
        return name_of(pod)
    return name_of(pod).rpartition("-")[0]


def _is_ready(stateful_set: Obj) -> bool:
    status: Obj = stateful_set.get("status") or {}
    wanted = dig(stateful_set, "spec", "replicas", default=1)
    same = status.get("currentRevision") == status.get("updateRevision")
    return bool(int(status.get("availableReplicas") or 0) == wanted and same)


def _has_restarted(pod: Obj) -> bool:
    if dig(pod, "status", "phase") not in ("Running", "Pending"):
        return False
    fields = ("initContainerStatuses", "containerStatuses")
    return any(int(each.get("restartCount") or 0) for name in fields for each in dig(pod, "status", name, default=()))


def _same_life(found: Groups, leader: Obj, pod: Obj) -> bool:
    """Whether a pod belongs to this very leader: what is left of the group before it is no reason to end this one."""
    if pod is leader:
        return True
    workers, owner = found.owned_by(leader), controller_of(pod)
    mine = workers is not None and owner is not None and owner.get("uid") == uid_of(workers)
    return mine and revision_of(leader) == revision_of(pod)


def _has_started(asked: LeaderWorkerSet, found: Groups, leader: Obj) -> bool:
    group = [leader, *(pod for pod in found.workers if leader_name(pod) == name_of(leader))]
    return len(group) == asked.group.size and all(dig(pod, "status", "phase") != "Pending" for pod in group)
