"""What NetworkPolicies say, with pods and namespaces resolved to addresses. Pure.

`policy_rules` turns it into the kernel's rules. A pod that no policy selects may talk to everybody; one that is selected
for a direction may only do there what some policy allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses, ip_network
from typing import NamedTuple

from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of, labels_of, name_of, namespace_of
from argosy.meta.selectors import from_object

INGRESS, EGRESS = "Ingress", "Egress"
_PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod as policies see it."""

    namespace: str
    labels: Mapping[str, str]
    address: str
    ports: tuple[tuple[str, str, int], ...] = ()
    """(name, protocol, number) of its named ports."""


class Ports(NamedTuple):
    """Ports that one rule allows for a protocol: ranges, first and last."""

    protocol: str
    ranges: tuple[tuple[int, int], ...]


class NamedPort(NamedTuple):
    """A port by its name, with the (address, number) pairs that it stands for."""

    protocol: str
    pairs: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Allowed:
    """One rule of a policy: with whom, and on which ports of the one that listens."""

    anybody: bool
    pods: frozenset[str]
    """Addresses."""
    blocks: tuple[IPv4Network, ...]
    any_port: bool
    ports: tuple[Ports, ...]
    named: tuple[NamedPort, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """One policy. A direction that it does not govern is None; one that it governs without a rule allows nothing."""

    key: Key
    selected: frozenset[str]
    """Addresses of the pods that it is about."""
    ingress: tuple[Allowed, ...] | None
    egress: tuple[Allowed, ...] | None


def endpoint_of(pod: Obj, address: str = "") -> Endpoint | None:
    """The pod for policies; None for one without an address of its own. `address` is for one whose status has none yet."""
    spec = pod.get("spec") or {}
    address = str(dig(pod, "status", "podIP") or address)
    if not address or spec.get("hostNetwork") or dig(pod, "status", "phase") in ("Succeeded", "Failed"):
        return None
    ports = tuple(
        (str(port["name"]), str(port.get("protocol") or "TCP"), int(port["containerPort"]))
        for group in ("containers", "initContainers")
        for container in spec.get(group) or ()
        for port in container.get("ports") or ()
        if port.get("name")
    )
    return Endpoint(namespace_of(pod), labels_of(pod), address, ports)


def resolve(policies: Iterable[Obj], namespaces: Iterable[Obj], endpoints: Sequence[Endpoint]) -> tuple[Resolved, ...]:
    """Every policy with addresses in the place of selectors, in order of keys."""
    world = _World({name_of(each): labels_of(each) for each in namespaces}, endpoints)
    return tuple(_resolve(policy, world) for policy in sorted(policies, key=key_of))


class _World:
    """Who is there."""

    def __init__(self, namespaces: Mapping[str, Mapping[str, str]], endpoints: Sequence[Endpoint]) -> None:
        self.namespaces = namespaces
        self.everybody = endpoints
        self._of: dict[str, list[Endpoint]] = {}
        for endpoint in endpoints:
            self._of.setdefault(endpoint.namespace, []).append(endpoint)

    def pods(self, namespaces: Iterable[str], selector: Obj | None) -> list[Endpoint]:
        wanted = from_object(selector or {})
        return [e for name in namespaces for e in self._of.get(name, ()) if wanted.matches(e.labels)]

    def selected_namespaces(self, selector: Obj) -> list[str]:
        wanted = from_object(selector)
        return [name for name, labels in self.namespaces.items() if wanted.matches(labels)]


def _resolve(policy: Obj, world: _World) -> Resolved:
    spec = policy.get("spec") or {}
    own = world.pods([namespace_of(policy)], spec.get("podSelector"))
    types = spec.get("policyTypes") or [INGRESS, *([EGRESS] if spec.get("egress") else [])]
    ingress = egress = None
    if INGRESS in types:
        ingress = tuple(_allowed(rule, "from", policy, world, own) for rule in spec.get("ingress") or ())
    if EGRESS in types:
        egress = tuple(_allowed(rule, "to", policy, world, None) for rule in spec.get("egress") or ())
    return Resolved(key_of(policy), frozenset(e.address for e in own), ingress, egress)


def _allowed(rule: Obj, side: str, policy: Obj, world: _World, listening: Sequence[Endpoint] | None) -> Allowed:
    """`listening` are those whose ports are meant; None: the peers themselves."""
    peers = rule.get(side) or ()
    pods: dict[str, Endpoint] = {}
    blocks: list[IPv4Network] = []
    for peer in peers:
        if peer.get("ipBlock"):
            blocks += _block(peer["ipBlock"])
            continue
        namespaces = [namespace_of(policy)]
        if peer.get("namespaceSelector") is not None:
            namespaces = world.selected_namespaces(peer["namespaceSelector"])
        pods.update((e.address, e) for e in world.pods(namespaces, peer.get("podSelector")))
    if listening is None:
        listening = world.everybody if not peers else list(pods.values())
    given = rule.get("ports") or ()
    return Allowed(
        anybody=not peers,
        pods=frozenset(pods),
        blocks=tuple(collapse_addresses(blocks)),
        any_port=not given,
        ports=tuple(_numbered(given)),
        named=tuple(_named(given, listening)),
    )


def _block(block: Obj) -> Iterator[IPv4Network]:
    """An ipBlock without its exceptions. Blocks of IPv6 name nobody: pods have IPv4."""
    whole = ip_network(block["cidr"], strict=False)
    if not isinstance(whole, IPv4Network):
        return
    left = [whole]
    for text in block.get("except") or ():
        hole = ip_network(text, strict=False)
        if isinstance(hole, IPv4Network):
            left = [piece for one in left for piece in _without(one, hole)]
    yield from left


def _without(network: IPv4Network, hole: IPv4Network) -> Iterable[IPv4Network]:
    if not network.overlaps(hole):
        return (network,)
    return network.address_exclude(hole) if hole.subnet_of(network) else ()


def _numbered(ports: Iterable[Obj]) -> Iterator[Ports]:
    ranges: dict[str, list[tuple[int, int]]] = {}
    for entry in ports:
        port = entry.get("port")
        if isinstance(port, str):
            continue
        first = port or 0
        last = entry.get("endPort") or first or _PORT_MAX
        ranges.setdefault(str(entry.get("protocol") or "TCP"), []).append((first, last))
    for protocol, found in ranges.items():
        yield Ports(protocol, tuple(_merged(found)))


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same ports without overlaps, which the kernel refuses."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _named(ports: Iterable[Obj], listening: Iterable[Endpoint]) -> Iterator[NamedPort]:
    for entry in ports:
        if isinstance(entry.get("port"), str):
            wanted = (entry["port"], str(entry.get("protocol") or "TCP"))
            pairs = {
                (e.address, number)
                for e in listening
                for name, protocol, number in e.ports
                if (name, protocol) == wanted
            }
            yield NamedPort(wanted[1], frozenset(pairs))
