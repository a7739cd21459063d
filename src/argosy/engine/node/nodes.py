"""The nodes that this machine presents: registered, kept alive, and given up for dead when asked to be.

One engine may present several, so that scheduling over nodes can be tried on one machine; each has its share of it. A Lease
per node says that it lives; the Node's status is written again only when a condition changes, and every five minutes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from argosy import kinds
from argosy.client.client import Client
from argosy.client.requests import STRATEGIC_PATCH
from argosy.clock import Clock, rfc3339, rfc3339_micro
from argosy.control.informer import Informer
from argosy.engine.node.accelerators import Accelerators, Device, discover, share, tool
from argosy.engine.node.hardware import measure
from argosy.engine.node.node_objects import MANAGED, Strength, View, capacity, node_object, node_status
from argosy.engine.node.profiles import Profile, profiles
from argosy.engine.node.settings import NodeSettings
from argosy.errors import AlreadyExists, ApiError, Conflict, NotFound
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import Key, annotations_of, name_of, uid_of

_log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
SILENT = "argosy.dev/silent"
"""Annotation of a Node, `"true"`: it gives no sign of life, as if it had lost power or the network."""
_RENEWALS_A_LEASE = 3
STATUS_SECONDS = 300.0


class Nodes:
    """Registers the nodes and keeps them alive."""

    def __init__(self, client: Client, settings: NodeSettings, strength: Strength, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._strength = strength
        self._clock = clock
        self._machine = measure(settings.home)
        self._profiles = profiles(settings.home)
        self.accelerators = Accelerators()
        self._looking: asyncio.Task[list[Device]] | None = None
        self._nodes: dict[str, Obj] = {}
        self._leases: dict[str, Obj] = {}
        self._renewed: dict[str, datetime] = {}
        self._disk_full = False

    def allocatable(self, name: str) -> Mapping[str, str]:
        """What a node can give, for pods that ask through the downward API."""
        return capacity(self._view(name))

    def objects(self) -> Sequence[Obj]:
        """The Node objects, as they were when last written."""
        return list(self._nodes.values())

    def _view(self, name: str) -> View:
        names = self._settings.node_names
        number = names.index(name) if name in names else 0
        profile = self._profiles[number] if number < len(self._profiles) else Profile()
        return View(name, self._machine, self._settings, self._strength, profile, self.accelerators.of(name))

    async def register(self) -> None:
        """Make the Node objects what they should be, and remove those that an earlier engine presented."""
        self._disk_full = self._settings.disk_room(self._settings.home).full
        if tool() is not None:
            self._looking = asyncio.create_task(asyncio.to_thread(discover))
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
        await self._equip()
        written = loop.time()
        while True:
            try:
                await asyncio.gather(*(self._heartbeat(name, nodes) for name in self._settings.node_names))
                full = self._settings.disk_room(self._settings.home).full
                if full != self._disk_full or loop.time() - written >= STATUS_SECONDS:
                    self._disk_full = full
                    await asyncio.gather(*(self._write_status(name) for name in self._settings.node_names))
                    written = loop.time()
            except (ApiError, ConnectionError, OSError) as error:
                _log.warning("heartbeat failed, trying again: %s", error)
            await asyncio.sleep(self._settings.lease_seconds / _RENEWALS_A_LEASE)

    async def _equip(self) -> None:
        """Add the devices that were found to the nodes: the driver's tool may take longer than a start should."""
        devices = await self._looking if self._looking is not None else []
        if not devices:
            return
        names = self._settings.node_names
        self.accelerators.found({name: share(devices, n, len(names)) for n, name in enumerate(names)})
        await asyncio.gather(*(self._register(name) for name in names))

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
        wanted = node_object(self._view(name))
        try:
            node = await self._client.create(kinds.NODE, wanted)
        except AlreadyExists:
            patch: Obj = {"metadata": wanted["metadata"]}
            node = await self._client.patch(kinds.NODE, Key("", name), patch, content_type=STRATEGIC_PATCH)
            there: list[Obj] = dig(node, "spec", "taints", default=[])
            if any(taint not in there for taint in wanted["spec"].get("taints", ())):
                own = wanted["spec"]["taints"]
                others = [t for t in there if t.get("key") not in {taint.get("key") for taint in own}]
                node = await self._client.patch(kinds.NODE, Key("", name), {"spec": {"taints": [*others, *own]}})
        self._nodes[name] = node
        await asyncio.gather(self._write_status(name), self._renew(name))

    async def _write_status(self, name: str) -> None:
        now = rfc3339(self._clock.now())
        status = node_status(self._view(name), self._nodes[name], now, disk_full=self._disk_full)
        for field in ("capacity", "allocatable"):  # a patch has to name what is no more
            status[field] = {**dict.fromkeys(dig(self._nodes[name], "status", field, default={})), **status[field]}
        try:
            self._nodes[name] = await self._client.patch(
                kinds.NODE, Key("", name), {"status": status}, subresource="status", content_type=STRATEGIC_PATCH
            )
        except NotFound:  # somebody deleted the node: it is still here
            self._nodes[name] = await self._client.create(kinds.NODE, node_object(self._view(name)))

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
