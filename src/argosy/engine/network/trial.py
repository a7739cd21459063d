"""Rules of every sort that the network will ever load, about nobody: whether a kernel and its `nft` understand them. Pure.

Asked once, before anything relies on it: an old kernel must be found out at the start and not when a policy is to be enforced.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network

from argosy.engine.network.egress_rules import egress_rules
from argosy.engine.network.policies import Allowed, NamedPort, Ports, Resolved
from argosy.engine.network.policy_rules import policy_rules
from argosy.engine.network.ruleset import Ruleset, union
from argosy.engine.network.service_rules import FRAME, placement_rules, service_rules
from argosy.engine.network.services import Backend, Frontend, Listen, Place
from argosy.meta.objects import Key

_NOBODY = Key("nobody", "nobody")
_BACKENDS = (Backend("192.0.2.1", 1), Backend("192.0.2.2", 2))


def trial(pod_cidr: str, ranges: Sequence[str]) -> tuple[Ruleset, ...]:
    """A table of Services, one of policies, one for the way out."""
    frontends = [
        Frontend(Listen(Place.CLUSTER, "192.0.2.3", number, protocol), _BACKENDS, affinity)
        for number, (protocol, affinity) in enumerate((("TCP", 0), ("TCP", 60), ("UDP", 0), ("SCTP", 0)), 1)
    ]
    ports = (Ports("TCP", ((1, 1), (3, 9))), Ports("UDP", ((1, 1),)), Ports("SCTP", ((1, 1),)))
    named = (NamedPort("TCP", frozenset({("192.0.2.1", 1)})),)
    pods = frozenset({"192.0.2.1"})
    rule = Allowed(False, pods, (IPv4Network("192.0.2.0/24"), IPv4Network("198.51.100.0/25")), False, ports, named)
    policies = [Resolved(_NOBODY, pods, (rule,), (rule,))]
    near = (("nowhere", _BACKENDS), ("elsewhere", ()))
    frontends.append(Frontend(Listen(Place.CLUSTER, "192.0.2.3", 9, "TCP"), _BACKENDS, 60, near=near))
    placements = placement_rules({"nowhere": ["192.0.2.1"], "elsewhere": []})
    services = union([FRAME, placements, service_rules(_NOBODY, frontends, IPv4Network(pod_cidr))])
    return (services, policy_rules(policies, ranges), egress_rules(pod_cidr, ranges))
