"""Endpoints that a person wrote for a Service without a selector, as endpoints of slices. Pure.

Most manifests that lead a Service out of the cluster still say so with the old kind; everybody who serves reads the new one.
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy.engine.controllers.endpointslice.endpoints import Group
from argosy.meta.json import Obj, encode
from argosy.meta.objects import annotations_of, labels_of

SKIP = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"
"""Endpoints that were only ever a lock."""


def is_mirrored(endpoints: Obj) -> bool:
    """Whether an Endpoints object stands for addresses that want to be served."""
    return labels_of(endpoints).get(SKIP) != "true" and _LEADER not in annotations_of(endpoints)


def groups_of_subsets(subsets: Iterable[Obj]) -> list[Group]:
    """Subsets by their ports."""
    found: dict[bytes, Group] = {}
    for subset in subsets:
        ports = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        group = found.setdefault(encode(ports), Group(ports, []))
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            group.endpoints.extend(_endpoint(address, ready) for address in subset.get(field) or ())
    return [found[key] for key in sorted(found)]


def _endpoint(address: Obj, ready: bool) -> Obj:
    endpoint: Obj = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if address.get(field):
            endpoint[field] = address[field]
    return endpoint
