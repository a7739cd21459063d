"""The Node objects that this machine presents, and their heartbeats.

One engine may present several nodes, so that scheduling over nodes can be tried on one machine; each reports the whole
machine. A Lease per node says that it lives; the Node's status is written again only when a condition changes, and every
five minutes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from argosy import __version__, kinds
from argosy.client.client import Client
from argosy.client.requests import STRATEGIC_PATCH
from argosy.clock import Clock, rfc3339, rfc3339_micro
from argosy.control.informer import Informer
from argosy.engine.node.runtime.spec import Level
from argosy.engine.node.settings import NodeSettings
from argosy.errors import AlreadyExists, ApiError, Conflict, NotFound
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import Key, annotations_of, name_of, uid_of

_log = logging.getLogger(__name__)

ISOLATION = "argosy.dev/isolation"
"""Label and annotation: the isolation level of a node's pods (on a pod: the level that it demands)."""
ENFORCES = "argosy.dev/enforces"
"""Annotation: the limits that the kernel enforces for a node's pods, `cpu,memory,pids`; the rest is watched or approximated."""
LIMITS_ENFORCED = "LimitsEnforced"
MANAGED = "argosy.dev/machine"
KUBELET_VERSION = "v1.36.0"
LEASE_NAMESPACE = "kube-node-lease"
SILENT = "argosy.dev/silent"
"""Annotation of a Node, `"true"`: it gives no sign of life, as if it had lost power or the network."""
_RENEWALS_A_LEASE = 3
STATUS_SECONDS = 300.0
_DISK_FREE_MIN = 0.03


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine has."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    host_name: str
    info: Mapping[str, str]


def measure(home: Path) -> Machine:
    """Look at the machine."""
    disk = os.statvfs(home)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    info = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": f"argosy://{__version__}",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET_VERSION,
        "machineID": _read("/etc/machine-id"),
        "operatingSystem": "linux",
        "osImage": _os_image(),
        "systemUUID": _read("/etc/machine-id"),
    }
    cpus = len(os.sched_getaffinity(0))
    return Machine(cpus, _limited(memory), disk.f_blocks * disk.f_frsize, platform.node(), info)


def _limited(memory: int) -> int:
    """The memory of the cgroup that the engine itself lives in, where that is less than the machine's."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _read(path)
        if text.isdigit():
            return min(memory, int(text))
    return memory


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image() -> str:
    for line in _read("/etc/os-release").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip('"')
    return "Linux"


def disk_is_full(home: Path) -> bool:
    """Whether so little is free that pods would fail."""
    disk = os.statvfs(home)
    return disk.f_bavail < disk.f_blocks * _DISK_FREE_MIN


def resources(machine: Machine, settings: NodeSettings) -> dict[str, str]:
    """A node's capacity."""
    return {
        "cpu": str(machine.cpus),
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": str(settings.pods_max),
        **settings.extra_resources,
    }


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


def node_object(name: str, machine: Machine, settings: NodeSettings, strength: Strength) -> Obj:
    """A Node without its status."""
    level = strength.level
    labels = {
        "beta.kubernetes.io/arch": machine.info["architecture"],
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.info["architecture"],
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        ISOLATION: level.value,
        MANAGED: machine.host_name[:63].strip("-_.") or "machine",
        **settings.node_labels,
    }
    node: Obj = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {ISOLATION: level.value, ENFORCES: ",".join(sorted(strength.enforces))},
        },
        "spec": {"podCIDR": settings.pod_cidr, "podCIDRs": [settings.pod_cidr], "providerID": f"argosy://{name}"},
    }
    if settings.taints:
        node["spec"]["taints"] = list(settings.taints)
    return node


def node_status(
    machine: Machine, settings: NodeSettings, node: Obj, now: str, strength: Strength, *, disk_full: bool
) -> Obj:
    """A Node's status; transition times of conditions that have not changed are kept."""
    before = {c.get("type"): c for c in dig(node, "status", "conditions", default=[])}
    told = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure")
        if disk_full
        else ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        strength.limits(),
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
    capacity = resources(machine, settings)
    return {
        "addresses": [
            {"type": "InternalIP", "address": settings.host_address},
            {"type": "Hostname", "address": name_of(node)},
        ],
        "allocatable": capacity,
        "capacity": capacity,
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": dict(machine.info),
    }


class Nodes:
    """Registers the nodes and keeps them alive."""

    def __init__(self, client: Client, settings: NodeSettings, strength: Strength, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._strength = strength
        self._clock = clock
        self.machine = measure(settings.home)
        self._nodes: dict[str, Obj] = {}
        self._leases: dict[str, Obj] = {}
        self._renewed: dict[str, datetime] = {}
        self._disk_full = False

    @property
    def allocatable(self) -> Mapping[str, str]:
        """What a node can give, for pods that ask through the downward API."""
        return resources(self.machine, self._settings)

    async def register(self) -> None:
        """Make the Node objects what they should be, and remove those that an earlier engine presented."""
        self._disk_full = disk_is_full(self._settings.home)
        await asyncio.gather(*(self._register(name) for name in self._settings.node_names))
        listed = await self._client.list(kinds.NODE, labels=MANAGED)
        for node in listed.items:
            if name_of(node) not in self._settings.node_names:
                try:
                    await self._client.delete(kinds.NODE, Key("", name_of(node)), uid=uid_of(node))
                except ApiError as error:
                    _log.warning("cannot remove the former node %s: %s", name_of(node), error)

    async def run(self, nodes: Informer) -> None:
        """Renew leases and statuses until cancelled; `nodes` tells which of them should be silent."""
        loop = asyncio.get_running_loop()
        written = loop.time()
        while True:
            try:
                await asyncio.gather(*(self._heartbeat(name, nodes) for name in self._settings.node_names))
                full = disk_is_full(self._settings.home)
                if full != self._disk_full or loop.time() - written >= STATUS_SECONDS:
                    self._disk_full = full
                    await asyncio.gather(*(self._write_status(name) for name in self._settings.node_names))
                    written = loop.time()
            except (ApiError, ConnectionError, OSError) as error:
                _log.warning("heartbeat failed, trying again: %s", error)
            await asyncio.sleep(self._settings.lease_seconds / _RENEWALS_A_LEASE)

    async def _heartbeat(self, name: str, nodes: Informer) -> None:
        if annotations_of(nodes.get(Key("", name)) or {"metadata": {}}).get(SILENT) == "true":
            return
        await self._renew(name)
        now = self._clock.now()
        last = self._renewed.get(name, now)
        self._renewed[name] = now
        if (now - last).total_seconds() > self._settings.lease_seconds:
            await self._write_status(name)  # it was given up for dead meanwhile: the machine slept, say

    async def _register(self, name: str) -> None:
        wanted = node_object(name, self.machine, self._settings, self._strength)
        try:
            node = await self._client.create(kinds.NODE, wanted)
        except AlreadyExists:
            patch: Obj = {"metadata": wanted["metadata"]}
            node = await self._client.patch(kinds.NODE, Key("", name), patch, content_type=STRATEGIC_PATCH)
        self._nodes[name] = node
        await asyncio.gather(self._write_status(name), self._renew(name))

    async def _write_status(self, name: str) -> None:
        now = rfc3339(self._clock.now())
        node, full = self._nodes[name], self._disk_full
        status = node_status(self.machine, self._settings, node, now, self._strength, disk_full=full)
        try:
            self._nodes[name] = await self._client.patch(
                kinds.NODE, Key("", name), {"status": status}, subresource="status", content_type=STRATEGIC_PATCH
            )
        except NotFound:  # somebody deleted the node: it is still here
            self._nodes[name] = await self._client.create(
                kinds.NODE, node_object(name, self.machine, self._settings, self._strength)
            )

    async def _renew(self, name: str) -> None:
        now = rfc3339_micro(self._clock.now())
        known = self._leases.get(name)
        spec: Obj = {"holderIdentity": name, "leaseDurationSeconds": self._settings.lease_seconds, "renewTime": now}
        try:
            if known is not None:
                lease = thaw(known)
                lease["spec"] = spec
                self._leases[name] = await self._client.update(kinds.LEASE, lease)
                return
            node = self._nodes.get(name)
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid_of(node) if node else ""}
            meta: Obj = {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
            self._leases[name] = await self._client.create(
                kinds.LEASE,
                {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec},
            )
        except AlreadyExists:
            self._leases[name] = await self._client.get(kinds.LEASE, name, LEASE_NAMESPACE)
            await self._renew(name)
        except (Conflict, NotFound):
            self._leases.pop(name, None)


def refusal(pod: Obj, level: Level) -> tuple[str, str] | None:
    """Why this node may not run a pod: a demand for isolation that it cannot meet is refused, never run without it."""
    wanted = (pod["metadata"].get("annotations") or {}).get(ISOLATION)
    if wanted and wanted > level.value:
        message = (
            f"the pod demands isolation {wanted} by its annotation {ISOLATION} and this machine gives {level.value}; "
            "lower the demand, or run it on a machine that gives more"
        )
        return "IsolationUnavailable", message
    return None
