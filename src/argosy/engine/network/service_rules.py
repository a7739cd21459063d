"""Services as nftables rules: a connection to a Service's address goes straight to a backend, in the kernel. Pure.

`ServiceProxies` asks which of a Service's sockets the kernel can serve and has `kernel` load what comes out of here. The
client's own address arrives at the pod, so NetworkPolicies see who really talks to whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network, ip_address

from argosy.engine.network.ruleset import EMPTY, Chain, Collection, Ruleset, union
from argosy.engine.network.services import Backend, Frontend, Place
from argosy.meta.objects import Key

TABLE = "argosy-services"

_PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})
_SERVICES = "services"
_HAIRPINS = "hairpins"
_LOOKUP = f"ip daddr . meta l4proto . th dport vmap @{_SERVICES}"

FRAME = Ruleset(
    {
        _SERVICES: Collection("type ipv4_addr . inet_proto . inet_service : verdict;", kind="map"),
        _HAIRPINS: Collection("type ipv4_addr . ipv4_addr;"),
    },
    {
        "prerouting": Chain((_LOOKUP,), "type nat hook prerouting priority -100;"),
        "output": Chain((_LOOKUP,), "type nat hook output priority -100;"),
        # A pod that reaches itself through a Service would get the answer from itself and not from the Service.
        "postrouting": Chain(
            (f"ip saddr . ip daddr @{_HAIRPINS} masquerade",), "type nat hook postrouting priority 100;"
        ),
    },
)
"""What is there without any Service."""


def kernel_serves(frontend: Frontend, pods: IPv4Network) -> bool:
    """Whether the kernel can lead to all who answer: pods. What lies outside the pods' network needs a proxy."""
    listen = frontend.listen
    inside = all(ip_address(backend.address) in pods for backend in frontend.backends)
    serves = listen.place is Place.CLUSTER and listen.protocol in _PROTOCOLS
    return serves and inside and frontend.health_of is None


def placement_rules(pods: Mapping[str, Iterable[str]]) -> Ruleset:
    """Which addresses are on which node, for Services whose pods answer those of their own node."""
    sets = {_on(node): Collection("type ipv4_addr;", frozenset(addresses)) for node, addresses in pods.items()}
    return Ruleset(sets, {})


def service_rules(key: Key, frontends: Iterable[Frontend], pods: IPv4Network) -> Ruleset:
    """One Service's part. Where nobody answers there is no rule: the address is the node's own and refuses at once."""
    collections = dict(FRAME.collections)
    chains: dict[str, Chain] = {}
    lookups: set[str] = set()
    names: dict[object, str] = {}
    hairpins: set[str] = set()
    for frontend in frontends:
        if not frontend.backends:
            continue
        listen = frontend.listen
        protocol = listen.protocol.lower()
        # The ports of all nodes are one Service's, and often lead to the same pods as its own address.
        like = (protocol, frontend.backends, frontend.affinity_seconds, frontend.near)
        name = names.setdefault(like, f"{listen.address}-{listen.port}-{protocol}")
        lookups.add(f"{listen.address} . {protocol} . {listen.port} : goto service-{name}")
        if f"service-{name}" in chains:
            continue
        hairpins.update(f"{backend.address} . {backend.address}" for backend in frontend.backends)
        more, rules = _rules(name, frontend, pods)
        collections |= more.collections
        chains |= more.chains
        chains[f"service-{name}"] = Chain(tuple(f'{rule} comment "{key}"' for rule in rules))
    collections[_SERVICES] = Collection(FRAME.collections[_SERVICES].head, frozenset(lookups), "map")
    collections[_HAIRPINS] = Collection(FRAME.collections[_HAIRPINS].head, frozenset(hairpins))
    return Ruleset(collections, chains)


def _rules(name: str, frontend: Frontend, pods: IPv4Network) -> tuple[Ruleset, tuple[str, ...]]:
    """Who is led where, and what else that needs."""
    parts: list[Ruleset] = []
    rules: list[str] = []
    for node, here in frontend.near or ():
        more, own = _leading(f"{name}-on-{node}", replace(frontend, backends=here)) if here else (EMPTY, ("return",))
        parts += (more, Ruleset({_on(node): Collection("type ipv4_addr;")}, {f"service-{name}-on-{node}": Chain(own)}))
        rules.append(f"ip saddr @{_on(node)} goto service-{name}-on-{node}")
    if frontend.near is not None:  # a pod whose place is not known yet asks again; the node itself is everywhere
        rules.append(f"ip saddr {pods} return")
    more, own = _leading(name, frontend)
    return union([*parts, more]), (*rules, *own)


def _leading(name: str, frontend: Frontend) -> tuple[Ruleset, tuple[str, ...]]:
    return _staying(name, frontend) if frontend.affinity_seconds else (EMPTY, (_in_turn(frontend),))


def _on(node: str) -> str:
    return f"on-{node}"


def _in_turn(frontend: Frontend) -> str:
    protocol = frontend.listen.protocol.lower()
    if len(frontend.backends) == 1:
        return _to(protocol, frontend.backends[0])
    numbered = ", ".join(f"{n} : {each.address} . {each.port}" for n, each in enumerate(frontend.backends))
    return f"meta l4proto {protocol} dnat ip to numgen inc mod {len(frontend.backends)} map {{ {numbered} }}"


def _staying(name: str, frontend: Frontend) -> tuple[Ruleset, tuple[str, ...]]:
    """With affinity: a chain a backend, which writes down who was there, and the rules that look it up."""
    protocol = frontend.listen.protocol.lower()
    collections: dict[str, Collection] = {}
    chains: dict[str, Chain] = {}
    rules: list[str] = []
    doors: list[str] = []
    for number, backend in enumerate(frontend.backends):
        own = f"{name}-{backend.address}-{backend.port}"
        clients = f"clients-{own}-{frontend.affinity_seconds}"
        seconds = f"timeout {frontend.affinity_seconds}s;"
        collections[clients] = Collection(f"type ipv4_addr; flags dynamic,timeout; {seconds}")
        chains[f"backend-{own}"] = Chain((f"update @{clients} {{ ip saddr }}", _to(protocol, backend)))
        rules.append(f"ip saddr @{clients} goto backend-{own}")
        doors.append(f"{number} : goto backend-{own}")
    rules.append(f"numgen inc mod {len(doors)} vmap {{ {', '.join(doors)} }}")
    return Ruleset(collections, chains), tuple(rules)


def _to(protocol: str, backend: Backend) -> str:
    return f"meta l4proto {protocol} dnat to {backend.address}:{backend.port}"
