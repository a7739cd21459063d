"""Where a DaemonSet's pods belong, and what such a pod looks like. Pure."""

from __future__ import annotations

from argosy.engine.controllers.history import POD_LABEL, hash_of
from argosy.engine.controllers.pods import pod_from_template
from argosy.engine.scheduler.terms import fits_node_labels, untolerated
from argosy.kinds import DAEMON_SET
from argosy.meta.json import Obj, dig
from argosy.meta.objects import labels_of, name_of

_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def tolerations(spec: Obj) -> list[Obj]:
    """The template's own and those that every daemon has."""
    added = [*_TOLERATED, _HOST_NETWORK] if spec.get("hostNetwork") else list(_TOLERATED)
    mine = list(spec.get("tolerations") or [])
    for key, effect in added:
        toleration = {"key": key, "operator": "Exists", "effect": effect}
        if toleration not in mine:
            mine.append(toleration)
    return mine


def belongs(daemon_set: Obj, node: Obj) -> tuple[bool, bool]:
    """(a pod should be made there, one that is there may stay): NoSchedule keeps out but does not turn out."""
    spec = daemon_set["spec"]["template"].get("spec") or {}
    if spec.get("nodeName") and spec["nodeName"] != name_of(node):
        return False, False
    if not fits_node_labels(spec, labels_of(node), name_of(node)):
        return False, False
    taints = dig(node, "spec", "taints", default=())
    allowed = tolerations(spec)
    stays = untolerated(allowed, taints, ("NoExecute",)) is None
    return stays and untolerated(allowed, taints) is None, stays


def node_of(pod: Obj) -> str:
    """The node a pod is on, or is meant for."""
    bound = dig(pod, "spec", "nodeName")
    if bound:
        return str(bound)
    path = ("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    for term in dig(pod, *path, default=()):
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""


def make_pod(daemon_set: Obj, name: str, node: str, revision: Obj) -> Obj:
    """The pod for a node: it goes through the scheduler, which can put it nowhere else."""
    pod = pod_from_template(daemon_set["spec"]["template"], daemon_set, DAEMON_SET, name)
    pod["metadata"]["labels"] |= {POD_LABEL: hash_of(revision)}
    spec = dict(pod["spec"])
    spec["tolerations"] = tolerations(spec)
    affinity = dict(spec.get("affinity") or {})
    node_affinity = dict(affinity.get("nodeAffinity") or {})
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    only = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    terms = [{**term, "matchFields": only} for term in required.get("nodeSelectorTerms") or [{}]]
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    spec["affinity"] = {**affinity, "nodeAffinity": node_affinity}
    pod["spec"] = spec
    return pod
