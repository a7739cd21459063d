"""Services, and the addresses behind them."""

from __future__ import annotations

from datetime import datetime

from argosy.kinds.cells import AGE, NONE, UNSET, column, labels_text, some
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind


def _external(service: Obj, now: datetime) -> str:
    spec = service.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    given = [str(ip) for ip in spec.get("externalIPs") or ()]
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        ingress = dig(service, "status", "loadBalancer", "ingress", default=())
        given = [str(i.get("ip") or i.get("hostname") or "") for i in ingress] + given
        return ",".join(given) or "<pending>"
    return ",".join(given) or NONE


def _ports(service: Obj, now: datetime) -> str:
    shown = []
    for port in dig(service, "spec", "ports", default=()):
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


SERVICE = Kind(
    "", "v1", "Service", "services", short_names=("svc",), categories=("all",),
    subresources=frozenset({"status", "proxy"}),
    columns=(
        column("Type", "spec", "type"),
        Column("Cluster-IP", ".spec.clusterIP", cell=lambda obj, now: dig(obj, "spec", "clusterIP", default="") or NONE),
        Column("External-IP", ".spec.externalIPs", cell=_external),
        Column("Port(s)", ".spec.ports", cell=_ports),
        AGE,
        Column("Selector", ".spec.selector", cell=lambda obj, now: labels_text(dig(obj, "spec", "selector")), priority=1),
    ),
)  # fmt: skip


def _addresses(endpoints: Obj, now: datetime) -> str:
    shown: list[str] = []
    for subset in endpoints.get("subsets") or ():
        ports = subset.get("ports") or ()
        for address in subset.get("addresses") or ():
            ip = str(address.get("ip"))
            host = f"[{ip}]" if ":" in ip else ip
            shown += [f"{host}:{port.get('port')}" for port in ports] or [ip]
    return some(shown)


ENDPOINTS = Kind(
    "", "v1", "Endpoints", "endpoints", short_names=("ep",),
    columns=(Column("Endpoints", ".subsets", cell=_addresses), AGE),
)  # fmt: skip


def _slice_ports(obj: Obj, now: datetime) -> str:
    ports = [str(p.get("port") or "*") for p in obj.get("ports") or ()]
    return some(ports) if ports else UNSET


def _slice_addresses(obj: Obj, now: datetime) -> str:
    addresses = [str(a) for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]
    return some(addresses) if addresses else UNSET


ENDPOINT_SLICE = Kind(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices",
    columns=(
        column("AddressType", "addressType"),
        Column("Ports", ".ports", cell=_slice_ports),
        Column("Endpoints", ".endpoints", cell=_slice_addresses),
        AGE,
    ),
)  # fmt: skip

ALL = (SERVICE, ENDPOINTS, ENDPOINT_SLICE)
