"""The decision of the LeaderWorkerSet operator: from what is seen of one set to what should happen to it now.

Called by `argosy.control.runner` whenever the set, one of its StatefulSets or one of its pods changes. The leaders are one
StatefulSet; each leader that is there gets a StatefulSet of workers, which goes when the leader goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.clock import rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.kinds import CONTROLLER_REVISION, ENDPOINT_SLICE, POD, SERVICE, STATEFUL_SET
from argosy.meta.conditions import find_in
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import annotations_of, is_deleting, key_of, name_of, pod_is_ready, uid_of
from argosy.operators import drift
from argosy.operators.leaderworkerset import groups, objects, rollout, schema
from argosy.operators.leaderworkerset.groups import Groups
from argosy.operators.leaderworkerset.spec import LeaderWorkerSet, problems, read

AVAILABLE, PROGRESSING, UPDATING = "Available", "Progressing", "UpdateInProgress"
_REASONS = {
    AVAILABLE: ("AllGroupsReady", "All replicas are ready"),
    PROGRESSING: ("GroupsProgressing", "Replicas are progressing"),
    UPDATING: ("GroupsUpdating", "Rolling Upgrade is in progress"),
}
_FIELDS = ("replicas", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy")


@dataclass(slots=True)
class _Draft:
    """Mutable only while one plan is being made."""

    seen: Observed
    asked: LeaderWorkerSet
    found: Groups
    status: Obj
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)

    def plan(self) -> Plan:
        return Plan(tuple(self.actions), self.status, tuple(self.reasons))


def plan(seen: Observed) -> Plan:
    """Decide about one LeaderWorkerSet."""
    if is_deleting(seen.subject):
        return Plan()
    asked = read(seen.subject)
    draft = _Draft(seen, asked, groups.take(asked, seen), thaw(seen.subject.get("status") or {}))
    wrong = list(problems(asked))
    if wrong:
        reason = Reason("FailedValidation", f"LeaderWorkerSet is not valid: {'; '.join(wrong)}", warning=True)
        draft.reasons.append(reason)
        _set_condition(draft, PROGRESSING, (reason.code, reason.message), holds=False)
        return draft.plan()
    if draft.found.leader_set is not None and is_deleting(draft.found.leader_set):
        return Plan()
    _converge_leaders(draft)
    _converge_service(draft)
    for leader in draft.found.leaders.values():
        if not is_deleting(leader):
            _converge_group(draft, leader)
    _label_pods(draft)
    _recreate(draft)
    _tell(draft)
    return draft.plan()


def _converge_leaders(draft: _Draft) -> None:
    """Record the templates, and write the leaders' StatefulSet as far as the rollout goes."""
    asked, found, owner = draft.asked, draft.found, draft.seen.subject
    revisions = draft.seen.of(CONTROLLER_REVISION)
    if not any(groups.revision_of(each) == asked.group.revision for each in revisions):
        number = max((int(each.get("revision") or 0) for each in revisions), default=0) + 1
        draft.actions.append(Create(CONTROLLER_REVISION, objects.revision(asked, number, owner)))
    live = found.leader_set
    present = _present(asked, live)
    changed = live is not None and groups.revision_of(live) != asked.group.revision
    states = [found.state(asked, index) for index in range(present.replicas if present else 0)]
    step = rollout.next_step(asked, present, states, changed=changed)
    wanted = drift.marked(objects.leaders(asked, step.partition, step.replicas, owner))
    if live is None:
        draft.actions.append(Create(STATEFUL_SET, wanted))
        draft.reasons.append(Reason("GroupsProgressing", f"Created leader statefulset {asked.name}"))
        return
    change = drift.patch(live, wanted, *_FIELDS)
    if change is not None:
        draft.actions.append(Patch(STATEFUL_SET, key_of(live), change, uid=uid_of(live)))
    if present is not None and not changed and step.partition < present.partition:
        draft.reasons.append(Reason("GroupsUpdating", f"Updating replicas {step.partition} to {present.partition - 1}"))


def _present(asked: LeaderWorkerSet, live: Obj | None) -> rollout.Present | None:
    if live is None:
        return None
    text = annotations_of(live).get(schema.REPLICAS, "")
    return rollout.Present(
        replicas=int(dig(live, "spec", "replicas", default=1)),
        partition=int(dig(live, "spec", "updateStrategy", "rollingUpdate", "partition", default=0)),
        asked=int(text) if text.isdigit() else asked.replicas,
    )


def _converge_service(draft: _Draft) -> None:
    """The Service under which leaders have their names; with subdomains of their own, each group has one besides."""
    if draft.asked.name not in _services(draft):
        draft.actions.append(Create(SERVICE, objects.service(draft.asked, draft.seen.subject)))


def _services(draft: _Draft) -> set[str]:
    return {name_of(each) for each in draft.seen.related.get(SERVICE, ())}


def _converge_group(draft: _Draft, leader: Obj) -> None:
    asked = _in_revision_of(draft, leader)
    if asked is None:
        return
    name, owner = name_of(leader), draft.seen.subject
    if asked.group.unique_subdomains:
        if name not in _services(draft):
            draft.actions.append(Create(SERVICE, objects.service(asked, owner, leader)))
        slices = {name_of(each) for each in draft.seen.related.get(ENDPOINT_SLICE, ())}
        if dig(leader, "status", "podIP") and f"{name}-leader" not in slices:
            draft.actions.append(Create(ENDPOINT_SLICE, objects.leader_address(asked, leader)))
    if asked.group.size > 1 and name not in draft.found.worker_sets:
        if asked.waits_for_leader and not pod_is_ready(leader):
            return
        draft.actions.append(Create(STATEFUL_SET, objects.workers(asked, leader)))
        draft.reasons.append(Reason("GroupsProgressing", f"Created worker statefulset for leader pod {name}"))


def _in_revision_of(draft: _Draft, leader: Obj) -> LeaderWorkerSet | None:
    """The set as it was when the leader's template was written; None while that is not known."""
    revision = groups.revision_of(leader)
    if revision == draft.asked.group.revision:
        return draft.asked
    for each in draft.seen.of(CONTROLLER_REVISION):
        if groups.revision_of(each) == revision:
            return draft.asked.of_revision(each["data"])
    return None


def _label_pods(draft: _Draft) -> None:
    """Give pods the labels that only their names tell."""
    for pod in (*draft.found.leaders.values(), *draft.found.workers):
        labels = groups.missing_labels(pod, draft.asked.group)
        if labels and not is_deleting(pod):
            draft.actions.append(Patch(POD, key_of(pod), {"metadata": {"labels": labels}}, uid=uid_of(pod)))


def _recreate(draft: _Draft) -> None:
    for leader, because in groups.doomed(draft.asked, draft.found):
        draft.actions.append(Delete(POD, key_of(leader), uid_of(leader), propagation="Foreground"))
        index = name_of(leader).rpartition("-")[2]
        said = f"Worker pod {name_of(because)} failed, deleted leader pod {name_of(leader)} to recreate group {index}"
        draft.reasons.append(Reason("RecreateGroup", said))


def _tell(draft: _Draft) -> None:
    """Say in the status how the groups are."""
    asked, found, status = draft.asked, draft.found, draft.status
    if found.leader_set is None:
        return
    # A leader whose workers are yet to come is no group to speak of.
    whole = [leader for leader in found.leaders.values() if asked.group.size == 1 or found.owned_by(leader) is not None]
    indexes = (int(name_of(leader).rpartition("-")[2]) for leader in whole)
    known = {index: found.state(asked, index) for index in indexes}
    status["replicas"] = int(dig(found.leader_set, "status", "replicas", default=0))
    status["readyReplicas"] = sum(state.ready for state in known.values())
    status["updatedReplicas"] = sum(state.updated for state in known.values())
    status["hpaPodSelector"] = f"{schema.NAME}={asked.name},{schema.WORKER_INDEX}=0"
    status["observedGeneration"] = asked.generation
    within = [state for index, state in known.items() if asked.partition <= index < asked.replicas]
    done = sum(state.ready and state.updated for state in within)
    ready = sum(state.ready for index, state in known.items() if index < asked.replicas)
    if any(not state.updated for state in within):
        types = [UPDATING, PROGRESSING]
    elif ready == asked.replicas and done == len(within):
        types = [AVAILABLE]
    else:
        types = [PROGRESSING]
    for type in types:
        _set_condition(draft, type, _REASONS[type], holds=True)
    if asked.partition == 0 and done == asked.replicas:
        _forget_revisions(draft)


def _set_condition(draft: _Draft, type: str, said: tuple[str, str], *, holds: bool) -> None:
    """Available excludes the other two; what turns false keeps its words."""
    stamp, generation = rfc3339(draft.seen.now), draft.asked.generation
    before: list[Obj] = draft.status.get("conditions") or []
    old = find_in(before, type) or {}
    same = old.get("status") == str(holds)
    wanted: Obj = {
        "type": type,
        "status": str(holds),
        "reason": said[0],
        "message": said[1],
        "lastTransitionTime": old["lastTransitionTime"] if same else stamp,
    }
    off = (UPDATING, PROGRESSING) if type == AVAILABLE else (AVAILABLE,)
    made: list[Obj] = []
    for each in before:
        if each["type"] == type:
            made.append(wanted)
        elif holds and each["type"] in off and each["status"] == "True":
            made.append({**each, "status": "False", "lastTransitionTime": stamp})
        else:
            made.append(each)
    if not old:
        made.append(wanted)
    draft.status["conditions"] = [{**each, "observedGeneration": generation} for each in made]
    if not same and holds:
        counts = f"with {draft.status.get('readyReplicas', 0)} groups ready of total {draft.asked.replicas} groups"
        draft.reasons.append(Reason(said[0], f"{said[1]}, {counts}"))


def _forget_revisions(draft: _Draft) -> None:
    """Once every group is new, nothing of the old templates is needed."""
    for each in draft.seen.of(CONTROLLER_REVISION):
        if groups.revision_of(each) != draft.asked.group.revision and not is_deleting(each):
            draft.actions.append(Delete(CONTROLLER_REVISION, key_of(each), uid_of(each)))
