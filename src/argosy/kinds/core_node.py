"""Nodes, the Leases by which they and the leaders of controllers show that they live, and runtime classes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from argosy.kinds.cells import AGE, NONE, UNKNOWN, column
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind
from argosy.meta.objects import labels_of

_ROLE = "node-role.kubernetes.io/"


def _status(node: Obj, now: datetime) -> str:
    words = []
    for condition in dig(node, "status", "conditions", default=()):
        if condition.get("type") == "Ready":
            words = ["Ready" if condition.get("status") == "True" else "NotReady"]
    if dig(node, "spec", "unschedulable"):
        return ",".join([*(words or ["Unknown"]), "SchedulingDisabled"])
    return ",".join(words or ["Unknown"])


def _roles(node: Obj, now: datetime) -> str:
    roles = set()
    for key, value in labels_of(node).items():
        if key.startswith(_ROLE) and len(key) > len(_ROLE):
            roles.add(key.removeprefix(_ROLE))
        elif key == "kubernetes.io/role" and value:
            roles.add(value)
    return ",".join(sorted(roles)) or NONE


def _address(type: str) -> Callable[[Obj, datetime], str]:
    def cell(node: Obj, now: datetime) -> str:
        for address in dig(node, "status", "addresses", default=()):
            if address.get("type") == type:
                return str(address.get("address"))
        return NONE

    return cell


NODE = Kind(
    "", "v1", "Node", "nodes", namespaced=False, short_names=("no",), subresources=frozenset({"proxy", "status"}),
    columns=(
        Column("Status", cell=_status, description="The status of the node"),
        Column("Roles", cell=_roles, description="The roles of the node"),
        AGE,
        column("Version", "status", "nodeInfo", "kubeletVersion"),
        Column("Internal-IP", ".status.addresses", cell=_address("InternalIP"), priority=1),
        Column("External-IP", ".status.addresses", cell=_address("ExternalIP"), priority=1),
        Column("OS-Image", ".status.nodeInfo.osImage", cell=lambda o, now: dig(o, "status", "nodeInfo", "osImage") or UNKNOWN, priority=1),
        Column(
            "Kernel-Version", ".status.nodeInfo.kernelVersion", cell=lambda o, now: dig(o, "status", "nodeInfo", "kernelVersion") or UNKNOWN, priority=1
        ),
        Column(
            "Container-Runtime",
            ".status.nodeInfo.containerRuntimeVersion",
            cell=lambda o, now: dig(o, "status", "nodeInfo", "containerRuntimeVersion") or UNKNOWN,
            priority=1,
        ),
    ),
)  # fmt: skip

LEASE = Kind(
    "coordination.k8s.io", "v1", "Lease", "leases",
    columns=(column("Holder", "spec", "holderIdentity"), AGE),
)  # fmt: skip

RUNTIME_CLASS = Kind(
    "node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", namespaced=False,
    columns=(Column("Handler", cell=lambda o, now: o.get("handler", "")), AGE),
)  # fmt: skip

ALL = (NODE, LEASE, RUNTIME_CLASS)
