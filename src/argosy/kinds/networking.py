"""Ingress, network policy, and the addresses that Services are given."""

from __future__ import annotations

from datetime import datetime

from argosy.kinds.cells import AGE, NONE, column, selector_text
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind

_GROUP = "networking.k8s.io"


def _hosts(ingress: Obj, now: datetime) -> str:
    hosts = [str(rule["host"]) for rule in dig(ingress, "spec", "rules", default=()) if rule.get("host")]
    if not hosts:
        return "*"
    shown = ",".join(hosts[:3])
    return f"{shown} + {len(hosts) - 3} more..." if len(hosts) > 3 else shown


def _address(ingress: Obj, now: datetime) -> str:
    entries = dig(ingress, "status", "loadBalancer", "ingress", default=())
    return ",".join(str(e.get("ip") or e.get("hostname") or "") for e in entries)


INGRESS = Kind(
    _GROUP, "v1", "Ingress", "ingresses", short_names=("ing",), subresources=frozenset({"status"}),
    columns=(
        column(
            "Class", "spec", "ingressClassName", default=NONE,
            about="The name of the IngressClass resource that should be used for additional configuration",
        ),
        Column("Hosts", cell=_hosts, description="Hosts that incoming requests are matched against before the ingress rule"),
        Column("Address", cell=_address, description="Address is a list containing ingress points for the load-balancer"),
        Column(
            "Ports", cell=lambda o, now: "80, 443" if dig(o, "spec", "tls") else "80",
            description="Ports of TLS configurations that open",
        ),
        AGE,
    ),
)  # fmt: skip


def _parameters(obj: Obj, now: datetime) -> str:
    ref = dig(obj, "spec", "parameters")
    if not ref:
        return NONE
    group = f".{ref['apiGroup']}" if ref.get("apiGroup") else ""
    return f"{ref.get('kind', '')}{group}/{ref.get('name', '')}"


def _name_of_class(obj: Obj, now: datetime) -> str:
    default = (obj["metadata"].get("annotations") or {}).get("ingressclass.kubernetes.io/is-default-class") == "true"
    return f"{obj['metadata'].get('name', '')}{' (default)' if default else ''}"


INGRESS_CLASS = Kind(
    _GROUP, "v1", "IngressClass", "ingressclasses", namespaced=False,
    columns=(
        Column("Name", cell=_name_of_class, format="name"),
        column("Controller", "spec", "controller", about="Controller that is responsible for handling this class"),
        Column("Parameters", cell=_parameters, description="A reference to a resource with additional parameters"),
        AGE,
    ),
)  # fmt: skip

NETWORK_POLICY = Kind(
    _GROUP, "v1", "NetworkPolicy", "networkpolicies", short_names=("netpol",),
    columns=(Column("Pod-Selector", ".spec.podSelector", cell=lambda o, now: selector_text(dig(o, "spec", "podSelector"))), AGE),
)  # fmt: skip


def _parent(obj: Obj, now: datetime) -> str:
    ref = dig(obj, "spec", "parentRef", default={})
    parts = (ref.get("group"), ref.get("resource"), ref.get("namespace"), ref.get("name"))
    return "/".join(str(part) for part in parts if part)


IP_ADDRESS = Kind(
    _GROUP, "v1", "IPAddress", "ipaddresses", namespaced=False, short_names=("ip",),
    columns=(Column("ParentRef", ".spec.parentRef", cell=_parent),),
)  # fmt: skip

SERVICE_CIDR = Kind(
    _GROUP, "v1", "ServiceCIDR", "servicecidrs", namespaced=False, subresources=frozenset({"status"}),
    columns=(Column("CIDRs", ".spec.cidrs", cell=lambda o, now: ",".join(dig(o, "spec", "cidrs", default=()))), AGE),
)  # fmt: skip

ALL = (INGRESS, INGRESS_CLASS, NETWORK_POLICY, IP_ADDRESS, SERVICE_CIDR)
