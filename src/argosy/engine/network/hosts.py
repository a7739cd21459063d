"""The cluster's names all at once, for pods that have no DNS server (isolation L0 and L1). Pure.

The node agent writes them into the pods' /etc/hosts (L1) or translates with them when a container starts (L0). Since such
names cannot be followed as well as DNS answers, a headless Service without a ready pod stands for its pods that are not
ready yet, as soon as they have an address: who starts together must find each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from argosy.engine.network.names import published, service_names, staying
from argosy.engine.network.services import is_external, is_headless, service_of
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, is_deleting, key_of, labels_of, namespace_of


def hosts_table(
    services: Iterable[Obj],
    slices: Iterable[Obj],
    pods: Iterable[Obj] = (),
    *,
    namespace: str = "",
    domain: str = "cluster.local",
) -> str:
    """A hosts file, one line an address. Within `namespace` the short names are there too, as search domains give them.

    Equal input gives equal text.
    """
    found = _entries(services, slices, pods, namespace, domain)
    return "".join(f"{address}\t{' '.join(names)}\n" for address, names in found)


def host_names(
    services: Iterable[Obj],
    slices: Iterable[Obj],
    pods: Iterable[Obj] = (),
    *,
    namespace: str = "",
    domain: str = "cluster.local",
) -> dict[str, str]:
    """The same as a table from name to address; of several addresses the first."""
    found = host_addresses(services, slices, pods, namespace=namespace, domain=domain)
    return {name: addresses[0] for name, addresses in found.items()}


def host_addresses(
    services: Iterable[Obj],
    slices: Iterable[Obj],
    pods: Iterable[Obj] = (),
    *,
    namespace: str = "",
    domain: str = "cluster.local",
) -> dict[str, list[str]]:
    """The same as a table from name to all of its addresses."""
    found: dict[str, list[str]] = {}
    for address, names in _entries(services, slices, pods, namespace, domain):
        for name in names:
            found.setdefault(name, []).append(address)
    return found


def _entries(
    services: Iterable[Obj], slices: Iterable[Obj], pods: Iterable[Obj], namespace: str, domain: str
) -> Iterator[tuple[str, list[str]]]:
    """(address, names) of everything that has a name, in order of Services; last those that stand for another's name."""
    services = list(services)
    found = list(_own_entries(services, slices, pods, namespace, domain))
    yield from found
    aliases: dict[str, list[str]] = {}
    for service in filter(is_external, sorted(services, key=key_of)):
        target = str(dig(service, "spec", "externalName", default="")).rstrip(".").lower()
        aliases.setdefault(target, []).extend(_all_names(service, namespace, domain))
    if aliases:  # a hosts file has none: who stands for a name outside of the cluster is not in it
        for address, names in found:
            for name in names:
                if name in aliases:
                    yield address, aliases[name]


def _all_names(service: Obj, namespace: str, domain: str) -> list[str]:
    key = key_of(service)
    return [*service_names(service, domain), *([key.name] if key.namespace == namespace else [])]


def _own_entries(
    services: Iterable[Obj], slices: Iterable[Obj], pods: Iterable[Obj], namespace: str, domain: str
) -> Iterator[tuple[str, list[str]]]:
    slices_of: dict[Key, list[Obj]] = {}
    for slice in slices:
        slices_of.setdefault(service_of(slice), []).append(slice)
    pods_of: dict[str, list[Obj]] = {}
    for pod in sorted(pods, key=key_of):
        if dig(pod, "status", "podIP") and not is_deleting(pod):
            pods_of.setdefault(namespace_of(pod), []).append(pod)
    for service in sorted(services, key=key_of):
        key = key_of(service)
        if is_external(service):
            continue
        names = _all_names(service, namespace, domain)
        if not is_headless(service):
            yield service["spec"]["clusterIP"], names
            continue
        known, ready = _addresses(service, slices_of.get(key, ()), pods_of.get(key.namespace, ()))
        for address, hostname in known.items():
            hosts = [f"{hostname}.{name}" for name in names] if hostname else []
            # The name of all must not lead to one that cannot answer while another can.
            shared = names if address in ready or not ready else []
            if hosts or shared:
                yield address, [*hosts, *shared]


def _addresses(service: Obj, slices: Sequence[Obj], pods: Sequence[Obj]) -> tuple[dict[str, str], set[str]]:
    """The pods behind a headless Service: address -> hostname or empty, the ready ones first; and which are ready."""
    early = {**service, "spec": {**service["spec"], "publishNotReadyAddresses": True}}
    ready = {one.address: one.hostname for one in staying(published(service, slices))}
    coming = {one.address: one.hostname for one in published(early, slices) if not one.leaving}
    known = ready | coming
    selector = dig(service, "spec", "selector")
    for pod in pods if selector else ():
        labels = labels_of(pod)
        if all(labels.get(name) == value for name, value in selector.items()):
            own = dig(pod, "spec", "subdomain") == service["metadata"]["name"]
            hostname = str(dig(pod, "spec", "hostname", default="")) if own else ""
            known.setdefault(pod["status"]["podIP"], hostname)
    return known, set(ready)
