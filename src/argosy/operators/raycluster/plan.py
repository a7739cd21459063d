"""The decision of the RayCluster operator: from what is seen of one cluster to what should happen to it now.

Called by `argosy.control.runner` whenever the cluster or something of its own changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy import kinds
from argosy.clock import parse_time
from argosy.intent import Action, Create, Delete, Observed, Patch, Plan, Reason
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, labels_of, name_of, namespace_of, owner_reference, uid_of
from argosy.operators.ray import names, services
from argosy.operators.ray.checks import cluster_problem, name_problem
from argosy.operators.ray.cluster import Cluster, Group, read, spec_hash
from argosy.operators.raycluster import autoscaler, fault_tolerance, groups, pods, status
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.settings import OperatorSettings

OWNED = (
    kinds.POD,
    kinds.SERVICE,
    kinds.SERVICE_ACCOUNT,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.INGRESS,
    kinds.SECRET,
    kinds.PERSISTENT_VOLUME_CLAIM,
    kinds.JOB,
)


@dataclass(slots=True)
class _Draft:
    """What has been decided so far about one cluster."""

    seen: Observed
    cluster: Cluster
    actions: list[Action] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    again: float | None = None

    def create(self, kind: Kind, obj: Obj, word: str = "") -> None:
        word = word or kind.kind
        self.actions.append(Create(kind, obj))
        self.reasons.append(Reason(f"Created{word.replace(' ', '')}", f"Created {_lower(word)} {key_of(obj)}"))

    def delete(self, pod: Obj, why: str) -> None:
        word = "head" if _is_head(pod) else "worker"
        self.actions.append(Delete(kinds.POD, key_of(pod), uid_of(pod)))
        self.reasons.append(Reason(f"Deleted{word.capitalize()}Pod", f"Deleted {word} Pod {key_of(pod)}; {why}"))

    def wake_in(self, seconds: float | None) -> None:
        if seconds is not None:
            self.again = seconds if self.again is None else min(self.again, seconds)

    @property
    def pods(self) -> list[Obj]:
        return list(self.seen.of(kinds.POD))


def plan(seen: Observed, settings: OperatorSettings) -> Plan:
    """Decide about one cluster."""
    subject = seen.subject
    cluster = read(subject, settings.cluster_domain)
    if cluster.managed_by:
        return Plan()
    draft = _Draft(seen, cluster)
    if is_deleting(subject):
        return _deleted(draft)
    wrong = name_problem("RayCluster", cluster.name, names.MAX_CLUSTER_NAME)
    code = "InvalidRayClusterMetadata" if wrong else "InvalidRayClusterSpec"
    wrong = wrong or cluster_problem(cluster)
    if wrong:
        message = f"The RayCluster cannot be run as it is given: {wrong}"
        return Plan((), status.invalid(subject, message, seen.now), (Reason(code, message, warning=True),))
    finalizers = subject["metadata"].get("finalizers") or []
    if fault_tolerance.uses_redis(cluster) and names.REDIS_FINALIZER not in finalizers:
        patch = {"metadata": {"finalizers": [*finalizers, names.REDIS_FINALIZER]}}
        draft.actions.append(Patch(RAY_CLUSTER, key_of(subject), patch, uid=uid_of(subject)))
    _around(draft)
    _pods(draft)
    report = status.report(cluster, subject, draft.pods, seen.of(kinds.SERVICE), seen.now)
    return Plan(tuple(draft.actions), report, tuple(draft.reasons), draft.again)


def _around(draft: _Draft) -> None:
    """Everything but the pods: made once, and again when somebody deletes it."""
    cluster, subject = draft.cluster, draft.seen.subject
    wanted: list[tuple[Kind, Obj | None]] = [(kinds.SERVICE, services.head(cluster, subject, RAY_CLUSTER))]
    if cluster.autoscales:
        wanted += autoscaler.rights(cluster, subject)
    if cluster.head.get("enableIngress") is True:
        wanted.append((kinds.INGRESS, _ingress(cluster, subject)))
    if any(group.hosts > 1 for group in cluster.groups()):
        wanted.append((kinds.SERVICE, services.workers(cluster, subject, RAY_CLUSTER)))
    if cluster.annotations.get(names.ENABLE_SERVE_SERVICE) == "true":
        wanted.append((kinds.SERVICE, services.serve(cluster, subject, RAY_CLUSTER)))
    wanted.append((kinds.PERSISTENT_VOLUME_CLAIM, fault_tolerance.claim(cluster, subject)))
    token = dig(draft.seen.probed, "token", default="")
    if cluster.token_auth and token and not dig(cluster.spec, "authOptions", "secretName"):
        wanted.append((kinds.SECRET, _secret(cluster, subject, token)))
    for kind, obj in wanted:
        if obj is not None and not any(name_of(child) == name_of(obj) for child in draft.seen.of(kind)):
            draft.create(kind, obj)


def _pods(draft: _Draft) -> None:
    cluster, subject = draft.cluster, draft.seen.subject
    if status.suspension(subject) == status.SUSPENDING:
        _clear(draft, "due to suspension")
        return
    if cluster.suspend or status.suspension(subject) == status.SUSPENDED:
        return
    heads = [pod for pod in draft.pods if _is_head(pod)]
    if dig(cluster.spec, "upgradeStrategy", "type") == "Recreate" and heads and _is_outdated(heads[0], cluster):
        _clear(draft, "due to spec change with Recreate upgradeStrategy")
        return
    if not heads:
        if not (cluster.annotations.get(names.KEEP_HEAD_DOWN) == "true" and _was_provisioned(subject)):
            made = pods.head(cluster, subject, _name(draft, "", 0))
            draft.create(kinds.POD, made, "HeadPod")
    elif why := groups.ended(heads[0]):
        wait = groups.settled_in(heads[0], draft.seen.now)
        draft.wake_in(wait)
        if wait is None and not is_deleting(heads[0]):
            draft.delete(heads[0], why)
    if heads and cluster.creator == "RayService":
        _serving(draft, heads[0])
    for group in cluster.groups():
        _group(draft, group)


def _serving(draft: _Draft, head: Obj) -> None:
    """Let requests to Ray Serve come to the head, or not, as the RayService says."""
    wanted = draft.cluster.annotations.get(names.HEAD_SERVES, "false")
    if labels_of(head).get(names.LABEL_SERVE) != wanted:
        patch = {"metadata": {"labels": {names.LABEL_SERVE: wanted}}}
        draft.actions.append(Patch(kinds.POD, key_of(head), patch, uid=uid_of(head)))
        message = f"Updated the serve label to {wanted!r} for the Head Pod {key_of(head)}"
        draft.reasons.append(Reason("UpdatedHeadPodServeLabel", message))


def _group(draft: _Draft, group: Group) -> None:
    mine = [pod for pod in draft.pods if labels_of(pod).get(names.LABEL_GROUP) == group.name and not _is_head(pod)]
    change = groups.decide(group, mine, draft.seen.now, autoscaled=draft.cluster.autoscales)
    for pod, why in change.gone:
        draft.delete(pod, why)
    for number, host in enumerate(change.hosts):
        name = _name(draft, group.name, number)
        made = pods.worker(draft.cluster, draft.seen.subject, group, host, name)
        draft.create(kinds.POD, made, "WorkerPod")
    draft.wake_in(change.again_in_seconds)


def _clear(draft: _Draft, why: str) -> None:
    for pod in draft.pods:
        if not is_deleting(pod):
            draft.delete(pod, why)


def _deleted(draft: _Draft) -> Plan:
    """Clear Redis before a cluster that kept its state there goes; the pods first, for they still write to it."""
    subject, seen = draft.seen.subject, draft.seen
    finalizers = subject["metadata"].get("finalizers") or []
    if names.REDIS_FINALIZER not in finalizers:
        return Plan()
    _clear(draft, "because the RayCluster is deleted")
    left = _deadline(subject) - (seen.now - parse_time(subject["metadata"]["deletionTimestamp"])).total_seconds()
    job = next(iter(seen.of(kinds.JOB)), None)
    over = any(
        condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed", "FailureTarget")
        for condition in dig(job, "status", "conditions", default=())
    )
    if left <= 0 or over or not fault_tolerance.uses_redis(draft.cluster):
        rest = [name for name in finalizers if name != names.REDIS_FINALIZER]
        draft.actions.append(Patch(RAY_CLUSTER, key_of(subject), {"metadata": {"finalizers": rest}}))
        if left <= 0:
            message = "Redis could not be cleared in time; delete what the cluster left in its storage namespace"
            draft.reasons.append(Reason("ForceDeletedStuckCluster", message, warning=True))
    elif not draft.pods and job is None:
        head = pods.head(draft.cluster, subject, "head")
        draft.create(kinds.JOB, fault_tolerance.cleaner(head, draft.cluster, subject), "RedisCleanupJob")
    draft.wake_in(max(left, 0.1))
    return Plan(tuple(draft.actions), None, tuple(draft.reasons), draft.again)


def _deadline(subject: Obj) -> float:
    text = (subject["metadata"].get("annotations") or {}).get(names.FT_DELETION_TIMEOUT, "")
    return float(text) if text.isdigit() and int(text) else float(fault_tolerance.DELETION_SECONDS)


def _ingress(cluster: Cluster, subject: Obj) -> Obj:
    options: Obj = cluster.head.get("ingressOptions") or {}
    annotations = dict(cluster.annotations)
    class_name = annotations.pop("kubernetes.io/ingress.class", "")
    port = services.ports(cluster).get("dashboard", names.DASHBOARD_PORT)
    backend = {"service": {"name": cluster.head_service, "port": {"number": port}}}
    path = {"path": options.get("path") or "/", "pathType": options.get("pathType") or "Prefix", "backend": backend}
    rule: Obj = {"http": {"paths": [path]}}
    if options.get("host"):
        rule["host"] = options["host"]
    spec: Obj = {"rules": [rule]}
    if options.get("tls"):
        spec["tls"] = thaw(options["tls"])
    if class_name:
        spec["ingressClassName"] = class_name
    labels = {name: value for name, value in names.head_labels(cluster.name).items() if name != names.LABEL_NODE_TYPE}
    metadata = {"labels": labels, "annotations": annotations}
    return _object(kinds.INGRESS, names.clipped(f"{cluster.name}-head-ingress"), subject, metadata) | {"spec": spec}


def _secret(cluster: Cluster, subject: Obj, token: str) -> Obj:
    metadata = {"labels": {names.LABEL_CLUSTER: cluster.name}}
    return _object(kinds.SECRET, cluster.token_secret, subject, metadata) | {"stringData": {"auth_token": token}}


def _object(kind: Kind, name: str, subject: Obj, metadata: Obj) -> Obj:
    own = {"name": name, "namespace": namespace_of(subject), "ownerReferences": [owner_reference(subject, RAY_CLUSTER)]}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {**own, **metadata}}


def _name(draft: _Draft, group: str, number: int) -> str:
    """A pod's name that none had before: whoever deletes pods by name must not meet a namesake."""
    taken = {name_of(pod) for pod in draft.pods}
    prefix = names.pod_prefix(draft.cluster.name, group)
    for attempt in range(len(taken) + 1):
        name = prefix + names.suffix(draft.cluster.uid, group, number, attempt, draft.seen.now)
        if name not in taken:
            return name
    raise AssertionError("more attempts than names")


def _is_head(pod: Obj) -> bool:
    return labels_of(pod).get(names.LABEL_NODE_TYPE) == names.HEAD


def _is_outdated(head: Obj, cluster: Cluster) -> bool:
    made_of = (head["metadata"].get("annotations") or {}).get(names.RECREATE_HASH, "")
    return bool(made_of) and made_of != spec_hash(cluster.spec)


def _was_provisioned(subject: Obj) -> bool:
    conditions = dig(subject, "status", "conditions", default=())
    return any(c.get("type") == status.PROVISIONED and c.get("status") == "True" for c in conditions)


def _lower(word: str) -> str:
    return {"HeadPod": "head Pod", "WorkerPod": "worker Pod", "RedisCleanupJob": "Redis cleanup Job"}.get(word, word)
