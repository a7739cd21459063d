"""Namespaces, what limits them, and the configuration that pods read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from argosy.kinds.cells import AGE, CREATED_AT, column
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind

NAMESPACE = Kind(
    "", "v1", "Namespace", "namespaces", namespaced=False, short_names=("ns",),
    subresources=frozenset({"finalize", "status"}),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    columns=(column("Status", "status", "phase", about="The status of the namespace"), AGE),
)  # fmt: skip


def _entries(*fields: str) -> Callable[[Obj, datetime], int]:
    return lambda obj, now: sum(len(obj.get(field) or ()) for field in fields)


CONFIG_MAP = Kind(
    "", "v1", "ConfigMap", "configmaps", short_names=("cm",),
    columns=(Column("Data", ".data", cell=_entries("data", "binaryData")), AGE),
)  # fmt: skip

SECRET = Kind(
    "", "v1", "Secret", "secrets",
    columns=(column("Type", "type"), Column("Data", ".data", cell=_entries("data")), AGE),
)  # fmt: skip

SERVICE_ACCOUNT = Kind(
    "", "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=frozenset({"token"}),
    columns=(AGE,),
)  # fmt: skip

LIMIT_RANGE = Kind("", "v1", "LimitRange", "limitranges", short_names=("limits",), columns=(CREATED_AT,))


def _used(limits: bool) -> Callable[[Obj, datetime], str]:
    def cell(quota: Obj, now: datetime) -> str:
        hard, used = dig(quota, "status", "hard", default={}), dig(quota, "status", "used", default={})
        return ", ".join(
            f"{name}: {used.get(name, '0')}/{hard[name]}"
            for name in sorted(hard)
            if name.startswith("limits.") == limits
        )

    return cell


RESOURCE_QUOTA = Kind(
    "", "v1", "ResourceQuota", "resourcequotas", short_names=("quota",), subresources=frozenset({"status"}),
    columns=(
        Column(
            "Request", cell=_used(limits=False),
            description="Request represents a minimum amount of cpu/memory that a container may consume.",
        ),
        Column(
            "Limit", cell=_used(limits=True),
            description="Limits control the maximum amount of cpu/memory that a container may use independent of"
            " contention on the node.",
        ),
        AGE,
    ),
)  # fmt: skip

COMPONENT_STATUS = Kind(
    "", "v1", "ComponentStatus", "componentstatuses", namespaced=False, short_names=("cs",), verbs=("get", "list"),
    columns=(
        column("Status", "conditions", 0, "status", about="Status of the component conditions"),
        column("Message", "conditions", 0, "message", about="Message of the component conditions"),
        column("Error", "conditions", 0, "error", about="Error of the component conditions"),
    ),
)  # fmt: skip

ALL = (NAMESPACE, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, LIMIT_RANGE, RESOURCE_QUOTA, COMPONENT_STATUS)
