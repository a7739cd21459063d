"""Rules of Endpoints, Ingresses, network policies and their kin."""

from __future__ import annotations

from collections.abc import Callable

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules import addresses
from argosy.meta.rules.fields import (
    Found,
    in_range,
    labels,
    named,
    needs_one_of,
    one_of,
    port,
    required,
    say,
    selector,
)  # fmt: skip
from argosy.meta.rules.services import PROTOCOLS, balancer_points

_INGRESS_CLASS = "kubernetes.io/ingress.class"
_SLICE_MAKERS = ("endpointslice.kubernetes.io/managed-by",)
_ENDPOINTS_MAKERS = ("endpoints.kubernetes.io/managed-by",)
_MOST_ENDPOINTS, _MOST_ADDRESSES, _MOST_HINTS, _MOST_TOPOLOGY = 1000, 100, 8, 16


def endpoint_slice(new: Obj, old: Obj | None) -> Found:
    """discovery.k8s.io/v1 EndpointSlice."""
    found: Found = []
    kind = new.get("addressType")
    needs_one_of(found, "addressType", kind, ("FQDN", "IPv4", "IPv6"))
    seen: set[str] = set()
    for index, each in enumerate(new.get("ports") or ()):
        name, path = each.get("name") or "", f"ports[{index}]"
        if name:
            say(found, f"{path}.name", name, names.label(name))
        if name in seen:
            found.append(causes.duplicate(f"{path}.name", name))
        seen.add(name)
        one_of(found, f"{path}.protocol", each.get("protocol"), PROTOCOLS)
        if each.get("appProtocol") is not None:
            say(found, f"{path}.appProtocol", each["appProtocol"], names.qualified(each["appProtocol"]))
    if old is None or new.get("endpoints") != old.get("endpoints"):
        _endpoints(found, new.get("endpoints") or [], str(kind), local=_made_here(new, _SLICE_MAKERS))
    if old is not None and kind != old.get("addressType"):
        found.append(causes.invalid("addressType", kind, "field is immutable"))
    return found


def _made_here(obj: Obj, makers: tuple[str, ...]) -> bool:
    """Whether controllers made it, of pods that may have addresses of this machine alone: below L2 all have."""
    labels_of = obj["metadata"].get("labels") or {}
    return any(labels_of.get(key) is not None for key in makers)


def _endpoints(found: Found, endpoints: list[Obj], kind: str, *, local: bool) -> None:
    if len(endpoints) > _MOST_ENDPOINTS:
        found.append(causes.too_many("endpoints", len(endpoints), _MOST_ENDPOINTS))
        return
    for index, each in enumerate(endpoints):
        place = f"endpoints[{index}]"
        targets = each.get("addresses") or []
        if not targets:
            found.append(causes.required(f"{place}.addresses", "must contain at least 1 address"))
        elif len(targets) > _MOST_ADDRESSES:
            found.append(causes.too_many(f"{place}.addresses", len(targets), _MOST_ADDRESSES))
        for number, target in enumerate(targets):
            _target(found, f"{place}.addresses[{number}]", target, kind, local=local)
        if each.get("nodeName") is not None:
            say(found, f"{place}.nodeName", each["nodeName"], names.subdomain(each["nodeName"]))
        marks = each.get("deprecatedTopology") or {}
        if len(marks) > _MOST_TOPOLOGY:
            found.append(causes.too_many(f"{place}.deprecatedTopology", len(marks), _MOST_TOPOLOGY))
        labels(found, f"{place}.deprecatedTopology", marks)
        if each.get("hostname") is not None:
            say(found, f"{place}.hostname", each["hostname"], names.label(each["hostname"]))
        for field, form in (("forZones", names.label_value), ("forNodes", names.subdomain)):
            if not _hints(found, f"{place}.hints.{field}", (each.get("hints") or {}).get(field) or [], form):
                break


def _target(found: Found, place: str, text: str, kind: str, *, local: bool) -> None:
    if kind == "FQDN":
        domain_name(found, place, text)
    elif kind in ("IPv4", "IPv6") and addresses.address(found, place, text):
        value = addresses.sloppy(text)
        if value is not None and f"IPv{value.version}" != kind:
            found.append(causes.invalid(place.rpartition("[")[0], text, f"must be an {kind} address"))
        addresses.endpoint(found, place, text, local=local)


def domain_name(found: Found, path: str, value: str) -> None:
    """A domain of at least two labels, perhaps with the dot that makes it absolute."""
    if not required(found, path, value):
        return
    value = value.removesuffix(".")
    faults = names.subdomain(value)
    if faults:
        found.append(causes.invalid(path, value, ",".join(faults)))
    elif "." not in value:
        message = "should be a domain with at least two segments separated by dots"
        found.append(causes.invalid(path, value, message))
    else:
        for part in value.split("."):
            if names.label(part):
                found.append(causes.invalid(path, part, ",".join(names.label(part))))


def _hints(found: Found, path: str, hints: list[Obj], form: Callable[[str], list[str]]) -> bool:
    if len(hints) > _MOST_HINTS:
        found.append(causes.too_many(path, len(hints), _MOST_HINTS))
        return False
    seen: set[str] = set()
    for index, hint in enumerate(hints):
        name = hint.get("name") or ""
        if name in seen:
            found.append(causes.duplicate(f"{path}[{index}].name", name))
        seen.add(name)
        say(found, f"{path}[{index}].name", name, form(name))
    return True


def endpoints(new: Obj, old: Obj | None) -> Found:
    """v1 Endpoints."""
    found: Found = []
    if old is not None and new.get("subsets") == old.get("subsets"):
        return found
    for index, subset in enumerate(new.get("subsets") or ()):
        place = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(causes.required(place, "must specify `addresses` or `notReadyAddresses`"))
        for name in ("addresses", "notReadyAddresses"):
            for number, each in enumerate(subset.get(name) or ()):
                _endpoint_address(found, f"{place}.{name}[{number}]", each, local=_made_here(new, _ENDPOINTS_MAKERS))
        ports = subset.get("ports") or []
        for number, each in enumerate(ports):
            path = f"{place}.ports[{number}]"
            if each.get("name"):
                say(found, f"{path}.name", each["name"], names.label(each["name"]))
            elif len(ports) > 1:
                found.append(causes.required(f"{path}.name"))
            in_range(found, f"{path}.port", each.get("port") or 0, 1, 65535)
            needs_one_of(found, f"{path}.protocol", each.get("protocol"), PROTOCOLS)
            if each.get("appProtocol") is not None:
                say(found, f"{path}.appProtocol", each["appProtocol"], names.qualified(each["appProtocol"]))
    return found


def _endpoint_address(found: Found, path: str, each: Obj, *, local: bool) -> None:
    text = each.get("ip") or ""
    addresses.address(found, f"{path}.ip", text)
    if each.get("hostname"):
        say(found, f"{path}.hostname", each["hostname"], names.label(each["hostname"]))
    if each.get("nodeName") is not None:
        say(found, f"{path}.nodeName", each["nodeName"], names.subdomain(each["nodeName"]))
    addresses.endpoint(found, f"{path}.ip", text, local=local)


def ingress(new: Obj, old: Obj | None) -> Found:
    """networking.k8s.io/v1 Ingress."""
    found: Found = []
    spec = new["spec"]
    rules = spec.get("rules") or []
    if not rules and spec.get("defaultBackend") is None:
        found.append(causes.invalid("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified"))
    if spec.get("defaultBackend") is not None:
        _backend(found, "spec.defaultBackend", spec["defaultBackend"])
    for index, rule in enumerate(rules):
        _ingress_rule(found, f"spec.rules[{index}]", rule)
    lax = any(each.get("secretName") and names.subdomain(each["secretName"]) for each in _old_tls(old))
    for index, tls in enumerate(spec.get("tls") or ()):
        for number, host in enumerate(tls.get("hosts") or ()):
            _host(found, f"spec.tls[{index}].hosts[{number}]", host)
        secret = tls.get("secretName")
        if secret and not lax:
            say(found, f"spec.tls[{index}].secretName", secret, names.subdomain(secret))
    name = spec.get("ingressClassName")
    if name is not None:
        say(found, "spec.ingressClassName", name, names.subdomain(name))
        marked = (new["metadata"].get("annotations") or {}).get(_INGRESS_CLASS)
        if old is None and marked is not None and marked != name:
            message = "must match `ingressClassName` when both are specified"
            found.append(causes.invalid(f"annotations.{_INGRESS_CLASS}", marked, message))
    return found


def _old_tls(old: Obj | None) -> list[Obj]:
    return (old["spec"].get("tls") or []) if old is not None else []


def _ingress_rule(found: Found, place: str, rule: Obj) -> None:
    host, http = rule.get("host"), rule.get("http")
    if host:
        if addresses.sloppy(host) is not None:
            found.append(causes.invalid(f"{place}.host", host, "must be a DNS name, not an IP address"))
        _host(found, f"{place}.host", host)
    if http is None:
        return
    paths = http.get("paths") or []
    if not paths:
        found.append(causes.required(f"{place}.http.paths"))
    for number, each in enumerate(paths):
        _path(found, f"{place}.http.paths[{number}]", each)


def ingress_status(new: Obj, old: Obj) -> Found:
    """The status of an Ingress: where its balancer listens."""
    found: Found = []
    before, after = (((each.get("status") or {}).get("loadBalancer") or {}).get("ingress") or () for each in (old, new))
    balancer_points(found, "status.loadBalancer.ingress", after, [point.get("ip") for point in before])
    return found


def _host(found: Found, path: str, host: str) -> None:
    say(found, path, host, names.wildcard(host) if "*" in host else names.subdomain(host))


def _path(found: Found, path: str, each: Obj) -> None:
    kind, where = each.get("pathType"), each.get("path") or ""
    if kind is None:
        found.append(causes.required(f"{path}.pathType", "pathType must be specified"))
        return
    if kind in ("Exact", "Prefix"):
        if not where.startswith("/"):
            found.append(causes.invalid(f"{path}.path", where, "must be an absolute path"))
        for part in ("//", "/./", "/../", "%2f", "%2F"):
            if part in where:
                found.append(causes.invalid(f"{path}.path", where, f"must not contain '{part}'"))
        for part in ("/..", "/."):
            if where.endswith(part):
                found.append(causes.invalid(f"{path}.path", where, f"cannot end with '{part}'"))
    elif kind == "ImplementationSpecific":
        if where and not where.startswith("/"):
            found.append(causes.invalid(f"{path}.path", where, "must be an absolute path"))
    else:
        found.append(causes.unsupported(f"{path}.pathType", kind, ("Exact", "ImplementationSpecific", "Prefix")))
    _backend(found, f"{path}.backend", each.get("backend") or {})


def _backend(found: Found, path: str, backend: Obj) -> None:
    service_ref, resource = backend.get("service"), backend.get("resource")
    if service_ref is not None and resource is not None:
        found.append(causes.invalid(path, "", "cannot set both resource and service backends"))
    elif resource is not None:
        _reference(found, f"{path}.resource", resource)
    elif service_ref is None:
        found.append(causes.invalid(path, "", "resource or service backend is required"))
    else:
        name = service_ref.get("name")
        if required(found, f"{path}.service.name", name):
            say(found, f"{path}.service.name", name, names.label(str(name)))
        target = service_ref.get("port") or {}
        if target.get("name") and target.get("number"):
            found.append(causes.invalid(path, "", "cannot set both port name & port number"))
        elif target.get("name"):
            say(found, f"{path}.service.port.name", target["name"], names.port_name(target["name"]))
        elif target.get("number"):
            in_range(found, f"{path}.service.port.number", target["number"], 1, 65535)
        else:
            found.append(causes.required(path, "port name or number is required"))


def _reference(found: Found, path: str, value: Obj) -> None:
    """A reference to an object of any kind."""
    if value.get("apiGroup") is not None:
        say(found, f"{path}.apiGroup", value["apiGroup"], names.subdomain(value["apiGroup"]))
    for field in ("kind", "name"):
        named(found, f"{path}.{field}", value.get(field), names.path_segment)


def ingress_class(new: Obj, old: Obj | None) -> Found:
    """networking.k8s.io/v1 IngressClass."""
    found: Found = []
    spec = new.get("spec") or {}
    controller = spec.get("controller") or ""
    if old is not None and controller != ((old.get("spec") or {}).get("controller") or ""):
        found.append(causes.invalid("spec.controller", controller, "field is immutable"))
    if len(controller) > 250:
        found.append(causes.too_long("spec.controller", 250))
    domain_path(found, "spec.controller", controller)
    parameters, path = spec.get("parameters"), "spec.parameters"
    if parameters is None:
        return found
    _reference(found, path, parameters)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        found.append(causes.required(f"{path}.scope"))
        return found
    one_of(found, f"{path}.scope", scope, ("Cluster", "Namespace"))
    if scope == "Namespace":
        if namespace is None:
            found.append(causes.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            say(found, f"{path}.namespace", namespace, names.label(namespace))
    elif scope == "Cluster" and namespace is not None:
        found.append(causes.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
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
        say(found, path, rest, names.http_path(rest))


def network_policy(new: Obj, old: Obj | None) -> Found:
    """networking.k8s.io/v1 NetworkPolicy."""
    found: Found = []
    spec = new["spec"]
    kept = _blocks(old)
    selector(found, "spec.podSelector", spec.get("podSelector"))
    for name, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(name) or ()):
            place = f"spec.{name}[{index}]"
            for number, each in enumerate(rule.get("ports") or ()):
                _policy_port(found, f"{place}.ports[{number}]", each)
            for number, peer in enumerate(rule.get(peers) or ()):
                _peer(found, f"{place}.{peers}[{number}]", peer, kept)
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        found.append(causes.invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes"))
        return found
    for index, kind in enumerate(kinds):
        one_of(found, f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))
    return found


def _policy_port(found: Found, path: str, each: Obj) -> None:
    one_of(found, f"{path}.protocol", each.get("protocol"), ("TCP", "UDP", "SCTP"))
    number, end = each.get("port"), each.get("endPort")
    if number is None:
        if end is not None:
            found.append(causes.invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
        return
    if isinstance(number, str):
        if end is not None:
            found.append(causes.invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
    elif end is not None:
        if end < number:
            found.append(causes.invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
        say(found, f"{path}.endPort", end, names.port_number(end))
    port(found, f"{path}.port", number)


def _peer(found: Found, path: str, peer: Obj, kept: list[str]) -> None:
    others = [name for name in ("podSelector", "namespaceSelector") if peer.get(name) is not None]
    for name in others:
        selector(found, f"{path}.{name}", peer[name])
    if peer.get("ipBlock") is not None:
        _block(found, f"{path}.ipBlock", peer["ipBlock"], kept)
        if others:
            found.append(causes.forbidden(path, "may not specify both ipBlock and another peer"))
    elif not others:
        found.append(causes.required(path, "must specify a peer"))


def _block(found: Found, path: str, block: Obj, kept: list[str]) -> None:
    cidr = block.get("cidr") or ""
    if not required(found, f"{path}.cidr", cidr):
        return
    addresses.block(found, f"{path}.cidr", cidr, kept)
    whole = addresses.sloppy_block(cidr)
    for index, text in enumerate(block.get("except") or () if whole is not None else ()):
        addresses.block(found, f"{path}.except[{index}]", text, kept)
        hole = addresses.sloppy_block(text)
        if hole is None or whole is None:
            continue
        inside = hole.version == whole.version and hole.network_address in whole
        if not inside or whole.prefixlen >= hole.prefixlen:
            found.append(causes.invalid(f"{path}.except[{index}]", text, "must be a strict subset of `cidr`"))


def _blocks(old: Obj | None) -> list[str]:
    """Every block of addresses that a policy names."""
    spec = old["spec"] if old is not None else {}
    peers = [
        *(peer for rule in spec.get("ingress") or () for peer in rule.get("from") or ()),
        *(peer for rule in spec.get("egress") or () for peer in rule.get("to") or ()),
    ]
    blocks = [peer["ipBlock"] for peer in peers if peer.get("ipBlock")]
    return [text for block in blocks for text in (block.get("cidr") or "", *(block.get("except") or ()))]
