"""What a ReplicaSet needs: pods made from its template, or the right ones deleted. Pure.

A ReplicationController needs the same: `replicationcontroller` asks here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from argosy.engine.controllers.claims import claim
from argosy.engine.controllers.pods import (
    BURST,
    created,
    fresh_names,
    is_active,
    phase,
    pod_from_template,
    tally,
)
from argosy.engine.controllers.ranking import deletion_order
from argosy.intent import Action, Delete, Observed, Plan, Reason
from argosy.kinds import POD, REPLICA_SET
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, labels_of, name_of, uid_of


def plan(seen: Observed) -> Plan:
    """Bring the number of active pods to `spec.replicas`."""
    return replicated(seen, REPLICA_SET)


def replicated(seen: Observed, kind: Kind) -> Plan:
    """The same for whichever kind the subject is of."""
    subject = seen.subject
    spec = subject["spec"]
    if is_deleting(subject):
        return Plan()
    claimed = claim(subject, kind, seen.of(POD), seen.related.get(POD, ()))
    active = [pod for pod in claimed.items if is_active(pod)]
    wanted = int(spec.get("replicas", 1))
    actions: list[Action] = list(claimed.actions)
    reasons: list[Reason] = []
    if len(active) < wanted:
        count = min(wanted - len(active), BURST)
        for name in fresh_names(subject, seen.now, count, seen.of(POD)):
            action, reason = created(pod_from_template(spec.get("template") or {}, subject, kind, name))
            actions.append(action)
            reasons.append(reason)
    elif len(active) > wanted:
        for pod in victims(active, len(active) - wanted):
            actions.append(Delete(POD, key_of(pod), uid=uid_of(pod)))
            reasons.append(Reason("SuccessfulDelete", f"Deleted pod: {name_of(pod)}"))
    counted = tally(active, int(spec.get("minReadySeconds") or 0), seen.now)
    status = _status(subject, claimed.items, active, (counted.ready, counted.available))
    return Plan(tuple(actions), status, tuple(reasons), counted.wait_seconds)


def victims(active: Sequence[Obj], count: int) -> list[Obj]:
    """Which pods go first, in Kubernetes' order; pods that share a node with many siblings before those that do not."""
    if count >= len(active):
        return list(active)
    crowd = Counter(dig(pod, "spec", "nodeName", default="") for pod in active if phase(pod) == "Running")
    ordered = sorted(active, key=lambda pod: deletion_order(pod, crowd[dig(pod, "spec", "nodeName", default="")]))
    return ordered[:count]


def _status(subject: Obj, pods: Sequence[Obj], active: Sequence[Obj], counted: tuple[int, int]) -> Obj:
    ready, available = counted
    template_labels = dig(subject, "spec", "template", "metadata", "labels", default={})
    labelled = sum(template_labels.items() <= labels_of(pod).items() for pod in active)
    terminating = sum(is_deleting(pod) and phase(pod) not in {"Succeeded", "Failed"} for pod in pods)
    status: Obj = {"replicas": len(active)}
    counts = {
        "fullyLabeledReplicas": labelled,
        "readyReplicas": ready,
        "availableReplicas": available,
        "terminatingReplicas": terminating,
    }
    status |= {name: count for name, count in counts.items() if count}
    status["observedGeneration"] = subject["metadata"].get("generation", 0)
    conditions = dig(subject, "status", "conditions", default=[])
    kept = [c for c in conditions if c.get("type") != "ReplicaFailure"]
    if kept:
        status["conditions"] = kept
    return status
