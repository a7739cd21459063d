"""Where each node is met, and which pods run there: what NodePorts and the policies of traffic depend on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of


@dataclass(frozen=True, slots=True, order=True)
class NodePlace:
    """One node's addresses."""

    name: str
    outer: str
    """On this machine."""
    inner: str = ""
    """In the pods' network; empty where that is this machine's own."""


def places(nodes: Iterable[Obj], host_address: str) -> tuple[NodePlace, ...]:
    """Every node's, in order of names; while none tells its addresses, this machine's own."""
    found = sorted(place for node in nodes if (place := _place(node)) is not None)
    return tuple(found) or (NodePlace("", host_address),)


def _place(node: Obj) -> NodePlace | None:
    told: dict[str, str] = {}
    for entry in dig(node, "status", "addresses", default=()):
        told.setdefault(entry.get("type"), entry.get("address"))
    internal, external = told.get("InternalIP", ""), told.get("ExternalIP", "")
    if not internal:
        return None
    return NodePlace(name_of(node), external or internal, internal if external else "")


def node_of(pod: Obj) -> tuple[str, str]:
    """(a pod's address, its node); the first is empty for a pod without an address of its own, or one that has ended."""
    ended = dig(pod, "status", "phase") in ("Succeeded", "Failed")
    address = "" if ended or dig(pod, "spec", "hostNetwork") else dig(pod, "status", "podIP", default="")
    return str(address), str(dig(pod, "spec", "nodeName", default=""))
