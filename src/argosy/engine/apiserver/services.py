"""Services get their addresses and node ports when they are written; called by create, update and delete.

What is taken is written into the Service at once. When the write comes to nothing `release` gives it back, and a Service
that cannot have all it asks for keeps none of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from argosy import kinds
from argosy.engine.apiserver.addresses import ServiceAddresses
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import Unreasoned, invalid
from argosy.errors import Cause, InternalError
from argosy.meta import causes
from argosy.meta.json import Obj
from argosy.meta.rules import addresses, services

_POLICY = "spec.ipFamilyPolicy"
_BALANCED = ("NodePort", "LoadBalancer")


def complete(call: Call, service: Obj) -> None:
    """Give a new Service what it lacks. Raises Invalid for an address that it may not have."""
    spec = service.setdefault("spec", {})
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    _allocate(call, service, None)


def change(call: Call, service: Obj, old: Obj) -> None:
    """Complete a changed Service: it keeps its address, and gets or loses what a new type asks for."""
    spec, before = service.setdefault("spec", {}), old.get("spec") or {}
    _keep(spec, before)
    _match_addresses(spec, before)
    _allocate(call, service, before)
    _drop(spec, before)


def release(call: Call, service: Obj, old: Obj | None = None) -> None:
    """Give back what a Service, or its new state, was given that did not come to be."""
    if call.served.storage is kinds.SERVICE:
        call.api.addresses.give_back(service, old)


@dataclass
class _Taking:
    """Numbers that one write takes, all of them or none."""

    pools: ServiceAddresses
    name: str
    dry: bool
    ips: list[int] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)

    def undo(self) -> None:
        self.pools.ips.taken -= set(self.ips)
        self.pools.ports.taken -= set(self.ports)

    def ip(self, wanted: str, shown: list[str]) -> str:
        """Take the address that is wanted, or any. Raises Invalid."""
        if not wanted:
            given = self.pools.take_ip()
            if given is None:
                raise InternalError(
                    f'Internal error occurred: failed to allocate a serviceIP for Service "{self.name}": range is full'
                )
            self.ips.append(self.pools.ip(given) or 0)
            return given
        number = self.pools.ip(wanted)
        if number is None or not self.pools.ips.holds(number):
            why = (
                f"failed to allocate IP {wanted}: the provided network does not match the current range. The range of"
                f" valid IPs is {self.pools.network}"
            )
        elif not self.pools.ips.claim(number):
            why = f"failed to allocate IP {wanted}: provided IP is already allocated"
        else:
            self.ips.append(number)
            return wanted
        raise invalid(kinds.SERVICE, self.name, [causes.invalid("spec.clusterIPs", shown, why)])

    def fault(self, number: int) -> str:
        """Take this node port; else why that cannot be."""
        if self.dry:  # as Kubernetes does, which then only looks whether somebody has it
            return "provided port is already allocated" if number in self.pools.ports.taken else ""
        if not self.pools.ports.holds(number):
            first, last = self.pools.ports.first, self.pools.ports.last
            return f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
        if not self.pools.ports.claim(number):
            return "provided port is already allocated"
        self.ports.append(number)
        return ""

    def port(self, number: int, path: str) -> None:
        """Take this node port. Raises Invalid."""
        why = self.fault(number)
        if why:
            raise invalid(kinds.SERVICE, self.name, [causes.invalid(path, number, why)])

    def any_port(self) -> int:
        """Take a free node port. Raises InternalError."""
        number = self.pools.ports.take()
        if number is None:
            raise InternalError("Internal error occurred: failed to allocate a nodePort: range is full")
        self.ports.append(number)
        return number


def _allocate(call: Call, service: Obj, before: Obj | None) -> None:
    spec = service["spec"]
    taking = _Taking(call.api.addresses, service["metadata"].get("name", ""), call.dry_run)
    try:
        faults = _families(spec, before)
        if faults:
            raise invalid(kinds.SERVICE, taking.name, faults)
        _take_ip(taking, spec, before)
        if spec.get("type") in _BALANCED:
            _take_ports(taking, spec, before)
        _take_health_port(taking, spec, before)
    except BaseException:
        taking.undo()
        raise


def _families(spec: Obj, before: Obj | None) -> list[Cause]:
    """Fill in the families of addresses of this cluster, which has IPv4 alone; else what is wrong with those asked for."""
    if spec.get("type") == "ExternalName":
        return []
    headless = spec.get("clusterIP") == "None"
    loose = headless and not spec.get("selector")
    if spec.get("ipFamilyPolicy") is None:
        kept = (before or {}).get("ipFamilyPolicy")
        spec["ipFamilyPolicy"] = kept or ("RequireDualStack" if loose else "SingleStack")
    found: list[Cause] = []
    services.cluster_ips(found, spec, before)
    if found:
        return found
    policy, ips = spec["ipFamilyPolicy"], spec.get("clusterIPs") or []
    found = _reduced(spec, before) if before is not None else []
    families = list(spec.get("ipFamilies") or ())
    if policy == "SingleStack":
        why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
        if len(spec.get("clusterIPs") or ()) == 2:
            found.append(causes.invalid(_POLICY, policy, why.format("cluster IPs")))
        if len(families) == 2:
            found.append(causes.invalid(_POLICY, policy, why.format("IP families")))
    for index, text in enumerate(ips if not headless else ()):
        if index < len(families):
            continue
        value = addresses.sloppy(text)
        if value is not None and value.version == 6:
            found.append(causes.invalid(f"spec.clusterIPs[{index}]", ips, "IPv6 is not configured on this cluster"))
        else:
            families.append("IPv4")
    if found:
        return found
    if loose:
        families = families or ["IPv4"]
        if len(families) < 2 and policy != "SingleStack":
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
    else:
        if policy == "RequireDualStack":
            why = "this cluster is not configured for dual-stack services"
            found.append(causes.invalid(_POLICY, policy, why))
        found += [
            causes.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
            for index, family in enumerate(families)
            if family != "IPv4"
        ]
    spec["ipFamilies"] = families or ["IPv4"]
    return found


def _reduced(spec: Obj, before: Obj) -> list[Cause]:
    """One family fewer is a wish that has to be said in the policy."""
    found: list[Cause] = []
    for name, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        new, old = spec.get(name) or [], before.get(name) or []
        if spec["ipFamilyPolicy"] == "SingleStack":
            if new == old and len(new) > 1:
                spec[name] = new[:1]
        elif new and len(new) < len(old):
            why = f"must be 'SingleStack' to release the secondary {what}"
            found.append(causes.invalid(_POLICY, spec["ipFamilyPolicy"], why))
    return found


def _take_ip(taking: _Taking, spec: Obj, before: Obj | None) -> None:
    ips = spec.get("clusterIPs") or []
    if spec.get("type") == "ExternalName" or ips[:1] == ["None"]:
        return
    if before is not None and before.get("type") != "ExternalName":
        return  # it keeps the one that it has, or is refused
    given = taking.ip(next(iter(ips), ""), ips)
    spec["clusterIP"], spec["clusterIPs"] = given, [given]


def _take_ports(taking: _Taking, spec: Obj, before: Obj | None) -> None:
    if before is None:
        _first_ports(taking, spec)
        return
    held = _node_ports(before)
    named: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        wanted = port.get("nodePort")
        if wanted and wanted not in held and wanted not in taking.ports:
            taking.port(wanted, f"spec.ports[{index}].nodePort")
        elif not wanted and _allocates(spec):
            port["nodePort"] = taking.any_port()
        if port.get("nodePort"):
            pair = (port.get("protocol", "TCP"), port["nodePort"])
            if pair in named:
                raise Unreasoned(f"duplicate nodePort: {{{pair[0]} {pair[1]}}}")
            named.add(pair)


def _first_ports(taking: _Taking, spec: Obj) -> None:
    ports = spec.get("ports") or []
    shared: dict[int, int] = {}
    for index, port in enumerate(ports):
        if not port.get("nodePort") and not _allocates(spec):
            continue
        number = port.get("port", 0)
        path = f"spec.ports[{index}].nodePort"
        if number not in shared:
            # One number serves both protocols of the same port.
            wanted = next(
                (each["nodePort"] for each in ports if each.get("port") == number and each.get("nodePort")), 0
            )
            if wanted:
                taking.port(wanted, path)
            port["nodePort"] = shared[number] = wanted or taking.any_port()
        elif not port.get("nodePort"):
            port["nodePort"] = shared[number]
        elif port["nodePort"] != shared[number]:
            taking.port(port["nodePort"], path)


def _allocates(spec: Obj) -> bool:
    return spec.get("type") == "NodePort" or bool(spec.get("allocateLoadBalancerNodePorts", True))


def _take_health_port(taking: _Taking, spec: Obj, before: Obj | None) -> None:
    if not services.needs_health_check(spec) or (before is not None and services.needs_health_check(before)):
        return
    wanted = spec.get("healthCheckNodePort")
    if not wanted:
        spec["healthCheckNodePort"] = taking.any_port()
        return
    why = taking.fault(wanted)
    if why:
        raise InternalError(
            f"Internal error occurred: failed to allocate requested HealthCheck NodePort {wanted}: {why}"
        )


def _keep(spec: Obj, before: Obj) -> None:
    """An update that does not name what the server gave means what the Service has."""
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        for name in ("clusterIP", "clusterIPs"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if all(each.get("type") in _BALANCED and _allocates(each) for each in (spec, before)):
        used = _node_ports(spec) & _node_ports(before)
        known = {port.get("name", ""): port.get("nodePort") for port in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            number = known.get(port.get("name", ""))
            if not port.get("nodePort") and number and number not in used:
                port["nodePort"] = number
    checked = services.needs_health_check(spec) and services.needs_health_check(before)
    if checked and not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def _node_ports(spec: Obj) -> set[Any]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def _match_addresses(spec: Obj, before: Obj) -> None:
    """Whoever changes clusterIP alone means clusterIPs too."""
    one, other = spec.get("clusterIP") or "", before.get("clusterIP") or ""
    if before.get("clusterIPs") and not spec.get("clusterIPs") and one == other:
        spec["clusterIPs"] = before["clusterIPs"]
    if one == other or (spec.get("clusterIPs") or []) != (before.get("clusterIPs") or []):
        return
    if one:
        spec["clusterIPs"] = [one]
    else:
        spec.pop("clusterIPs", None)


def _drop(spec: Obj, before: Obj) -> None:
    """What the old type had and the new one has no use for goes, unless it was changed too."""
    kind, was = spec.get("type"), before.get("type")
    unchanged = {name for name in spec if spec.get(name) == before.get(name)}
    gone: set[str] = set()
    if kind == "ExternalName" and was != "ExternalName":
        if {"clusterIP", "clusterIPs"} <= unchanged:
            gone |= {"clusterIP", "clusterIPs"}
        gone |= {"ipFamilies", "ipFamilyPolicy"}
    if was in _BALANCED and kind not in _BALANCED and _node_ports(spec) <= _node_ports(before):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if services.needs_health_check(before) and not services.needs_health_check(spec):
        gone.add("healthCheckNodePort")
    if was == "LoadBalancer" and kind != "LoadBalancer":
        gone |= {"allocateLoadBalancerNodePorts", "loadBalancerClass"}
    if services.is_external(before) and not services.is_external(spec):
        gone.add("externalTrafficPolicy")
    for name in gone & unchanged:
        spec.pop(name)
    if kind == "ExternalName":
        spec.pop("internalTrafficPolicy", None)
