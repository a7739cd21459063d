"""Roles and bindings: who may do what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from argosy.kinds.cells import AGE, CREATED_AT
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind

_GROUP = "rbac.authorization.k8s.io"


def _subjects(kind: str) -> Callable[[Obj, datetime], str]:
    def cell(binding: Obj, now: datetime) -> str:
        named = []
        for subject in binding.get("subjects") or ():
            if subject.get("kind") == kind:
                prefix = f"{subject.get('namespace', '')}/" if kind == "ServiceAccount" else ""
                named.append(f"{prefix}{subject.get('name', '')}")
        return ", ".join(named)

    return cell


_BINDING_COLUMNS = (
    Column(
        "Role",
        cell=lambda o, now: f"{dig(o, 'roleRef', 'kind', default='')}/{dig(o, 'roleRef', 'name')}",
        description=(
            "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the"
            " RoleRef cannot be resolved, the Authorizer must return an error."
        ),
    ),
    AGE,
    Column("Users", cell=_subjects("User"), priority=1, description="Users in the roleBinding"),
    Column("Groups", cell=_subjects("Group"), priority=1, description="Groups in the roleBinding"),
    Column(
        "ServiceAccounts",
        cell=_subjects("ServiceAccount"),
        priority=1,
        description="ServiceAccounts in the roleBinding",
    ),
)

ROLE = Kind(_GROUP, "v1", "Role", "roles", columns=(CREATED_AT,))
CLUSTER_ROLE = Kind(_GROUP, "v1", "ClusterRole", "clusterroles", namespaced=False, columns=(CREATED_AT,))
ROLE_BINDING = Kind(_GROUP, "v1", "RoleBinding", "rolebindings", columns=_BINDING_COLUMNS)
CLUSTER_ROLE_BINDING = Kind(
    _GROUP, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False, columns=_BINDING_COLUMNS
)

ALL = (CLUSTER_ROLE_BINDING, CLUSTER_ROLE, ROLE_BINDING, ROLE)
