"""Ray's own autoscaler: the container beside the head, and what it may do to the cluster it scales.

`ray kuberay-autoscaler` reads the pods, patches `workerGroupSpecs[].replicas` and names the `workersToDelete`. Pure.
"""

from __future__ import annotations

from argosy import kinds
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import owner_reference
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Cluster
from argosy.operators.raycluster.environment import from_field
from argosy.operators.raycluster.schema import RAY_CLUSTER

CONTAINER = "autoscaler"
_COMMAND = "ray kuberay-autoscaler --cluster-name $(RAY_CLUSTER_NAME) --cluster-namespace $(RAY_CLUSTER_NAMESPACE)"
_RESOURCES: Obj = {
    "limits": {"cpu": "500m", "memory": "512Mi"},
    "requests": {"cpu": "500m", "memory": "512Mi"},
}
_RULES: list[Obj] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": [""], "resources": ["pods/resize"], "verbs": ["patch"]},
    {"apiGroups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["get", "patch"]},
]


def container(cluster: Cluster) -> Obj:
    """The autoscaler's container, with what `autoscalerOptions` change about it."""
    options: Obj = thaw(cluster.spec.get("autoscalerOptions") or {})
    env = [
        from_field("RAY_CLUSTER_NAME", f"metadata.labels['{names.LABEL_CLUSTER}']"),
        from_field("RAY_CLUSTER_NAMESPACE", "metadata.namespace"),
        from_field("RAY_HEAD_POD_NAME", "metadata.name"),
        {"name": "KUBERAY_CRD_VER", "value": names.VERSION},
        {"name": "KUBERAY_GEN_AUTOSCALER_START_CMD", "value": _COMMAND},
        *(options.get("env") or ()),
    ]
    made: Obj = {
        "name": CONTAINER,
        "image": options.get("image") or cluster.head_container.get("image"),
        "imagePullPolicy": options.get("imagePullPolicy") or "IfNotPresent",
        "env": env,
        "command": options.get("command") or list(names.SHELL),
        "args": options.get("args") or [_COMMAND],
        "resources": options.get("resources") or thaw(_RESOURCES),
    }
    for field in ("envFrom", "volumeMounts", "securityContext"):
        if options.get(field):
            made[field] = options[field]
    return made


def rights(cluster: Cluster, subject: Obj) -> list[tuple[Kind, Obj]]:
    """The account, unless the user names one, and its Role in the cluster's namespace."""
    account, role = names.clipped(cluster.autoscaler_account), names.clipped(cluster.name)
    made: list[tuple[Kind, Obj]] = []
    if cluster.autoscaler_account == cluster.name:
        made.append((kinds.SERVICE_ACCOUNT, _object(kinds.SERVICE_ACCOUNT, account, cluster, subject)))
    made.append((kinds.ROLE, _object(kinds.ROLE, role, cluster, subject) | {"rules": thaw(_RULES)}))
    binding = _object(kinds.ROLE_BINDING, role, cluster, subject)
    binding["subjects"] = [{"kind": "ServiceAccount", "name": account, "namespace": cluster.namespace}]
    binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
    made.append((kinds.ROLE_BINDING, binding))
    return made


def _object(kind: Kind, name: str, cluster: Cluster, subject: Obj) -> Obj:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": {
                names.LABEL_CLUSTER: cluster.name,
                names.LABEL_APP: names.APP,
                names.LABEL_CREATED_BY: names.COMPONENT,
            },
            "ownerReferences": [owner_reference(subject, RAY_CLUSTER)],
        },
    }
