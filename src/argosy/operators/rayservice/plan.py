"""The decision of the RayService operator: from what is seen of one service to what should happen to it now.

There are at most two clusters: the active one, which the Services lead to, and a pending one, which takes over when all of
its applications run. Called by `argosy.control.runner`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from argosy import kinds
from argosy.clock import parse_time, rfc3339
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, is_deleting, key_of, name_of, owner_reference, uid_of
from argosy.operators.ray import cluster as ray_cluster
from argosy.operators.ray import dashboard, names, services
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.rayservice import conditions
from argosy.operators.rayservice.schema import RAY_SERVICE, READY, SUSPENDED, SUSPENDING
from argosy.operators.rayservice.service import Service, problem, read
from argosy.operators.settings import PREFIX, OperatorSettings

OWNED = (RAY_CLUSTER, kinds.SERVICE)
ACTIVE, PENDING = "activeServiceStatus", "pendingServiceStatus"
_SERVE_HASH = f"{PREFIX}serve-config"
_RETIRED = f"{PREFIX}retired-at"
_RUNNING = "RUNNING"


@dataclass(slots=True)
class _Draft:
    """What has been decided so far about one service."""

    seen: Observed
    service: Service
    status: Obj
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    again: float | None = None

    def cluster(self, side: str) -> Obj | None:
        """The active or pending cluster, once it is there."""
        name = dig(self.status, side, "rayClusterName")
        return next((each for each in self.seen.of(RAY_CLUSTER) if name_of(each) == name), None)

    def create(self, kind: Kind, obj: Obj) -> None:
        self.actions.append(Create(kind, obj))
        self.reasons.append(Reason(f"Created{kind.kind}", f"Created the {kind.kind} {key_of(obj)}"))

    def delete(self, kind: Kind, obj: Obj) -> None:
        if not is_deleting(obj):
            self.actions.append(Delete(kind, key_of(obj), uid_of(obj)))
            self.reasons.append(Reason(f"Deleted{kind.kind}", f"Deleted the {kind.kind} {key_of(obj)}"))

    def annotate(self, cluster: Obj, name: str, value: str) -> None:
        if annotations_of(cluster).get(name) != value:
            patch = {"metadata": {"annotations": {name: value}}}
            self.actions.append(Patch(RAY_CLUSTER, key_of(cluster), patch, uid=uid_of(cluster)))

    def wake_in(self, seconds: float | None) -> None:
        if seconds is not None:
            self.again = seconds if self.again is None else min(self.again, seconds)

    def plan(self) -> Plan:
        return Plan(tuple(self.actions), self.status, tuple(self.reasons), self.again)


def cluster_names(subject: Obj) -> Iterable[str]:
    """The clusters that a service has now."""
    found = (dig(subject, "status", side, "rayClusterName") for side in (ACTIVE, PENDING))
    return [name for name in found if name]


def plan(seen: Observed, settings: OperatorSettings) -> Plan:
    """Decide about one service."""
    subject = seen.subject
    service = read(subject, settings.cluster_domain)
    if service.managed_by or is_deleting(subject):
        return Plan()
    draft = _Draft(seen, service, thaw(subject.get("status") or {}))
    draft.status["observedGeneration"] = subject["metadata"].get("generation", 1)
    code, wrong = problem(service)
    if wrong:
        conditions.put(draft.status, READY, "False", "ValidationFailed", wrong, seen.now)
        draft.reasons.append(Reason(code, wrong, warning=True))
        return _stamped(draft)
    if _suspension(draft):
        return _stamped(draft)
    if not conditions.has_timed_out(draft.status):
        _serve(draft)
    if conditions.has_timed_out(draft.status) and not conditions.has_timed_out(subject.get("status") or {}):
        message = "RayService initializing timeout exceeded; delete it and create it again"
        draft.reasons.append(Reason("RayServiceInitializingTimeout", message, warning=True))
    _retire(draft)
    return _stamped(draft)


def _stamped(draft: _Draft) -> Plan:
    if draft.status != (draft.seen.subject.get("status") or {}):
        draft.status["lastUpdateTime"] = rfc3339(draft.seen.now)
    return draft.plan()


def _suspension(draft: _Draft) -> bool:
    """Take one step of a suspension; whether there is nothing else to do."""
    status, now = draft.status, draft.seen.now
    if conditions.is_true(status, SUSPENDED):
        if not draft.service.suspend:
            conditions.resumed(status, now)
        return True
    if not conditions.is_true(status, SUSPENDING):
        if draft.service.suspend:
            conditions.suspending(status, now)
        return draft.service.suspend
    remaining = [(kind, obj) for kind in OWNED for obj in draft.seen.of(kind)]
    for kind, obj in remaining:
        draft.delete(kind, obj)
    if not remaining:
        conditions.suspended(status, now)
    return True


def _serve(draft: _Draft) -> None:
    """Bring the clusters and their applications on by one step, and say how they are."""
    status = draft.status
    pending, active = draft.cluster(PENDING), draft.cluster(ACTIVE)
    if dig(status, PENDING, "rayClusterName") and pending is None:
        draft.create(RAY_CLUSTER, _cluster(draft, str(status[PENDING]["rayClusterName"])))
    for side, cluster in ((ACTIVE, active), (PENDING, pending)):
        if cluster is None:
            continue
        status[side]["rayClusterStatus"] = thaw(cluster.get("status") or {})
        _grow(draft, cluster)
        _tell_head(draft, cluster)
    ready = False
    target = pending if pending is not None else active
    if target is not None and (pending is not None or not _has_changed(draft, target)):
        side = PENDING if target is pending else ACTIVE
        ready, applications = _applications(draft, target)
        if applications is not None:
            status[side]["applicationStatuses"] = applications
    if ready and target is not None:
        _lead_to(draft, target)
        if target is pending:
            status[ACTIVE], status[PENDING] = status[PENDING], {}
    elif _needs_another(draft, active, pending):
        made = f"{draft.service.name}-{names.suffix(draft.service.uid, draft.seen.now)}"
        status[PENDING] = {"rayClusterName": made}
    status["numServeEndpoints"] = _endpoints(draft)
    draft.wake_in(conditions.served(status, draft.service.initializing_seconds, draft.seen.now))


def _needs_another(draft: _Draft, active: Obj | None, pending: Obj | None) -> bool:
    """Whether a cluster has to be prepared that takes over later."""
    if dig(draft.status, PENDING, "rayClusterName") and pending is None:
        return False  # it is being made
    if active is None and pending is None:
        return True  # nothing yet, or somebody deleted it
    cluster = pending if pending is not None else active
    return cluster is not None and draft.service.upgrades and _has_changed(draft, cluster)


def _has_changed(draft: _Draft, cluster: Obj) -> bool:
    """Whether the spec differs from the one that a cluster was made of by more than groups added at the end."""
    made_of = annotations_of(cluster).get(names.SPEC_HASH)
    return made_of not in (_hash(draft.service.cluster.spec), _hash(_without_new_groups(draft, cluster)))


def _without_new_groups(draft: _Draft, cluster: Obj) -> Obj:
    spec, count = draft.service.cluster.spec, annotations_of(cluster).get(names.WORKER_GROUPS, "")
    if not count.isdigit():
        return spec
    return {**spec, "workerGroupSpecs": (spec.get("workerGroupSpecs") or [])[: int(count)]}


def _grow(draft: _Draft, cluster: Obj) -> None:
    """Add the worker groups that the spec has gained to a cluster that runs."""
    spec, made_of = draft.service.cluster.spec, annotations_of(cluster).get(names.SPEC_HASH)
    if made_of == _hash(spec) or made_of != _hash(_without_new_groups(draft, cluster)):
        return
    known = {group.get("groupName") for group in dig(cluster, "spec", "workerGroupSpecs", default=())}
    added = [thaw(group) for group in spec.get("workerGroupSpecs") or () if group.get("groupName") not in known]
    groups = [*thaw(dig(cluster, "spec", "workerGroupSpecs", default=[])), *added]
    patch = {"metadata": {"annotations": _marks(spec)}, "spec": {"workerGroupSpecs": groups}}
    draft.actions.append(Patch(RAY_CLUSTER, key_of(cluster), patch, uid=uid_of(cluster)))
    draft.reasons.append(Reason("UpdatedRayCluster", f"Updated the RayCluster {key_of(cluster)}"))


def _tell_head(draft: _Draft, cluster: Obj) -> None:
    """Whether the head may get requests: its proxy is asked, for the readiness of a head says nothing of Serve."""
    answers = dig(draft.seen.probed, name_of(cluster), "proxy")
    if answers is None:
        return
    serves = bool(answers) and not draft.service.spec.get("excludeHeadPodFromServeSvc")
    draft.annotate(cluster, names.HEAD_SERVES, str(serves).lower())


def _applications(draft: _Draft, cluster: Obj) -> tuple[bool, Obj | None]:
    """Whether all applications of a cluster run, and their statuses if they are known; submits them where needed."""
    found = dig(draft.seen.probed, name_of(cluster))
    if not is_true(cluster, "HeadPodReady") or found is None or "applications" not in found:
        return False, None
    applications: Obj = found["applications"]
    config = draft.service.serve_config
    mark = hashlib.sha256(config.encode()).hexdigest()[:16]
    if config and (annotations_of(cluster).get(_SERVE_HASH) != mark or not applications):
        described = ray_cluster.read(cluster, draft.service.cluster.domain)
        address = dashboard.url(services.head(described, cluster, RAY_CLUSTER), described.domain)
        draft.actions.append(dashboard.call("PUT", address, dashboard.APPLICATIONS, yaml.safe_load(config)))
        draft.annotate(cluster, _SERVE_HASH, mark)
        message = f"Updated serve applications to the RayCluster {key_of(cluster)}"
        draft.reasons.append(Reason("UpdatedServeApplications", message))
        return False, applications
    running = [application.get("status") == _RUNNING for application in applications.values()]
    return bool(running) and all(running), applications


def _lead_to(draft: _Draft, cluster: Obj) -> None:
    """Make the Services, or turn them to this cluster."""
    described, subject = ray_cluster.read(cluster, draft.service.cluster.domain), draft.seen.subject
    given = draft.service.spec.get("serveService")
    wanted = [
        services.head_for_owner(described, subject, RAY_SERVICE),
        services.serve(described, subject, RAY_SERVICE, given),
    ]
    for service in wanted:
        if service is None:
            continue
        present = next((each for each in draft.seen.of(kinds.SERVICE) if name_of(each) == name_of(service)), None)
        if present is None:
            draft.create(kinds.SERVICE, service)
        elif dig(present, "spec", "selector", names.LABEL_CLUSTER) != name_of(cluster):
            changes = {name: service["spec"][name] for name in ("selector", "ports")}
            draft.actions.append(Patch(kinds.SERVICE, key_of(present), {"spec": changes}, uid=uid_of(present)))
            draft.reasons.append(Reason("UpdatedService", f"Updated the service {key_of(present)}"))


def _retire(draft: _Draft) -> None:
    """Delete clusters that have no part any more, after the time that requests under way are given."""
    kept = {dig(draft.status, side, "rayClusterName") for side in (ACTIVE, PENDING)}
    for cluster in draft.seen.of(RAY_CLUSTER):
        if name_of(cluster) in kept or is_deleting(cluster):
            continue
        since = annotations_of(cluster).get(_RETIRED, "")
        if not since:
            draft.annotate(cluster, _RETIRED, rfc3339(draft.seen.now))
            draft.wake_in(draft.service.deletion_seconds)
            continue
        left = draft.service.deletion_seconds - (draft.seen.now - parse_time(since)).total_seconds()
        if left <= 0:
            draft.delete(RAY_CLUSTER, cluster)
        else:
            draft.wake_in(left)


def _endpoints(draft: _Draft) -> int:
    ready = set()
    for part in draft.seen.related.get(kinds.ENDPOINT_SLICE, ()):
        for endpoint in part.get("endpoints") or ():
            uid = dig(endpoint, "targetRef", "uid")
            if uid and dig(endpoint, "conditions", "ready", default=False):
                ready.add(uid)
    return len(ready)


def _cluster(draft: _Draft, name: str) -> Obj:
    subject, spec = draft.seen.subject, draft.service.cluster.spec
    annotations = dict(annotations_of(subject))
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    metadata: Obj = {
        "name": name,
        "namespace": draft.service.namespace,
        "labels": {
            **(subject["metadata"].get("labels") or {}),
            **names.origin_labels("RayService", draft.service.name),
        },
        "annotations": {**annotations, **_marks(spec), names.OPERATOR_VERSION: names.KUBERAY_VERSION},
        "ownerReferences": [owner_reference(subject, RAY_SERVICE)],
    }
    return {
        "apiVersion": RAY_CLUSTER.api_version,
        "kind": RAY_CLUSTER.kind,
        "metadata": metadata,
        "spec": thaw(spec),
    }


def _marks(spec: Obj) -> Obj:
    return {names.SPEC_HASH: _hash(spec), names.WORKER_GROUPS: str(len(spec.get("workerGroupSpecs") or ()))}


def _hash(spec: Obj) -> str:
    return ray_cluster.spec_hash(spec)
