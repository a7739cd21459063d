"""Services get their addresses and node ports when they are written; called by create, update and delete."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import Unreasoned, invalid, wrong
from argosy.meta.json import Obj


def complete(call: Call, service: Obj) -> None:
    """Give a new Service what it lacks. Raises Invalid for an address that it may not have."""
    spec = service.setdefault("spec", {})
    type = spec.setdefault("type", "ClusterIP")
    if type == "ExternalName":
        return
    headless = spec.get("clusterIP") == "None" or spec.get("clusterIPs") == ["None"]
    selectorless = not spec.get("selector")
    if headless:
        spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
        dual = selectorless and "ipFamilies" not in spec and "ipFamilyPolicy" not in spec
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if dual else ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack" if dual else "SingleStack")
    else:
        _take_ip(call, service)
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if type in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
        if type == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        if spec.get("allocateLoadBalancerNodePorts", True):
            _take_ports(call, service)


def change(call: Call, service: Obj, old: Obj) -> None:
    """Complete a changed Service: it keeps its address, and gets or loses what a new type asks for."""
    spec, before = service.get("spec") or {}, old.get("spec") or {}
    _check_families(service)
    if spec.get("type") == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            if spec.get(field) == before.get(field):
                spec.pop(field, None)
        return
    if before.get("type") != "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if not spec.get(field) and before.get(field):
                spec[field] = before[field]
        _keep_ports(spec, before)
    if spec.get("type") == "ClusterIP" and before.get("type") != "ClusterIP":
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
        spec.pop("externalTrafficPolicy", None)
        spec.pop("allocateLoadBalancerNodePorts", None)
    held_ips, held_ports = call.api.addresses.held_by(old)
    pools = call.api.addresses
    pools.ips.taken -= held_ips
    pools.ports.taken -= held_ports
    try:
        complete(call, service)
    finally:
        pools.ips.taken |= held_ips
        pools.ports.taken |= held_ports


def release(call: Call, service: Obj, old: Obj | None = None) -> None:
    """Give back what a Service, or its new state, was given that did not come to be."""
    if call.served.storage is kinds.SERVICE:
        call.api.addresses.give_back(service, old)


def _check_families(service: Obj) -> None:
    """Only a headless Service without a selector, whose addresses somebody else makes, may ask for two families."""
    spec = service.get("spec") or {}
    if not spec.get("selector") or len(spec.get("ipFamilies") or ()) < 2:
        return
    causes = [
        wrong(f"spec.ipFamilies[{i}]", f, "not configured on this cluster")
        for i, f in enumerate(spec["ipFamilies"])
        if f != "IPv4"
    ]
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        causes = [wrong("spec.ipFamilyPolicy", "RequireDualStack", why), *causes]
    raise invalid(kinds.SERVICE, service["metadata"].get("name", ""), causes)


def _take_ip(call: Call, service: Obj) -> None:
    spec, pools = service["spec"], call.api.addresses
    wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
    if not wanted:
        given = pools.take_ip()
        if given is None:
            raise Unreasoned("failed to allocate a serviceIP: range is full")
        spec["clusterIP"], spec["clusterIPs"] = given, [given]
        return
    number = pools.ip(wanted)
    name, path = service["metadata"].get("name", ""), "spec.clusterIPs"
    if number is None:
        why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        raise invalid(kinds.SERVICE, name, [wrong(f"{path}[0]", [wanted][0], why)])
    if not pools.ips.holds(number):
        why = (
            f"failed to allocate IP {wanted}: the provided network does not match the current range. The range of valid"
            f" IPs is {pools.network}"
        )
        raise invalid(kinds.SERVICE, name, [wrong(path, [wanted], why)])
    if not pools.ips.claim(number):
        why = f"failed to allocate IP {wanted}: provided IP is already allocated"
        raise invalid(kinds.SERVICE, name, [wrong(path, [wanted], why)])
    spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]


def _take_ports(call: Call, service: Obj) -> None:
    pool = call.api.addresses.ports
    shared: dict[int, int] = {}
    for index, port in enumerate(service["spec"].get("ports") or ()):
        wanted = port.get("nodePort")
        if not wanted:
            # One number serves both protocols of the same port.
            number = shared.get(port.get("port", 0)) or pool.take()
            if number is None:
                raise Unreasoned("failed to allocate a nodePort: range is full")
            port["nodePort"] = shared[port.get("port", 0)] = number
            continue
        path, name = f"spec.ports[{index}].nodePort", service["metadata"].get("name", "")
        if not pool.holds(wanted):
            first, last = call.api.settings.node_ports
            why = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            raise invalid(kinds.SERVICE, name, [wrong(path, wanted, why)])
        if wanted not in shared.values() and not pool.claim(wanted):
            raise invalid(kinds.SERVICE, name, [wrong(path, wanted, "provided port is already allocated")])
        shared[port.get("port", 0)] = wanted


def _keep_ports(spec: Obj, before: Obj) -> None:
    """An update that does not name its node ports means the ones it has."""
    known = {
        (p.get("port"), p.get("protocol", "TCP")): p["nodePort"] for p in before.get("ports") or () if p.get("nodePort")
    }
    used = {p.get("nodePort") for p in spec.get("ports") or ()}
    for port in spec.get("ports") or ():
        number = known.get((port.get("port"), port.get("protocol", "TCP")))
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number
