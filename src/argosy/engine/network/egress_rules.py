"""The kernel's part of the way out: connections to the outside are led to one door. Pure; `egress` stands behind it."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.engine.network.ruleset import Chain, Ruleset

TABLE = "argosy-egress"
DOOR = ("169.254.1.1", 15001)
"""Where connections to the outside arrive: the gateway's own address in the cluster's network."""
DOORS = range(15001, 15065)
"""Where datagrams arrive: one socket of a pod may speak to as many places at a time."""
_NEVER = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
"""What is nobody's outside: this host, link-local (a cloud's metadata among it), multicast and reserved."""


def inside(*cluster: str) -> tuple[str, ...]:
    """The ranges that are not outside: those of the cluster (an empty one is none), and nobody's."""
    return (*filter(None, cluster), *_NEVER)


def egress_rules(pod_cidr: str, ranges: Sequence[str]) -> Ruleset:
    """The rules that lead pods' connections and datagrams for the outside to the doors."""
    door = f"{DOOR[0]}:{DOOR[1]}"
    leaving = f"ip saddr {pod_cidr} ip daddr != {{ {', '.join(ranges)} }} meta l4proto"
    doors = f"{DOOR[0]}:{DOORS.start}-{DOORS.stop - 1}"
    rules = (f"{leaving} tcp dnat to {door}", f"{leaving} udp dnat to {doors}")
    return Ruleset({}, {"prerouting": Chain(rules, "type nat hook prerouting priority -90;")})
