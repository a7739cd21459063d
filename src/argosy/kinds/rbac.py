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


def _binding_columns(noun: str, refers_to: str) -> tuple[Column, ...]:
    """The columns of either binding; `noun` is what it calls itself, `refers_to` what its role may be."""
    return (
        Column(
            "Role",
            cell=lambda o, now: f"{dig(o, 'roleRef', 'kind', default='')}/{dig(o, 'roleRef', 'name')}",
            description=(
                f"RoleRef can {refers_to} in the global namespace. If the RoleRef cannot be resolved, the Authorizer"
                " must return an error."
            ),
        ),
        AGE,
        Column("Users", cell=_subjects("User"), priority=1, description=f"Users in the {noun}"),
        Column("Groups", cell=_subjects("Group"), priority=1, description=f"Groups in the {noun}"),
        Column(
            "ServiceAccounts",
            cell=_subjects("ServiceAccount"),
            priority=1,
            description=f"ServiceAccounts in the {noun}",
        ),
    )


ROLE = Kind(_GROUP, "v1", "Role", "roles", columns=(CREATED_AT,))
CLUSTER_ROLE = Kind(_GROUP, "v1", "ClusterRole", "clusterroles", namespaced=False, columns=(CREATED_AT,))
ROLE_BINDING = Kind(_GROUP, "v1", "RoleBinding", "rolebindings",
    columns=_binding_columns("roleBinding", "reference a Role in the current namespace or a ClusterRole"),
)  # fmt: skip
CLUSTER_ROLE_BINDING = Kind(
    _GROUP,
    "v1",
    "ClusterRoleBinding",
    "clusterrolebindings",
    namespaced=False,
    columns=_binding_columns("clusterRoleBinding", "only reference a ClusterRole"),
)

ALL = (CLUSTER_ROLE_BINDING, CLUSTER_ROLE, ROLE_BINDING, ROLE)
