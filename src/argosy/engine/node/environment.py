"""A container's environment variables, exactly as Kubernetes defines them, and what below L2 replaces name resolution.

Order, each overriding the ones before: the image's, service links, `envFrom`, `env`; then what Argosy always gives
(POD_IP). Pure; `launch` calls it with what the informers hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.engine.node.sources import (
    ClusterFacts,
    Lookup,
    Missing,
    PodFacts,
    Reference,
    data_of,
    field_of,
    resource_of,
)
from argosy.meta.json import Obj
from argosy.meta.objects import name_of, namespace_of

_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z0-9]+)\))")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything an environment is made from besides the pod."""

    lookup: Lookup
    pod: PodFacts
    cluster: ClusterFacts


def environment(pod: Obj, container: Obj, sources: Sources, image_env: Mapping[str, str]) -> dict[str, str]:
    """The variables of one container. Raises Missing when it refers to something that is not there."""
    services = service_variables(pod, sources.cluster)
    result = {**image_env, **services}
    for source in container.get("envFrom") or ():
        result |= _env_from(source, namespace_of(pod), sources.lookup)
    own: dict[str, str] = {}
    for entry in container.get("env") or ():
        name = str(entry["name"])
        if entry.get("valueFrom"):
            value = _value_from(pod, container, entry["valueFrom"], sources)
            if value is None:
                continue
        else:
            value = expand(str(entry.get("value") or ""), {**services, **own})
        own[name] = value
    result |= own
    result.setdefault("POD_IP", sources.pod.address)
    return result


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value where it is known and stays as it is where not; `$$` is a dollar sign."""
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def _env_from(source: Obj, namespace: str, lookup: Lookup) -> dict[str, str]:
    prefix = str(source.get("prefix") or "")
    for field, resource, what in (
        ("configMapRef", "configmaps", "configmap"),
        ("secretRef", "secrets", "secret"),
    ):
        wanted = source.get(field)
        if wanted:
            reference = Reference(resource, namespace, str(wanted.get("name")))
            obj = lookup(reference)
            if obj is None:
                if wanted.get("optional"):
                    return {}
                raise Missing(f'{what} "{reference.name}" not found', reference)
            return {prefix + key: raw.decode(errors="replace") for key, raw in data_of(obj).items()}
    return {}


def _value_from(pod: Obj, container: Obj, source: Obj, sources: Sources) -> str | None:
    if "fieldRef" in source:
        return field_of(pod, sources.pod, str(source["fieldRef"].get("fieldPath")))
    if "resourceFieldRef" in source:
        return resource_of(pod, container, sources.pod, source["resourceFieldRef"])
    for field, resource, what in (
        ("configMapKeyRef", "configmaps", "ConfigMap"),
        ("secretKeyRef", "secrets", "Secret"),
    ):
        wanted = source.get(field)
        if not wanted:
            continue
        namespace = namespace_of(pod)
        reference = Reference(resource, namespace, str(wanted.get("name")))
        obj = sources.lookup(reference)
        data = data_of(obj) if obj is not None else {}
        key = str(wanted.get("key"))
        if key in data:
            return data[key].decode(errors="replace")
        if wanted.get("optional"):
            return None
        if obj is None:
            raise Missing(f'{what.lower()} "{reference.name}" not found', reference)
        raise Missing(f"couldn't find key {key} in {what} {namespace}/{reference.name}", reference)
    raise Missing(
        "an env entry has a valueFrom that names no source; give it fieldRef, configMapKeyRef or secretKeyRef"
    )


def service_variables(pod: Obj, cluster: ClusterFacts) -> dict[str, str]:
    """`KUBERNETES_SERVICE_HOST` and its kin always; the namespace's Services unless `enableServiceLinks` is false."""
    result = _links("KUBERNETES", cluster.api_host, [("https", "TCP", cluster.api_port)])
    if pod["spec"].get("enableServiceLinks") is False:
        return result
    for service in cluster.services:
        spec = service.get("spec") or {}
        address = spec.get("clusterIP")
        if not address or address == "None" or name_of(service) == "kubernetes":
            continue
        ports = [
            (str(p.get("name") or ""), str(p.get("protocol") or "TCP"), int(p["port"])) for p in spec.get("ports") or ()
        ]
        if ports:
            result |= _links(name_of(service).upper().replace("-", "_"), str(address), ports)
    return result


def _links(prefix: str, address: str, ports: Sequence[tuple[str, str, int]]) -> dict[str, str]:
    """The variables that Docker links once set, and Kubernetes ever since."""
    first_protocol, first_port = ports[0][1], ports[0][2]
    result = {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(first_port),
        f"{prefix}_PORT": f"{first_protocol.lower()}://{address}:{first_port}",
    }
    for name, protocol, port in ports:
        if name:
            result[f"{prefix}_SERVICE_PORT_{name.upper().replace('-', '_')}"] = str(port)
        stem = f"{prefix}_PORT_{port}_{protocol.upper()}"
        result[stem] = f"{protocol.lower()}://{address}:{port}"
        result[f"{stem}_PROTO"] = protocol.lower()
        result[f"{stem}_PORT"] = str(port)
        result[f"{stem}_ADDR"] = address
    return result


# Where names do not resolve (L0).

_NAME = re.compile(r"(?<![-\w.])[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?(?![-\w])", re.IGNORECASE)
_SAYS_ADDRESS = re.compile(r"ADDR|HOST|ENDPOINT|URL|URI|SERVER|MASTER|COORDINATOR|PEER", re.IGNORECASE)
_PORT_FOLLOWS = re.compile(r":\d{2,5}(?![\d.])")


def with_addresses(text: str, table: Mapping[str, str], *, variable: str = "") -> str:
    """Replace the cluster's host names in a value by their addresses, for pods whose resolver does not know them.

    A name counts as a host only where it stands as one: with dots in it, before `:port`, after `//` or `@`, or alone in a
    variable whose own name speaks of an address. So `http://web:80`, `web.ns.svc` and `MASTER_ADDR=web` change,
    `APP=web` does not.
    """
    if not table:
        return text
    alone = bool(_SAYS_ADDRESS.search(variable)) and variable != "HOSTNAME"
    hosts_only = alone and all(part.strip() in table for part in text.split(","))

    def value(match: re.Match[str]) -> str:
        name = match[0]
        address = table.get(name) or table.get(name.lower())
        if address is None:
            return name
        start, end = match.span()
        stands_as_host = (
            "." in name
            or hosts_only
            or text[max(0, start - 2) : start] == "//"
            or text[max(0, start - 1) : start] == "@"
            or _PORT_FOLLOWS.match(text, end) is not None
        )
        return address if stands_as_host else name

    return _NAME.sub(value, text)


def replace_names(env: Mapping[str, str], table: Mapping[str, str]) -> dict[str, str]:
    """`with_addresses` for every variable; the pod's own names stay."""
    kept = {"HOSTNAME", "POD_NAME", "PATH"}
    return {k: v if k in kept else with_addresses(v, table, variable=k) for k, v in env.items()}
