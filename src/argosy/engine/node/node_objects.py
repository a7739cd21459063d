"""The Node objects of this machine as values: what is told of each. Pure; `nodes` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.engine.node.accelerators import NVIDIA, Device, labels
from argosy.engine.node.demands import ISOLATION
from argosy.engine.node.hardware import Machine
from argosy.engine.node.profiles import Profile
from argosy.engine.node.runtime.spec import Level
from argosy.engine.node.settings import NodeSettings
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of

ENFORCES = "argosy.dev/enforces"
"""Annotation: the limits that the kernel enforces for a node's pods, `cpu,memory,pids`; the rest is watched or approximated."""
LIMITS_ENFORCED = "LimitsEnforced"
MANAGED = "argosy.dev/machine"


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly this machine sets pods apart, and which of their limits the kernel enforces."""

    level: Level
    enforces: frozenset[str] = frozenset()

    def limits(self) -> tuple[str, str, str, str]:
        """What is told about limits, as a condition: type, status, reason, message."""
        lacking = [name for name in _INSTEAD if name not in self.enforces]
        if not lacking:
            return LIMITS_ENFORCED, "True", "ControlGroups", "the kernel enforces limits on memory, CPU and processes"
        told = "; ".join(f"{name}: {_INSTEAD[name]}" for name in lacking)
        advice = "an administrator can delegate a control group to this user"
        return LIMITS_ENFORCED, "False", "NoControlGroups", f"{told} ({advice})"


_INSTEAD = {
    "memory": "a watchdog looks every half second and kills what exceeds its limit, so a quick one may overshoot",
    "cpu": "a container's processes are kept to as many processors as its limit rounds up to",
    "pids": "not limited",
}


@dataclass(frozen=True, slots=True)
class View:
    """One node: its part of the machine, and what makes it different from the others."""

    name: str
    machine: Machine
    settings: NodeSettings
    strength: Strength
    profile: Profile = field(default_factory=Profile)
    devices: Sequence[Device] = ()


def capacity(view: View) -> Mapping[str, str]:
    """A node's share of the machine: nodes of one machine have equal parts of it."""
    machine, settings = view.machine, view.settings
    milli_cpus, rest = divmod(machine.cpus * 1000 // settings.nodes, 1000)
    return {
        "cpu": str(milli_cpus) if not rest else f"{milli_cpus * 1000 + rest}m",
        "ephemeral-storage": f"{machine.disk_bytes // settings.nodes // 1024}Ki",
        "memory": f"{machine.memory_bytes // settings.nodes // 1024}Ki",
        "pods": str(settings.pods_max),
        **({NVIDIA: str(len(view.devices))} if view.devices else {}),
        **settings.extra_resources,
        **view.profile.resources,
    }


def node_object(view: View) -> Obj:
    """A Node without its status."""
    machine, settings, strength = view.machine, view.settings, view.strength
    node_labels = {
        "beta.kubernetes.io/arch": machine.info["architecture"],
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.info["architecture"],
        "kubernetes.io/hostname": view.name,
        "kubernetes.io/os": "linux",
        ISOLATION: strength.level.value,
        MANAGED: machine.host_name[:63].strip("-_.") or "machine",
        **labels(view.devices),
        **settings.node_labels,
        **view.profile.labels,
    }
    annotations = {ISOLATION: strength.level.value, ENFORCES: ",".join(sorted(strength.enforces))}
    spec: Obj = {"podCIDR": settings.pod_cidr, "podCIDRs": [settings.pod_cidr], "providerID": f"argosy://{view.name}"}
    if settings.taints or view.profile.taints:
        spec["taints"] = [*settings.taints, *view.profile.taints]
    meta: Obj = {"name": view.name, "labels": node_labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec}


def node_status(view: View, node: Obj, now: str, *, disk_full: bool) -> Obj:
    """A Node's status; transition times of conditions that have not changed are kept."""
    before = {c.get("type"): c for c in dig(node, "status", "conditions", default=[])}
    told = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure")
        if disk_full
        else ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        view.strength.limits(),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    )
    conditions = [
        {
            "type": type,
            "status": status,
            "lastHeartbeatTime": now,
            "lastTransitionTime": before[type].get("lastTransitionTime")
            if before.get(type, {}).get("status") == status
            else now,
            "reason": reason,
            "message": message,
        }
        for type, status, reason, message in told
    ]
    amounts = capacity(view)
    place = view.settings.place_of(view.name)
    outside = [{"type": "ExternalIP", "address": place.external}] if place.external != place.internal else []
    return {
        "addresses": [
            {"type": "InternalIP", "address": place.internal},
            *outside,
            {"type": "Hostname", "address": name_of(node)},
        ],
        "allocatable": amounts,
        "capacity": amounts,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": dict(view.machine.info),
    }
