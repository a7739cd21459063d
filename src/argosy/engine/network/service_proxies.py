"""Keeps every port of every Service served, as Services and EndpointSlices come and go.

The kernel leads from a Service's address to its pods where the network takes rules (`service_rules`). Everything else has a
socket here and a proxy behind it: ports on the host, backends outside the pods' network, and networks without rules.

A port that cannot be had becomes an Event on its Service, with the next step, and is tried again; the Service's other ports
work meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NoReturn, TypeAlias

from argosy.client.client import Client
from argosy.control.cache import Change
from argosy.control.events import EventRecorder
from argosy.control.informer import Informer
from argosy.control.queue import WorkQueue
from argosy.engine.network.egress_proxy import SERVICE_KEY as EGRESS_PROXY
from argosy.engine.network.health_port import HealthPort
from argosy.engine.network.kernel import Kernel
from argosy.engine.network.node_places import node_of, places
from argosy.engine.network.proxy import TcpPort
from argosy.engine.network.reach import Reach, host_socket
from argosy.engine.network.ruleset import Ruleset, union
from argosy.engine.network.service_rules import FRAME, TABLE, kernel_serves, placement_rules, service_rules
from argosy.engine.network.services import Backend, Frontend, Listen, Place, frontends, service_of, told_apart
from argosy.engine.network.settings import NetworkSettings
from argosy.engine.network.udp import UdpPort
from argosy.engine.node.runtime.spec import Level, Network
from argosy.errors import ApiError, ArgosyError
from argosy.intent import Reason
from argosy.kinds import SERVICE
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of

_log = logging.getLogger(__name__)

BY_SERVICE = "service"
"""The index of EndpointSlices by `namespace/name` of their Service."""
_AGAIN_SECONDS = 5.0
_BY_THEMSELVES = frozenset({Key("default", "kubernetes"), EGRESS_PROXY})
"""The API server and the way out for HTTP are at their Services' addresses by themselves."""

_Port: TypeAlias = TcpPort | UdpPort | HealthPort


def index_slices(slices: Informer) -> None:
    """Have the informer of EndpointSlices keep the index `BY_SERVICE`."""
    slices.index(BY_SERVICE, lambda each: (str(service_of(each)),))


class ServiceProxies:
    """All Services' ports."""

    def __init__(
        self,
        network: Network,
        services: Informer,
        slices: Informer,
        nodes: Informer,
        pods: Informer,
        *,
        client: Client,
        recorder: EventRecorder,
        settings: NetworkSettings,
        kernel: Kernel | None = None,
    ) -> None:
        self._network = network
        self._services, self._slices, self._nodes, self._pods = services, slices, nodes, pods
        self._places = places((), settings.host_address)
        self._node_of: dict[str, str] = {}
        """The node that each pod's address is on."""
        self._client, self._recorder, self._settings = client, recorder, settings
        self._kernel = kernel
        self._reach = Reach(network, settings.pod_cidr)
        self._rules: dict[Key, Ruleset] = {}
        """What the kernel does for each Service."""
        self._rules_changed = asyncio.Event()
        self._moved: dict[tuple[str, int], tuple[Backend, ...]] = {}
        """UDP addresses whose backends have changed: conversations with the old ones must end."""
        self._ports: dict[Key, dict[Listen, _Port]] = {}
        self._taken: dict[Listen, Key] = {}
        self._troubles: dict[Key, frozenset[str]] = {}
        self._apart: set[Key] = set()
        """Services that treat clients by the node that they are on."""
        self._queue: WorkQueue[Key] = WorkQueue()
        index_slices(slices)

    async def run(self) -> NoReturn:
        """Follow Services and their endpoints until cancelled."""
        followed = (self._services, self._slices, self._nodes, self._pods)
        stops = [self._services.listen(self._on(key_of)), self._slices.listen(self._on(service_of))]
        stops += [self._nodes.listen(self._on_nodes), self._pods.listen(self._on_pods)]
        try:
            for informer in followed:
                await informer.synced()
            self._on_nodes(())
            self._on_pods([Change("ADDED", pod, None) for pod in self._pods.items()])
            for service in self._services.items():
                self._queue.add(key_of(service))
                self._note_apart(key_of(service), service)
                self._without_kernel(key_of(service), self._wanted(service))  # the first rules are those of all
            async with asyncio.TaskGroup() as group:
                if self._kernel is not None:
                    group.create_task(self._load(self._kernel), name="Service rules")
                group.create_task(self._follow(), name="Service ports")
        finally:
            for stop in stops:
                stop()
            for key in list(self._ports):
                self._close(key, self._ports[key])
        raise AssertionError("both follow until cancelled")

    async def _follow(self) -> NoReturn:
        while True:
            key = await self._queue.get()
            try:
                await self._reconcile(key)
            except Exception:
                _log.exception("the proxy of Service %s failed", key)
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)

    async def _load(self, kernel: Kernel) -> NoReturn:
        """Have the kernel follow; what changes meanwhile goes there together."""
        self._rules_changed.set()
        while True:
            await self._rules_changed.wait()
            self._rules_changed.clear()
            try:
                moved, self._moved = self._moved, {}
                await kernel.put(TABLE, union([FRAME, placement_rules(self._pods_by_node()), *self._rules.values()]))
                if moved:
                    await self._network.forget_flows(moved)
            except ArgosyError:
                _log.exception("the kernel's rules for Services are out of date")

    def _on(self, key: Callable[[Obj], Key]) -> Callable[[Sequence[Change]], None]:
        def changed(changes: Sequence[Change]) -> None:
            for change in changes:
                self._queue.add(key(change.obj))

        return changed

    def _on_nodes(self, changes: Sequence[Change]) -> None:
        """Nodes come, go and are given addresses: their ports follow."""
        found = places(self._nodes.items(), self._settings.host_address)
        if found != self._places:
            self._places = found
            for service in self._services.items():
                self._queue.add(key_of(service))

    def _on_pods(self, changes: Sequence[Change]) -> None:
        for change in changes:
            address, node = node_of(change.obj)
            if change.type != "DELETED" and address and node:
                moved = self._node_of.get(address) != node
                self._node_of[address] = node
            else:
                gone = str(dig(change.obj, "status", "podIP", default=""))
                moved = self._node_of.get(gone) == node and not dig(change.obj, "spec", "hostNetwork")
                if moved:
                    del self._node_of[gone]
            if moved and self._apart:
                self._rules_changed.set()

    def _pods_by_node(self) -> dict[str, list[str]]:
        """Only while some Service asks for it."""
        found: dict[str, list[str]] = {}
        for address, node in self._node_of.items() if self._apart else ():
            found.setdefault(node, []).append(address)
        return found

    async def _reconcile(self, key: Key) -> None:
        service = self._services.get(key)
        self._note_apart(key, service)
        wanted = self._without_kernel(key, self._wanted(service))
        ports = self._ports.setdefault(key, {})
        self._close(key, [listen for listen in ports if listen not in wanted])
        troubles = [trouble for each in wanted.values() if (trouble := await self._serve(key, each))]
        if service is None:
            self._ports.pop(key, None)
            self._troubles.pop(key, None)
            return
        self._tell(key, service, troubles)
        if troubles:
            self._queue.add_after(key, _AGAIN_SECONDS)
        await self._write_status(service, [each.listen for each in wanted.values() if each.listen in ports])

    def _wanted(self, service: Obj | None) -> dict[Listen, Frontend]:
        if service is None or key_of(service) in _BY_THEMSELVES:
            return {}
        slices = self._slices.indexed(BY_SERVICE, str(key_of(service)))
        host = self._settings.host_address
        return {each.listen: each for each in frontends(service, slices, self._places, host)}

    def _without_kernel(self, key: Key, wanted: dict[Listen, Frontend]) -> dict[Listen, Frontend]:
        """Leave to the kernel what it can serve; returns the rest."""
        if self._kernel is None:
            return wanted
        served = [each for each in wanted.values() if kernel_serves(each, self._reach.pods)]
        for each in served:
            self._network.add_local_address(each.listen.address)
        rules = service_rules(key, served, self._reach.pods) if served else None
        if rules != self._rules.get(key):
            self._rules_changed.set()
            udp = [each for each in served if each.listen.protocol == "UDP"]
            self._moved |= {(each.listen.address, each.listen.port): each.backends for each in udp}
            if rules is None:
                del self._rules[key]
            else:
                self._rules[key] = rules
        return {listen: each for listen, each in wanted.items() if each not in served}

    async def _serve(self, key: Key, frontend: Frontend) -> str:
        """Have one port listen; returns what is wrong, as a sentence with the next step."""
        listen = frontend.listen
        holder = self._taken.get(listen)
        if holder is not None and holder != key:
            return f"port {listen.port} on {listen.address} is taken by Service {holder}; choose another port"
        port = self._ports[key].get(listen)
        if port is None:
            port = self._open(frontend)
        try:
            if listen.place is Place.CLUSTER:
                self._network.add_local_address(listen.address)
            await port.update(frontend)
        except OSError as error:
            port.close()
            self._ports[key].pop(listen, None)
            self._taken.pop(listen, None)
            return _explain(listen, error)
        self._ports[key][listen] = port
        self._taken[listen] = key
        return ""

    def _open(self, frontend: Frontend) -> _Port:
        listen = frontend.listen
        listener = self._network.socket if listen.place is Place.CLUSTER else host_socket
        if frontend.health_of is not None:
            return HealthPort(listen, listener)
        proxy = UdpPort if listen.protocol == "UDP" else TcpPort
        return proxy(listen, listener, self._reach.socket, lambda client: self._node_of.get(client, ""))

    def _close(self, key: Key, listens: Iterable[Listen]) -> None:
        for listen in list(listens):
            self._ports[key].pop(listen).close()
            if self._taken.pop(listen, None) is not None:
                # Another Service may have waited for it.
                for other in self._troubles:
                    self._queue.add(other)

    def _tell(self, key: Key, service: Obj, troubles: Sequence[str]) -> None:
        before = self._troubles.get(key, frozenset())
        for trouble in troubles:
            if trouble not in before:
                self._recorder.emit(SERVICE, service, Reason("PortNotServed", trouble, warning=True))
        if troubles:
            self._troubles[key] = frozenset(troubles)
        else:
            self._troubles.pop(key, None)

    def _note_apart(self, key: Key, service: Obj | None) -> None:
        """Note whether a Service tells clients apart; where pods share the host's network, nothing does."""
        if service is None or not told_apart(service) or len(self._places) < 2:
            self._apart.discard(key)
            return
        if key in self._apart:
            return
        self._apart.add(key)
        self._rules_changed.set()
        if self._network.level is Level.L2:
            return
        why = (
            f"internalTrafficPolicy: Local has no effect, since at isolation {self._network.level} pods share the host's"
            " network and nothing tells on which node a client is; run where isolation L2 is possible"
        )
        self._recorder.emit(SERVICE, service, Reason("TrafficPolicyIgnored", why, warning=True))

    async def _write_status(self, service: Obj, served: Sequence[Listen]) -> None:
        """A load balancer's address, once it has all its ports."""
        if dig(service, "spec", "type") != "LoadBalancer":
            return
        outside = [listen for listen in served if listen.place is Place.HOST]
        ports = {(p["port"], p.get("protocol") or "TCP") for p in service["spec"].get("ports") or ()}
        complete = ports <= {(listen.port, listen.protocol) for listen in outside}
        ingress = [{"ip": self._settings.host_address, "ipMode": "Proxy"}] if complete else []
        if (dig(service, "status", "loadBalancer", "ingress") or []) == ingress:
            return
        with suppress(ApiError, ConnectionError):
            patch = {"status": {"loadBalancer": {"ingress": ingress or None}}}
            await self._client.patch(SERVICE, key_of(service), patch, subresource="status")


def _explain(listen: Listen, error: OSError) -> str:
    where = f"port {listen.port} on {listen.address}"
    match error.errno:
        case errno.EACCES:
            return (
                f"{where} needs privileges that Argosy does not have; use a port from 1024 up,"
                " or run where isolation L2 is possible"
            )
        case errno.EADDRINUSE:
            return f"{where} is in use by another program; end that one (ss -ltnp shows it) or choose another port"
        case errno.EADDRNOTAVAIL:
            return f"{listen.address} is not an address of this cluster's network; let the cluster choose the clusterIP"
    return f"{where} cannot be served ({error.strerror or error}); it will be tried again"
