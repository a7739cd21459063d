"""Rules of the kind Service: what its type allows, its ports, its addresses, and what an update may not change.

`rules.check` calls `service`; the API server asks `cluster_ips` before it allocates addresses.
"""

from __future__ import annotations

from typing import Any

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules import addresses
from argosy.meta.rules.fields import Found, labels, needs_one_of, one_of, port, required, say

PROTOCOLS = ("SCTP", "TCP", "UDP")
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_DAY = 86400
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"
_SET = "may not change once set"


def is_external(spec: Obj) -> bool:
    """Whether traffic from outside of the cluster may reach the Service."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_check(spec: Obj) -> bool:
    """Whether a balancer asks each node if it has endpoints."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def service(new: Obj, old: Obj | None) -> Found:
    """v1 Service."""
    found: Found = []
    spec = new["spec"]
    before = old["spec"] if old is not None else None
    if before is not None:
        _kept_addresses(found, spec, before)
        _kept_families(found, spec, before)
        value = spec.get("loadBalancerClass")
        balanced = spec.get("type") == before.get("type") == "LoadBalancer"
        if balanced and value != before.get("loadBalancerClass"):
            found.append(causes.invalid("spec.loadBalancerClass", value, _SET))
        _class(found, spec)
        port_changed = spec.get("healthCheckNodePort", 0) != before.get("healthCheckNodePort", 0)
        if port_changed and needs_health_check(spec) and needs_health_check(before):
            found.append(causes.forbidden("spec.healthCheckNodePort", "field is immutable"))
    _typed(found, new, spec)
    _ports(found, spec)
    labels(found, "spec.selector", spec.get("selector"))
    _affinity(found, spec)
    cluster_ips(found, spec, before)
    kept = (before or {}).get("externalIPs") or ()
    for index, text in enumerate(spec.get("externalIPs") or ()):
        if addresses.address(found, f"spec.externalIPs[{index}]", text, kept):
            addresses.endpoint(found, f"spec.externalIPs[{index}]", text)
    needs_one_of(found, "spec.type", spec.get("type"), _TYPES)
    _repeated_ports(found, spec)
    _source_ranges(found, new, old)
    _balanced(found, spec)
    _policies(found, spec)
    return found


def _typed(found: Found, new: Obj, spec: Obj) -> None:
    """What the type asks for and what it has no use for."""
    marks = new["metadata"].get("annotations") or {}
    if _HINTS in marks and _MODE in marks and marks[_HINTS] != marks[_MODE]:
        message = f"must match annotations[{_HINTS}] when both are specified"
        found.append(causes.invalid(f"metadata.annotations[{_MODE}]", marks[_MODE], message))
    kind, headless = spec.get("type"), _headless(spec)
    if not spec.get("ports") and not headless and kind != "ExternalName":
        found.append(causes.required("spec.ports"))
    if headless and kind in ("LoadBalancer", "NodePort"):
        found.append(causes.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services"))
    if kind != "ExternalName":
        return
    for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            found.append(causes.forbidden(f"spec.{field}", "may not be set for ExternalName services"))
    name = (spec.get("externalName") or "").removesuffix(".")
    if required(found, "spec.externalName", name):
        say(found, "spec.externalName", name, names.subdomain(name))


def _headless(spec: Obj) -> bool:
    return spec.get("clusterIPs") == ["None"]


def _ports(found: Found, spec: Obj) -> None:
    ports = spec.get("ports") or []
    seen: set[str] = set()
    for index, each in enumerate(ports):
        place = f"spec.ports[{index}]"
        name = each.get("name")
        if name:
            say(found, f"{place}.name", name, names.label(name))
            if name in seen:
                found.append(causes.duplicate(f"{place}.name", name))
            seen.add(name)
        elif len(ports) > 1:
            found.append(causes.required(f"{place}.name"))
        number = each.get("port") or 0
        say(found, f"{place}.port", number, names.port_number(number))
        needs_one_of(found, f"{place}.protocol", each.get("protocol"), PROTOCOLS)
        port(found, f"{place}.targetPort", each.get("targetPort"))
        if each.get("appProtocol") is not None:
            say(found, f"{place}.appProtocol", each["appProtocol"], names.qualified(each["appProtocol"]))


def _affinity(found: Found, spec: Obj) -> None:
    kind, path = spec.get("sessionAffinity"), "spec.sessionAffinityConfig"
    needs_one_of(found, "spec.sessionAffinity", kind, ("ClientIP", "None"))
    config = spec.get("sessionAffinityConfig")
    if kind == "None" and config is not None:
        found.append(causes.forbidden(path, "must not be set when session affinity is None"))
    elif kind == "ClientIP":
        why = "when session affinity type is ClientIP"
        client = (config or {}).get("clientIP")
        if config is None:
            found.append(causes.required(path, why))
        elif client is None:
            found.append(causes.required(f"{path}.clientIP", why))
        elif not 0 < client.get("timeoutSeconds", 0) <= _DAY:
            message = f"must be greater than 0 and less than {_DAY}"
            found.append(causes.invalid(f"{path}.clientIP.timeoutSeconds", client["timeoutSeconds"], message))


def cluster_ips(found: Found, spec: Obj, before: Obj | None) -> None:
    """Whether clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy fit each other."""
    if spec.get("type") == "ExternalName":
        return
    one, all_, path = spec.get("clusterIP") or "", spec.get("clusterIPs") or [], "spec.clusterIPs"
    if one and not all_:
        found.append(causes.required(path))
    elif one and all_[0] != one:
        found.append(causes.invalid(path, all_, "first value must match `clusterIP`"))
    elif not one and all_:
        found.append(causes.invalid(path, all_, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        one_of(found, f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"))
        if family in families[:index]:
            found.append(causes.duplicate(f"spec.ipFamilies[{index}]", family))
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    one_of(found, "spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), policies)
    if not _each_address(found, all_, (before or {}).get("clusterIPs") or ()):
        return
    versions = [getattr(addresses.sloppy(text), "version", 0) for text in all_]
    if len(all_) > 1 and sorted(versions) != [4, 6]:
        found.append(causes.invalid(path, all_, "may specify no more than one IP for each IP family"))
    if all_ == ["None"]:
        return
    for index, (text, version, family) in enumerate(zip(all_, versions, families, strict=False)):
        if family in ("IPv4", "IPv6") and f"IPv{version}" != family:
            message = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            found.append(causes.invalid(f"{path}[{index}]", text, message))


def _each_address(found: Found, all_: list[str], kept: Any) -> bool:
    good, path = True, "spec.clusterIPs"
    for index, text in enumerate(all_):
        if index == 0 and text == "None":
            if len(all_) > 1:
                good = False
                found.append(causes.invalid(path, all_, "'None' must be the first and only value"))
            continue
        good = addresses.address(found, f"{path}[{index}]", text, kept) and good
    if len(all_) > 2:
        found.append(causes.invalid(path, all_, "may only hold up to 2 values"))
    return good


def _repeated_ports(found: Found, spec: Obj) -> None:
    taken: list[tuple[Any, Any]] = []
    pairs: list[tuple[Any, Any]] = []
    for index, each in enumerate(spec.get("ports") or ()):
        number, protocol = each.get("nodePort"), each.get("protocol")
        path = f"spec.ports[{index}]"
        if number and spec.get("type") == "ClusterIP":
            found.append(causes.forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'"))
        if number and (protocol, number) in taken:
            found.append(causes.duplicate(f"{path}.nodePort", number))
        if number:
            taken.append((protocol, number))
        if (protocol, each.get("port")) in pairs:
            shown = {
                "Name": "", "Protocol": protocol, "AppProtocol": None, "Port": each.get("port"), "TargetPort": 0,
                "NodePort": 0,
            }  # fmt: skip
            found.append(causes.duplicate(path, shown))
        pairs.append((protocol, each.get("port")))


def _source_ranges(found: Found, new: Obj, old: Obj | None) -> None:
    spec, mark = new["spec"], f"metadata.annotations[{_RANGES}]"
    ranges = spec.get("loadBalancerSourceRanges") or ()
    noted = (new["metadata"].get("annotations") or {}).get(_RANGES)
    if not ranges and noted is None:
        return
    if spec.get("type") != "LoadBalancer":
        found.append(causes.forbidden("spec.LoadBalancerSourceRanges" if ranges else mark, _ONLY_BALANCED))
    if ranges:
        kept = [each.strip() for each in ((old or {}).get("spec") or {}).get("loadBalancerSourceRanges") or ()]
        for index, each in enumerate(ranges):
            addresses.block(found, f"spec.LoadBalancerSourceRanges[{index}]", each.strip(), kept)
    elif old is None or (old["metadata"].get("annotations") or {}).get(_RANGES) != noted:
        for each in (noted or "").strip().split(",") if (noted or "").strip() else ():
            addresses.block(found, mark, each.strip())


def _balanced(found: Found, spec: Obj) -> None:
    allocate = spec.get("allocateLoadBalancerNodePorts")
    if spec.get("type") != "LoadBalancer" and allocate is not None:
        found.append(causes.forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_BALANCED))
    elif spec.get("type") == "LoadBalancer" and allocate is None:
        found.append(causes.required("allocateLoadBalancerNodePorts"))
    _class(found, spec)


def _class(found: Found, spec: Obj) -> None:
    value = spec.get("loadBalancerClass")
    if value is None:
        return
    if spec.get("type") == "LoadBalancer":
        say(found, "spec.loadBalancerClass", value, names.qualified(value))
    else:
        found.append(causes.forbidden("spec.loadBalancerClass", _ONLY_BALANCED))


def _policies(found: Found, spec: Obj) -> None:
    policy = spec.get("externalTrafficPolicy")
    if is_external(spec):
        needs_one_of(found, "spec.externalTrafficPolicy", policy, ("Cluster", "Local"))
    elif policy:
        message = "may only be set for externally-accessible services"
        found.append(causes.invalid("spec.externalTrafficPolicy", policy, message))
    number = spec.get("healthCheckNodePort") or 0
    if needs_health_check(spec):
        if required(found, "spec.healthCheckNodePort", number or None):
            say(found, "spec.healthCheckNodePort", number, names.port_number(number))
    elif number:
        message = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        found.append(causes.invalid("spec.healthCheckNodePort", number, message))
    inner = spec.get("internalTrafficPolicy")
    if inner is None and spec.get("type") in ("NodePort", "LoadBalancer", "ClusterIP"):
        found.append(causes.required("spec.internalTrafficPolicy"))
    one_of(found, "spec.internalTrafficPolicy", inner, ("Cluster", "Local"))
    one_of(found, "spec.trafficDistribution", spec.get("trafficDistribution"), _DISTRIBUTIONS)


def _kept_addresses(found: Found, new: Obj, old: Obj) -> None:
    if "ExternalName" in (new.get("type"), old.get("type")) or (_headless(new) and _headless(old)):
        return
    before, after = old.get("clusterIPs") or [], new.get("clusterIPs") or []
    path = "spec.clusterIPs"
    if len(before) == len(after):
        found.extend(
            causes.invalid(f"{path}[{index}]", after, _SET)
            for index, (one, other) in enumerate(zip(before, after, strict=True))
            if one != other
        )
        return
    if not after:
        found.append(causes.invalid(f"{path}[0]", None, "primary clusterIP can not be unset"))
    elif before and before[0] != after[0]:
        found.append(causes.invalid(f"{path}[0]", after, _SET))
    if len(before) > len(after) == 1 and new.get("ipFamilyPolicy") != "SingleStack":
        message = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        found.append(causes.invalid("spec.ipFamilyPolicy", new.get("ipFamilyPolicy"), message))


def _kept_families(found: Found, new: Obj, old: Obj) -> None:
    if "ExternalName" in (new.get("type"), old.get("type")) or _headless(new) or _headless(old):
        return
    before, after = old.get("ipFamilies") or [], new.get("ipFamilies") or []
    path = "spec.ipFamilies[0]"
    if len(before) == len(after):
        found.extend(
            causes.invalid(path, after, _SET) for one, other in zip(before, after, strict=True) if one != other
        )
    elif before and after and before[0] != after[0]:
        found.append(causes.invalid(path, new.get("clusterIPs"), _SET))
    if len(before) > len(after) == 1 and new.get("ipFamilyPolicy") != "SingleStack":
        message = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        found.append(causes.invalid("spec.ipFamilyPolicy", new.get("ipFamilyPolicy"), message))


def status(new: Obj, old: Obj) -> Found:
    """The status of a Service: where its balancer listens."""
    found: Found = []
    points = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    path = "status.loadBalancer.ingress"
    if points and new["spec"].get("type") != "LoadBalancer":
        found.append(causes.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
        return found
    before = ((old.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balancer_points(found, path, points, [each.get("ip") for each in before])
    for index, point in enumerate(points):
        mode, place = point.get("ipMode"), f"{path}[{index}].ipMode"
        if mode is None and point.get("ip"):
            found.append(causes.required(place, "must be specified when `ip` is set"))
        elif mode is not None and not point.get("ip"):
            found.append(causes.forbidden(place, "may not be specified when `ip` is not set"))
        else:
            one_of(found, place, mode, ("Proxy", "VIP"))
    return found


def balancer_points(found: Found, path: str, points: Any, kept: list[Any]) -> None:
    """Where a balancer listens, of a Service or an Ingress."""
    for index, point in enumerate(points):
        if point.get("ip"):
            addresses.address(found, f"{path}[{index}].ip", point["ip"], kept)
        host = point.get("hostname")
        if host:
            say(found, f"{path}[{index}].hostname", host, names.subdomain(host))
            if addresses.sloppy(host) is not None:
                message = "must be a DNS name, not an IP address"
                found.append(causes.invalid(f"{path}[{index}].hostname", host, message))
