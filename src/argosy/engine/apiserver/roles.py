"""The roles and bindings that every cluster has: the four that people are given, and those by which clients find out
what the server is. Pure data; `bootstrap` stores it.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy import kinds
from argosy.meta.json import Obj
from argosy.meta.kind import Kind

_RBAC = "rbac.authorization.k8s.io"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_AGGREGATE = f"{_RBAC}/aggregate-to-"

_FORMER = (
    "daemonsets", "deployments", "deployments/scale", "ingresses", "networkpolicies", "replicasets",
    "replicasets/scale", "replicationcontrollers/scale",
)  # fmt: skip
"""What stood in the group `extensions` once, and still does in roles."""

_VIEWED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", (
        "configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods",
        "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services", "services/status",
    )),
    ("", (
        "bindings", "events", "limitranges", "namespaces/status", "pods/log", "pods/status",
        "replicationcontrollers/status", "resourcequotas", "resourcequotas/status",
    )),
    ("", ("namespaces",)),
    ("discovery.k8s.io", ("endpointslices",)),
    ("events.k8s.io", ("events",)),
    ("extensions", (
        *_FORMER, "daemonsets/status", "deployments/status", "ingresses/status", "replicasets/status",
    )),
    ("apps", (
        "controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale",
        "deployments/status", "replicasets", "replicasets/scale", "replicasets/status", "statefulsets",
        "statefulsets/scale", "statefulsets/status",
    )),
    ("autoscaling", ("horizontalpodautoscalers", "horizontalpodautoscalers/status")),
    ("batch", ("cronjobs", "cronjobs/status", "jobs", "jobs/status")),
    ("policy", ("poddisruptionbudgets", "poddisruptionbudgets/status")),
    ("networking.k8s.io", ("ingresses", "ingresses/status", "networkpolicies")),
    ("resource.k8s.io", ("resourceclaims", "resourceclaims/status", "resourceclaimtemplates")),
)  # fmt: skip

_EDITED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy")),
    ("", (
        "configmaps", "events", "persistentvolumeclaims", "replicationcontrollers", "replicationcontrollers/scale",
        "secrets", "serviceaccounts", "services", "services/proxy",
    )),
    ("apps", (
        "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale",
        "statefulsets", "statefulsets/scale",
    )),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("batch", ("cronjobs", "jobs")),
    ("policy", ("poddisruptionbudgets",)),
    ("extensions", (*_FORMER, "deployments/rollback")),
    ("networking.k8s.io", ("ingresses", "networkpolicies")),
    ("resource.k8s.io", ("resourceclaims", "resourceclaimtemplates")),
)  # fmt: skip


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Obj:
    return {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources)}


def _role(name: str, rules: list[Obj], *, parts: Sequence[str] = (), into: str = "") -> tuple[Kind, Obj]:
    """A ClusterRole; `parts` names the aggregates that it is made of, `into` the one that it is part of."""
    labels = dict(_LABELS) | ({f"{_AGGREGATE}{into}": "true"} if into else {})
    role: Obj = {"metadata": {"name": name, "labels": labels}, "rules": rules}
    if parts:
        selectors = [{"matchLabels": {f"{_AGGREGATE}{part}": "true"}} for part in parts]
        role["aggregationRule"] = {"clusterRoleSelectors": selectors}
    return kinds.CLUSTER_ROLE, role


def _binding(name: str, role: str, groups: Sequence[str]) -> tuple[Kind, Obj]:
    return kinds.CLUSTER_ROLE_BINDING, {
        "metadata": {"name": name, "labels": dict(_LABELS)},
        "subjects": [{"kind": "Group", "apiGroup": _RBAC, "name": group} for group in groups],
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
    }


def _view() -> list[Obj]:
    return [_rule(group, resources, _READ) for group, resources in _VIEWED]


def _edit() -> list[Obj]:
    reads = [
        _rule("", ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"), _READ),
        _rule("", ("serviceaccounts",), ("impersonate",)),
        _rule("", ("pods/eviction", "serviceaccounts/token"), ("create",)),
        _rule("coordination.k8s.io", ("leases",), (*_WRITE, *_READ)),
    ]
    return reads + [_rule(group, resources, _WRITE) for group, resources in _EDITED]


def _admin() -> list[Obj]:
    return [
        _rule("authorization.k8s.io", ("localsubjectaccessreviews",), ("create",)),
        _rule(_RBAC, ("rolebindings", "roles"), (*_WRITE, *_READ)),
    ]


def defaults() -> list[tuple[Kind, Obj]]:
    """Every default role and binding."""
    everything: list[Obj] = [
        _rule("*", ("*",), ("*",)),
        {"verbs": ["*"], "nonResourceURLs": ["*"]},
    ]
    paths = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
             "/version", "/version/"]  # fmt: skip
    public = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
    themselves = [
        _rule("authorization.k8s.io", ("selfsubjectaccessreviews", "selfsubjectrulesreviews"), ("create",)),
        _rule("authentication.k8s.io", ("selfsubjectreviews",), ("create",)),
    ]
    view, edit, admin = _view(), _edit(), _admin()
    return [
        _role("cluster-admin", everything),
        _role("admin", admin + edit + view, parts=("admin",)),
        _role("edit", edit + view, parts=("edit",)),
        _role("view", view, parts=("view",)),
        _role("system:aggregate-to-admin", admin, into="admin"),
        _nested("system:aggregate-to-edit", edit, ("admin", "edit")),
        _nested("system:aggregate-to-view", view, ("admin", "edit", "view")),
        _role("system:discovery", [{"verbs": ["get"], "nonResourceURLs": paths}]),
        _role("system:basic-user", themselves),
        _role("system:public-info-viewer", [{"verbs": ["get"], "nonResourceURLs": public}]),
        _role(
            "system:monitoring",
            [{"verbs": ["get"], "nonResourceURLs": [*public[:3], "/healthz/*", "/livez/*", "/metrics", "/readyz/*"]}],
        ),
        _binding("cluster-admin", "cluster-admin", ["system:masters"]),
        _binding("system:discovery", "system:discovery", ["system:authenticated"]),
        _binding("system:basic-user", "system:basic-user", ["system:authenticated"]),
        _binding(
            "system:public-info-viewer", "system:public-info-viewer", ["system:authenticated", "system:unauthenticated"]
        ),
    ]


def _nested(name: str, rules: list[Obj], into: Sequence[str]) -> tuple[Kind, Obj]:
    kind, role = _role(name, rules)
    role["metadata"]["labels"] |= {f"{_AGGREGATE}{part}": "true" for part in into}
    return kind, role
