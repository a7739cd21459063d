"""The cluster's names as a hosts file, for pods that have no DNS server (isolation L0 and L1). Pure.

The node agent writes the text into the pods' /etc/hosts (L1) or translates with it (L0).
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy.engine.network.names import published, service_names
from argosy.engine.network.services import is_external, is_headless, service_of
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, is_deleting, key_of, namespace_of, pod_is_ready


def hosts_table(
    services: Iterable[Obj],
    slices: Iterable[Obj],
    pods: Iterable[Obj] = (),
    *,
    namespace: str = "",
    domain: str = "cluster.local",
) -> str:
    """One line an address and name. Within `namespace` the short names are there as well, as search domains give them.

    `pods` matter only for hostnames that no EndpointSlice carries yet. Equal input gives equal text.
    """
    by_service: dict[Key, list[Obj]] = {}
    for slice in slices:
        by_service.setdefault(service_of(slice), []).append(slice)
    lines: list[str] = []
    headless: dict[Key, Obj] = {}
    told: set[tuple[Key, str]] = set()
    for service in sorted(services, key=key_of):
        key = key_of(service)
        names = [*service_names(service, domain), *([key.name] if key.namespace == namespace else [])]
        if is_external(service):
            continue  # a hosts file has no aliases
        if not is_headless(service):
            lines.append(_line(service["spec"]["clusterIP"], names))
            continue
        headless[key] = service
        for hostname, address in published(service, by_service.get(key, ())):
            hosts = [f"{hostname}.{name}" for name in names] if hostname else []
            lines.append(_line(address, [*hosts, *names]))
            told.add((key, hostname))
    lines += _from_pods(pods, headless, told, namespace, domain)
    return "".join(lines)


def _from_pods(
    pods: Iterable[Obj], headless: dict[Key, Obj], told: set[tuple[Key, str]], namespace: str, domain: str
) -> list[str]:
    lines: list[str] = []
    for pod in sorted(pods, key=key_of):
        hostname, subdomain = dig(pod, "spec", "hostname"), dig(pod, "spec", "subdomain")
        address = dig(pod, "status", "podIP")
        if not (hostname and subdomain and address) or is_deleting(pod):
            continue
        key = Key(namespace_of(pod), subdomain)
        service = headless.get(key)
        if service is None or (key, hostname) in told:
            continue
        if pod_is_ready(pod) or dig(service, "spec", "publishNotReadyAddresses"):
            names = [*service_names(service, domain), *([key.name] if key.namespace == namespace else [])]
            lines.append(_line(address, [f"{hostname}.{name}" for name in names]))
    return lines


def _line(address: str, names: Iterable[str]) -> str:
    return f"{address}\t{' '.join(names)}\n"
