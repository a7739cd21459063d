"""What a Service listens on, and who answers. Pure.

`ServiceProxies` opens the sockets; Ingress and DNS ask the same questions of the same endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, ip_address, ip_network
from typing import NamedTuple

from argosy.engine.network.node_places import NodePlace
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of, labels_of, namespace_of

SERVICE_LABEL = "kubernetes.io/service-name"
_AFFINITY_SECONDS = 10_800
_NOBODY = IPv4Network("255.255.255.255/32")
_HERE = (NodePlace("", "127.0.0.1"),)


class Place(StrEnum):
    """In which network something listens."""

    CLUSTER = "cluster"
    HOST = "host"


class Listen(NamedTuple):
    """One socket that clients connect to."""

    place: Place
    address: str
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.address}:{self.port}/{self.protocol}"


class Backend(NamedTuple):
    """One address that answers."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Frontend:
    """One socket of a Service with those who answer there."""

    listen: Listen
    backends: tuple[Backend, ...]
    affinity_seconds: int = 0
    """How long a client stays with the backend it had; 0: no affinity."""
    sources: tuple[IPv4Network, ...] = ()
    """The only clients that are let in; empty: everybody."""
    near: tuple[tuple[str, tuple[Backend, ...]], ...] | None = None
    """Where pods are answered by those of their own node alone (`internalTrafficPolicy: Local`): who answers on each node."""
    health_of: Key | None = None
    """Whose local endpoints are told about here over HTTP (`healthCheckNodePort`): `backends` are those."""

    def on_node(self, node: str) -> tuple[Backend, ...]:
        """Who answers a client on a node; the empty name is a client that is on none."""
        if self.near is None or not node:
            return self.backends
        return dict(self.near).get(node, ())

    def lets_in(self, client: str) -> bool:
        """Whether a client's address is one of those."""
        return not self.sources or any(ip_address(client) in each for each in self.sources)


def service_of(slice: Obj) -> Key:
    """The Service that an EndpointSlice is about; its name is empty for a slice of no Service."""
    return Key(namespace_of(slice), labels_of(slice).get(SERVICE_LABEL) or "")


def is_headless(service: Obj) -> bool:
    """Whether a Service has no address of its own."""
    return (dig(service, "spec", "clusterIP") or "None") == "None"


def is_external(service: Obj) -> bool:
    """Whether a Service is only another name for something outside."""
    return bool(dig(service, "spec", "type") == "ExternalName")


def frontends(
    service: Obj, slices: Sequence[Obj], nodes: Sequence[NodePlace] = _HERE, host_address: str = "127.0.0.1"
) -> tuple[Frontend, ...]:
    """Every socket that a Service wants, none for one without an address.

    `nodes` are those whose ports NodePorts are; load balancers are at `host_address`.
    """
    if is_headless(service) or is_external(service):
        return ()
    spec = service["spec"]
    affinity = 0
    if spec.get("sessionAffinity") == "ClientIP":
        affinity = dig(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds", default=_AFFINITY_SECONDS)
    sources = _source_ranges(spec)
    found: dict[Listen, Frontend] = {}
    for port in spec.get("ports") or ():
        name, protocol = port.get("name") or "", port.get("protocol") or "TCP"
        answering = backends(service, slices, name)
        near = _near(service, slices, name, nodes)
        listen = Listen(Place.CLUSTER, spec["clusterIP"], port["port"], protocol)
        found.setdefault(listen, Frontend(listen, answering, affinity, near=near))
        if port.get("nodePort") and spec.get("type") in ("NodePort", "LoadBalancer"):
            for node, listen in _on_nodes(nodes, port["nodePort"], protocol):
                here = backends(service, slices, name, {node.name}) if _stays_outside(spec) else answering
                found.setdefault(listen, Frontend(listen, here, affinity))
        if spec.get("type") == "LoadBalancer":
            listen = Listen(Place.HOST, host_address, port["port"], protocol)
            found.setdefault(listen, Frontend(listen, answering, affinity, sources))
    found |= {each.listen: each for each in _health_checks(service, slices, nodes) if each.listen not in found}
    return tuple(found.values())


def told_apart(service: Obj) -> bool:
    """Whether a Service treats clients by the node that they are on."""
    return dig(service, "spec", "internalTrafficPolicy") == "Local" and not is_external(service)


def _stays_outside(spec: Obj) -> bool:
    return bool(spec.get("externalTrafficPolicy") == "Local")


def _near(
    service: Obj, slices: Sequence[Obj], port_name: str, nodes: Sequence[NodePlace]
) -> tuple[tuple[str, tuple[Backend, ...]], ...] | None:
    if not told_apart(service) or len(nodes) < 2:
        return None
    return tuple((node.name, backends(service, slices, port_name, {node.name})) for node in nodes)


def _on_nodes(nodes: Iterable[NodePlace], port: int, protocol: str) -> Iterator[tuple[NodePlace, Listen]]:
    for node in nodes:
        yield node, Listen(Place.HOST, node.outer, port, protocol)
        if node.inner:
            yield node, Listen(Place.CLUSTER, node.inner, port, protocol)


def _health_checks(service: Obj, slices: Sequence[Obj], nodes: Sequence[NodePlace]) -> Iterator[Frontend]:
    """What load balancers ask each node: whether anybody answers there."""
    spec = service["spec"]
    if not (port := spec.get("healthCheckNodePort")) or not _stays_outside(spec):
        return
    for node, listen in _on_nodes(nodes, port, "TCP"):
        names = {each.get("name") or "" for each in spec.get("ports") or ()}
        here = {each for name in names for each in _ready_at(slices, name, {node.name})}
        yield Frontend(listen, tuple(sorted(here)), health_of=key_of(service))


def _ready_at(slices: Sequence[Obj], port_name: str, nodes: Collection[str]) -> Iterator[Backend]:
    """Those on some nodes that are ready and stay."""

    def stays(conditions: Obj) -> bool:
        return conditions.get("ready") is not False and not conditions.get("terminating")

    return _backends(slices, port_name, stays, nodes)


def backends(service: Obj, slices: Iterable[Obj], port_name: str, nodes: Collection[str] = ()) -> tuple[Backend, ...]:
    """Who answers for one port of a Service, in order of addresses; with `nodes`, who does on one of these.

    Hints of topology are not followed: all nodes are one machine.

    Endpoints that are ready and stay; failing that, those that are ready or still serve while they terminate.
    """
    all_slices = list(slices)
    early = bool(dig(service, "spec", "publishNotReadyAddresses"))

    def is_ready(conditions: Obj) -> bool:
        return early or conditions.get("ready") is not False

    def stays(conditions: Obj) -> bool:
        return is_ready(conditions) and not conditions.get("terminating")

    for wanted in (stays, is_ready, _still_serves):
        found = set(_backends(all_slices, port_name, wanted, nodes))
        if found:
            return tuple(sorted(found))
    return ()


def port_name_of(service: Obj, port: int | str) -> str | None:
    """The name of the Service's port with this number or name (the only port may have none); None: no such port."""
    for entry in dig(service, "spec", "ports", default=()):
        name = entry.get("name") or ""
        if (port == entry["port"]) if isinstance(port, int) else (port == name):
            return str(name)
    return None


def why_nobody_answers(service: Obj, slices: Iterable[Obj]) -> str:
    """For a Service without backends: the reason, and where to look next."""
    known = [endpoint for slice in slices for endpoint in slice.get("endpoints") or ()]
    name = f"{namespace_of(service)}/{service['metadata']['name']}"
    if known:
        waiting = len(known)
        return (
            f"none of the {waiting} pods of Service {name} is ready; see: kubectl -n {namespace_of(service)} get pods"
        )
    selector = dig(service, "spec", "selector")
    if selector:
        wanted = ",".join(f"{k}={v}" for k, v in selector.items())
        return f"no pod of Service {name} is there; see: kubectl -n {namespace_of(service)} get pods -l {wanted}"
    return f"Service {name} has no selector and no EndpointSlice; give it one of them"


def _source_ranges(spec: Obj) -> tuple[IPv4Network, ...]:
    """Whom a load balancer is for. The API has checked them; those of IPv6 mean nobody here."""
    ranges = [ip_network(str(each).strip(), strict=False) for each in spec.get("loadBalancerSourceRanges") or ()]
    mine = tuple(each for each in ranges if isinstance(each, IPv4Network))
    return mine or ((_NOBODY,) if ranges else ())


def _backends(
    slices: Iterable[Obj], port_name: str, wanted: Callable[[Obj], bool], nodes: Collection[str]
) -> Iterator[Backend]:
    for slice in slices:
        if slice.get("addressType", "IPv4") != "IPv4":
            continue
        numbers = [p["port"] for p in slice.get("ports") or () if (p.get("name") or "") == port_name and p.get("port")]
        if not numbers:
            continue
        for endpoint in slice.get("endpoints") or ():
            if nodes and (endpoint.get("nodeName") or "") not in nodes:
                continue
            if wanted(endpoint.get("conditions") or {}):
                for address in endpoint.get("addresses") or ():
                    yield Backend(address, numbers[0])


def _still_serves(conditions: Obj) -> bool:
    return bool(conditions.get("serving") and conditions.get("terminating"))
