"""Rules of Services, Ingresses and their kin."""

from __future__ import annotations

import ipaddress
from typing import Any

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import (
    Found,
    in_range,
    labels,
    needs_one_of,
    one_of,
    port,
    required,
    say,
    selector,
)  # fmt: skip

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_DAY = 86400


def service(new: Obj, old: Obj | None) -> Found:
    """v1 Service; addresses are checked where they are allocated."""
    found: Found = []
    spec = new["spec"]
    kind, headless = spec.get("type"), spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and kind != "ExternalName":
        found.append(causes.required("spec.ports"))
    if kind == "LoadBalancer" and headless:
        message = "may not be set to 'None' for LoadBalancer services"
        found.append(causes.invalid("spec.clusterIPs[0]", "None", message))
    if kind == "NodePort" and headless:
        found.append(causes.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services"))
    if kind == "ExternalName":
        name = (spec.get("externalName") or "").rstrip(".")
        if required(found, "spec.externalName", name):
            say(found, "spec.externalName", name, names.subdomain(name))
    _service_ports(found, spec)
    labels(found, "spec.selector", spec.get("selector"))
    needs_one_of(found, "spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    _affinity(found, spec)
    _external(found, spec)
    needs_one_of(found, "spec.type", kind, _TYPES)
    _node_ports(found, spec)
    one_of(found, "spec.internalTrafficPolicy", spec.get("internalTrafficPolicy"), ("Cluster", "Local"))
    if old is not None:
        _service_update(found, spec, old["spec"])
    return found


def _service_ports(found: Found, spec: Obj) -> None:
    ports = spec.get("ports") or []
    seen: set[str] = set()
    pairs: list[tuple[Any, Any]] = []
    for index, each in enumerate(ports):
        place = f"spec.ports[{index}]"
        name = each.get("name")
        if not name:
            if len(ports) > 1:
                found.append(causes.required(f"{place}.name"))
        else:
            say(found, f"{place}.name", name, names.label(name))
            if name in seen:
                found.append(causes.duplicate(f"{place}.name", name))
            seen.add(name)
        number = each.get("port") or 0
        say(found, f"{place}.port", number, names.port_number(number))
        needs_one_of(found, f"{place}.protocol", each.get("protocol"), _PROTOCOLS)
        if each.get("targetPort") or not number:
            port(found, f"{place}.targetPort", each.get("targetPort"))
        if each.get("appProtocol"):
            say(found, f"{place}.appProtocol", each["appProtocol"], names.qualified(each["appProtocol"]))
    for index, each in enumerate(ports):
        pair = (each.get("protocol"), each.get("port"))
        if pair in pairs:
            shown = {
                "Name": "",
                "Protocol": pair[0],
                "AppProtocol": None,
                "Port": pair[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            found.append(causes.duplicate(f"spec.ports[{index}]", shown))
        pairs.append(pair)


def _affinity(found: Found, spec: Obj) -> None:
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    if spec.get("sessionAffinity") == "ClientIP":
        seconds = config.get("timeoutSeconds") or 0
        if not 0 < seconds <= _DAY:
            message = f"must be greater than 0 and less than {_DAY}"
            found.append(causes.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, message))


def _external(found: Found, spec: Obj) -> None:
    for index, address in enumerate(spec.get("externalIPs") or ()):
        if not _is_address(address):
            found.append(causes.invalid(f"spec.externalIPs[{index}]", address, _ADDRESS))
    policy = spec.get("externalTrafficPolicy")
    external = spec.get("type") in ("NodePort", "LoadBalancer") or (
        spec.get("type") == "ClusterIP" and spec.get("externalIPs")
    )
    if policy and not external:
        message = "may only be set for externally-accessible services"
        found.append(causes.invalid("spec.externalTrafficPolicy", policy, message))
    elif external:
        needs_one_of(found, "spec.externalTrafficPolicy", policy, ("Cluster", "Local"))
    for index, block in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        if spec.get("type") != "LoadBalancer":
            message = "may only be used when `type` is 'LoadBalancer'"
            found.append(causes.forbidden("spec.LoadBalancerSourceRanges", message))
            break
        if not _is_block(block.strip()):
            found.append(causes.invalid(f"spec.LoadBalancerSourceRanges[{index}]", block, _BLOCK))


_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_BLOCK = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_block(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _node_ports(found: Found, spec: Obj) -> None:
    for index, each in enumerate(spec.get("ports") or ()):
        if each.get("nodePort") and spec.get("type") in ("ClusterIP", "ExternalName"):
            message = f"may not be used when `type` is '{spec['type']}'"
            found.append(causes.forbidden(f"spec.ports[{index}].nodePort", message))


def _service_update(found: Found, new: Obj, old: Obj) -> None:
    if "ExternalName" in (new.get("type"), old.get("type")):
        return
    before, after = old.get("clusterIP"), new.get("clusterIP")
    if before and after != before:
        found.append(causes.invalid("spec.clusterIPs[0]", new.get("clusterIPs") or [after], "may not change once set"))


def endpoint_slice(new: Obj, old: Obj | None) -> Found:
    """discovery.k8s.io/v1 EndpointSlice."""
    found: Found = []
    kind = new.get("addressType")
    types = ("FQDN", "IPv4", "IPv6")
    if required(found, "addressType", kind):
        one_of(found, "addressType", kind, types)
    for index, endpoint in enumerate(new.get("endpoints") or ()):
        place = f"endpoints[{index}].addresses"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            found.append(causes.required(place, "must contain at least 1 address"))
        for number, address in enumerate(addresses):
            if kind in ("IPv4", "IPv6") and not _is_address(address):
                found.append(causes.invalid(f"{place}[{number}]", address, _ADDRESS))
            elif kind == "FQDN":
                say(found, f"{place}[{number}]", address, names.subdomain(address))
    seen: set[str] = set()
    for index, each in enumerate(new.get("ports") or ()):
        name = each.get("name") or ""
        if name:
            say(found, f"ports[{index}].name", name, names.label(name))
        if name in seen:
            found.append(causes.duplicate(f"ports[{index}].name", name))
        seen.add(name)
        one_of(found, f"ports[{index}].protocol", each.get("protocol"), _PROTOCOLS)
    if old is not None and kind != old.get("addressType"):
        found.append(causes.invalid("addressType", kind, "field is immutable"))
    return found


def endpoints(new: Obj, old: Obj | None) -> Found:
    """v1 Endpoints."""
    found: Found = []
    for index, subset in enumerate(new.get("subsets") or ()):
        place = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(causes.required(place, "must specify `addresses` or `notReadyAddresses`"))
        for name in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(name) or ()):
                if not _is_address(address.get("ip") or ""):
                    found.append(causes.invalid(f"{place}.{name}[{number}].ip", address.get("ip") or "", _ADDRESS))
        for number, each in enumerate(subset.get("ports") or ()):
            in_range(found, f"{place}.ports[{number}].port", each.get("port") or 0, 1, 65535)
            needs_one_of(found, f"{place}.ports[{number}].protocol", each.get("protocol"), _PROTOCOLS)
    return found


def ingress(new: Obj, old: Obj | None) -> Found:
    """networking.k8s.io/v1 Ingress."""
    found: Found = []
    spec = new["spec"]
    rules = spec.get("rules") or []
    if not rules and spec.get("defaultBackend") is None:
        shown = {
            "IngressClassName": spec.get("ingressClassName"),
            "DefaultBackend": None,
            "TLS": spec.get("tls"),
            "Rules": None,
        }
        found.append(causes.invalid("spec", shown, "either `defaultBackend` or `rules` must be specified"))
    for index, rule in enumerate(rules):
        place = f"spec.rules[{index}]"
        host = rule.get("host")
        if host:
            _host(found, f"{place}.host", host)
        http = rule.get("http")
        if http is None:
            continue
        paths = http.get("paths") or []
        if not paths:
            found.append(causes.required(f"{place}.http.paths"))
        for number, each in enumerate(paths):
            _path(found, f"{place}.http.paths[{number}]", each)
    if spec.get("defaultBackend") is not None:
        _backend(found, "spec.defaultBackend", spec["defaultBackend"])
    for index, tls in enumerate(spec.get("tls") or ()):
        for number, host in enumerate(tls.get("hosts") or ()):
            _host(found, f"spec.tls[{index}].hosts[{number}]", host)
    name = spec.get("ingressClassName")
    if name is not None:
        say(found, "spec.ingressClassName", name, names.subdomain(name))
    return found


def _host(found: Found, path: str, host: str) -> None:
    if _is_address(host):
        found.append(causes.invalid(path, host, "must be a DNS name, not an IP address"))
    elif host.startswith("*"):
        if not host.startswith("*.") or names.subdomain(host[2:]):
            found.append(causes.invalid(path, host, _WILDCARD))
    else:
        say(found, path, host, names.subdomain(host))


_WILDCARD = names.regex_message(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower"
    " case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
    "*.example.com",
)


def _path(found: Found, path: str, each: Obj) -> None:
    kind, where = each.get("pathType"), each.get("path") or ""
    if not kind:
        found.append(causes.required(f"{path}.pathType", "pathType must be specified"))
    elif kind in ("Exact", "Prefix"):
        if not where.startswith("/"):
            found.append(causes.invalid(f"{path}.path", where, "must be an absolute path"))
        for part in ("//", "/./", "/../", "%2f", "%2F"):
            if part in where:
                found.append(causes.invalid(f"{path}.path", where, f"must not contain '{part}'"))
    elif kind == "ImplementationSpecific":
        if where and not where.startswith("/"):
            found.append(causes.invalid(f"{path}.path", where, "must be an absolute path"))
    else:
        found.append(causes.unsupported(f"{path}.pathType", kind, ("Exact", "ImplementationSpecific", "Prefix")))
    _backend(found, f"{path}.backend", each.get("backend") or {})


def _backend(found: Found, path: str, backend: Obj) -> None:
    service_ref, resource = backend.get("service"), backend.get("resource")
    if service_ref is not None and resource is not None:
        message = "cannot set both resource and service backends"
        found.append(causes.invalid(path, "", message))
    elif service_ref is None and resource is None:
        found.append(causes.required(f"{path}.service.name"))
    elif service_ref is not None:
        name = service_ref.get("name")
        if required(found, f"{path}.service.name", name):
            say(found, f"{path}.service.name", name, names.label_1035(str(name)))
        target = service_ref.get("port") or {}
        if target.get("name") and target.get("number"):
            found.append(causes.invalid(path, "", "cannot set both port name & port number"))
        elif target.get("name"):
            say(found, f"{path}.service.port.name", target["name"], names.port_name(target["name"]))
        elif target.get("number"):
            in_range(found, f"{path}.service.port.number", target["number"], 1, 65535)
        else:
            found.append(causes.required(path, "port name or number is required"))


def ingress_class(new: Obj, old: Obj | None) -> Found:
    """networking.k8s.io/v1 IngressClass."""
    found: Found = []
    spec = new.get("spec") or {}
    controller = spec.get("controller") or ""
    if len(controller) > 250:
        found.append(causes.too_long("spec.controller", 250))
    if controller or old is None:
        domain_path(found, "spec.controller", controller)
    parameters = spec.get("parameters")
    if parameters is not None:
        required(found, "spec.parameters.kind", parameters.get("kind"))
        required(found, "spec.parameters.name", parameters.get("name"))
        scope = parameters.get("scope")
        one_of(found, "spec.parameters.scope", scope, ("Cluster", "Namespace"))
        if scope == "Namespace" and not parameters.get("namespace"):
            message = "`parameters.scope` is set to 'Namespace'"
            found.append(causes.required("spec.parameters.namespace", message))
    if old is not None and controller != ((old.get("spec") or {}).get("controller") or ""):
        found.append(causes.invalid("spec.controller", controller, "field is immutable"))
    return found


def domain_path(found: Found, path: str, value: str) -> None:
    """A name such as `acme.io/foo`."""
    domain, slash, rest = value.partition("/")
    if not value:
        found.append(causes.required(path))
    elif not slash or not domain or not rest:
        message = 'must be a domain-prefixed path (such as "acme.io/foo")'
        found.append(causes.invalid(path, value, message))
    else:
        say(found, path, domain, names.subdomain(domain))


def network_policy(new: Obj, old: Obj | None) -> Found:
    """networking.k8s.io/v1 NetworkPolicy."""
    found: Found = []
    spec = new["spec"]
    selector(found, "spec.podSelector", spec.get("podSelector"))
    for name, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(name) or ()):
            place = f"spec.{name}[{index}]"
            for number, each in enumerate(rule.get("ports") or ()):
                _policy_port(found, f"{place}.ports[{number}]", each)
            for number, peer in enumerate(rule.get(peers) or ()):
                _peer(found, f"{place}.{peers}[{number}]", peer)
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        found.append(causes.invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes"))
    for index, kind in enumerate(kinds):
        one_of(found, f"spec.policyTypes[{index}]", kind, ("Egress", "Ingress"))
    return found


def _policy_port(found: Found, path: str, each: Obj) -> None:
    one_of(found, f"{path}.protocol", each.get("protocol"), _PROTOCOLS)
    if each.get("port") is not None:
        port(found, f"{path}.port", each["port"])
        end = each.get("endPort")
        if end is not None and isinstance(each["port"], int) and end < each["port"]:
            message = "must be greater than or equal to `port`"
            found.append(causes.invalid(f"{path}.endPort", end, message))


def _peer(found: Found, path: str, peer: Obj) -> None:
    block = peer.get("ipBlock")
    others = [name for name in ("podSelector", "namespaceSelector") if peer.get(name) is not None]
    for name in others:
        selector(found, f"{path}.{name}", peer[name])
    if block is not None:
        cidr = block.get("cidr") or ""
        if not cidr:
            found.append(causes.required(f"{path}.ipBlock.cidr"))
        elif not _is_block(cidr):
            found.append(causes.invalid(f"{path}.ipBlock.cidr", cidr, _BLOCK))
        for index, hole in enumerate(block.get("except") or ()):
            if not _is_block(hole):
                found.append(causes.invalid(f"{path}.ipBlock.except[{index}]", hole, _BLOCK))
        if others:
            found.append(causes.forbidden(path, "may not specify both ipBlock and another peer"))
    elif not others:
        found.append(causes.required(path, "must specify a peer"))
