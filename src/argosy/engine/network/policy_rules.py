"""NetworkPolicies as nftables rules. Pure.

A new connection passes two gates: `egress`, if its pod is isolated for that, then `ingress`, if the one it goes to is. Both
ask the policies that select the pod, one after the other, until one allows it; who is refused is told so at once. What a
connection is answered belongs to it. The node itself (probes, Ingress, `kubectl port-forward`) reaches every pod, as in
Kubernetes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from argosy.engine.network.policies import Allowed, NamedPort, Ports, Resolved
from argosy.engine.network.ruleset import Chain, Collection, Ruleset

TABLE = "argosy-policies"

_ADDRESS = "type ipv4_addr;"
_ISOLATED_IN, _ISOLATED_OUT, _SELVES = "isolated-in", "isolated-out", "selves"
_REFUSE = "reject with icmp admin-prohibited"


def policy_rules(policies: Sequence[Resolved], inside: Sequence[str] = ()) -> Ruleset:
    """The whole table; an empty one without policies. What lies not `inside` leaves by the door of `egress`."""
    if not policies:
        return Ruleset()
    receivers = frozenset(a for policy in policies if policy.ingress is not None for a in policy.selected)
    senders = frozenset(a for policy in policies if policy.egress is not None for a in policy.selected)
    collections = {
        _ISOLATED_IN: Collection(_ADDRESS, receivers),
        _ISOLATED_OUT: Collection(_ADDRESS, senders),
        _SELVES: Collection("type ipv4_addr . ipv4_addr;", frozenset(f"{a} . {a}" for a in receivers | senders)),
    }
    known = "ct state established,related accept"
    leaving = f"ip saddr @{_ISOLATED_OUT} goto egress"
    chains = {
        # Nobody can be kept from itself.
        "forward": Chain((known, f"ip saddr . ip daddr @{_SELVES} accept", leaving, "goto ingress"), _hook("forward")),
        # What comes to the node by a detour is on its way out, and has been asked about on the way in.
        "input": Chain((known, "ct status dnat accept", leaving), _hook("input")),
    }
    if inside:
        outward = f"ip saddr @{_ISOLATED_OUT} ip daddr != {{ {', '.join(inside)} }} goto egress"
        chains["outward"] = Chain((known, outward), "type filter hook prerouting priority -150;")
    egress: list[str] = []
    ingress = [f"ip daddr != @{_ISOLATED_IN} accept"]
    for policy in policies:
        name = _name(policy)
        collections[f"pods-{name}"] = Collection(_ADDRESS, policy.selected)
        for side, way, allowed in (("in", "saddr", policy.ingress), ("out", "daddr", policy.egress)):
            if allowed is None:
                continue
            gate, verdict = (ingress, "accept") if side == "in" else (egress, "goto ingress")
            gate.append(f'ip {_other(way)} @pods-{name} jump {side}-{name} comment "{policy.key}"')
            rules: list[str] = []
            for number, each in enumerate(allowed):
                part = _Part(f"{side}-{name}-{number}", way, verdict)
                rules += part.rules(each)
                collections |= part.collections
            chains[f"{side}-{name}"] = Chain(tuple(rules))
    chains["egress"] = Chain((*egress, _REFUSE))
    chains["ingress"] = Chain((*ingress, _REFUSE))
    return Ruleset(collections, chains)


class _Part:
    """The rules and sets that one `Allowed` becomes."""

    def __init__(self, name: str, way: str, verdict: str) -> None:
        self.collections: dict[str, Collection] = {}
        self._name, self._way, self._verdict = name, way, verdict

    def rules(self, allowed: Allowed) -> Iterator[str]:
        """Every peer with every port."""
        ports = [""] if allowed.any_port else [_ports(each) for each in allowed.ports]
        for peer in self._peers(allowed):
            yield from (" ".join(filter(None, (peer, port, self._verdict))) for port in ports)
            if self._way == "saddr":
                yield from self._named(allowed.named, peer)
        if self._way == "daddr":  # the pairs name the peers already
            yield from self._named(allowed.named, "")

    def _peers(self, allowed: Allowed) -> Iterator[str]:
        if allowed.anybody:
            yield ""
            return
        name = f"peers-{self._name}"
        self.collections[name] = Collection(_ADDRESS, allowed.pods)
        yield f"ip {self._way} @{name}"
        if allowed.blocks:
            yield f"ip {self._way} {{ {', '.join(map(str, allowed.blocks))} }}"

    def _named(self, named: Iterable[NamedPort], peer: str) -> Iterator[str]:
        for number, port in enumerate(named):
            name = f"ports-{self._name}-{number}"
            pairs = frozenset(f"{address} . {port_number}" for address, port_number in port.pairs)
            self.collections[name] = Collection("type ipv4_addr . inet_service;", pairs)
            match = f"ip daddr . {port.protocol.lower()} dport @{name}"
            yield " ".join(filter(None, (peer, match, self._verdict)))


def _ports(ports: Ports) -> str:
    ranges = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ports.ranges)
    return f"{ports.protocol.lower()} dport {{ {ranges} }}"


def _other(way: str) -> str:
    return "daddr" if way == "saddr" else "saddr"


def _hook(hook: str) -> str:
    return f"type filter hook {hook} priority 0;"


def _name(policy: Resolved) -> str:
    return hashlib.sha256(str(policy.key).encode()).hexdigest()[:12]
