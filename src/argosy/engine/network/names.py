"""Which names the cluster has, and what they stand for. Pure.

`Names` answers one question at a time from whatever index of Services and EndpointSlices it is given, so an answer is as
fresh as the informers behind it; `hosts` writes all of them down for machines whose pods have no DNS server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from argosy.engine.network.services import is_external, is_headless
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of

TTL_SECONDS = 5
"""For addresses that do not move. Those of endpoints get 0: they follow the pods."""


class Standing(Enum):
    """What is known about a name."""

    OUTSIDE = "outside"
    """Not one of the cluster's names: somebody else may know it."""
    UNKNOWN = "unknown"
    """One of the cluster's, and there is no such thing."""
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Found:
    """The answer about one name."""

    standing: Standing
    addresses: tuple[str, ...] = ()
    ttl_seconds: int = TTL_SECONDS
    alias: str = ""
    """For an ExternalName: the name that it stands for."""
    targets: tuple[tuple[str, int], ...] = ()
    """For a service record: (name, port) of each."""


_OUTSIDE = Found(Standing.OUTSIDE)
_UNKNOWN = Found(Standing.UNKNOWN)


class Names:
    """Looks names up in the cluster's domain."""

    def __init__(
        self,
        domain: str,
        service: Callable[[Key], Obj | None],
        slices: Callable[[Key], Sequence[Obj]],
    ) -> None:
        self._domain = domain.strip(".").lower()
        self._service, self._slices = service, slices

    def find(self, name: str) -> Found:
        """What a fully qualified name stands for (case and the last dot do not matter)."""
        name = name.rstrip(".").lower()
        suffix = f".{self._domain}"
        if name == self._domain:
            return Found(Standing.KNOWN)
        if not name.endswith(suffix):
            # A bare `svc` or `svc.ns.svc` got here after every search domain failed: nobody outside knows it either.
            return _UNKNOWN if "." not in name or name.endswith(".svc") else _OUTSIDE
        labels = name[: -len(suffix)].split(".")
        kind = labels.pop()
        if kind == "pod" and len(labels) == 2:
            address = _dashed(labels[0])
            return Found(Standing.KNOWN, (address,)) if address else _UNKNOWN
        if kind != "svc":
            return _UNKNOWN
        match labels:
            case []:
                return Found(Standing.KNOWN)
            case [service, namespace]:
                return self._of_service(Key(namespace, service))
            case [port, protocol, service, namespace] if port[:1] == "_" and protocol in ("_tcp", "_udp", "_sctp"):
                return self._of_port(Key(namespace, service), port[1:], protocol[1:].upper())
            case [host, service, namespace]:
                return self._of_host(Key(namespace, service), host)
        return _UNKNOWN

    def _of_service(self, key: Key) -> Found:
        service = self._service(key)
        if service is None:
            return _UNKNOWN
        if is_external(service):
            return Found(Standing.KNOWN, alias=str(dig(service, "spec", "externalName", default="")).rstrip("."))
        if not is_headless(service):
            return Found(Standing.KNOWN, (service["spec"]["clusterIP"],))
        addresses = tuple(dict.fromkeys(address for _, address in published(service, self._slices(key))))
        return Found(Standing.KNOWN, addresses, 0) if addresses else _UNKNOWN

    def _of_host(self, key: Key, host: str) -> Found:
        service = self._service(key)
        if service is None:
            return _UNKNOWN
        found = [
            address
            for hostname, address in published(service, self._slices(key))
            if host in (hostname, address.replace(".", "-"))
        ]
        return Found(Standing.KNOWN, tuple(dict.fromkeys(found)), 0) if found else _UNKNOWN

    def _of_port(self, key: Key, port_name: str, protocol: str) -> Found:
        service = self._service(key)
        if service is None or is_external(service):
            return _UNKNOWN
        base = f"{key.name}.{key.namespace}.svc.{self._domain}"
        targets: list[tuple[str, int]] = []
        if not is_headless(service):
            targets = [(base, p["port"]) for p in _ports(service["spec"].get("ports"), port_name, protocol)]
        else:
            for slice in self._slices(key):
                for port in _ports(slice.get("ports"), port_name, protocol):
                    for hostname, address in published(service, [slice]):
                        targets.append((f"{hostname or address.replace('.', '-')}.{base}", port["port"]))
        return Found(Standing.KNOWN, targets=tuple(dict.fromkeys(targets)), ttl_seconds=0) if targets else _UNKNOWN


def published(service: Obj, slices: Iterable[Obj]) -> Iterator[tuple[str, str]]:
    """(hostname or empty, address) of each endpoint that a Service lets be known, in order of addresses."""
    early = bool(dig(service, "spec", "publishNotReadyAddresses"))
    found: list[tuple[str, str]] = []
    for slice in slices:
        if slice.get("addressType", "IPv4") != "IPv4":
            continue
        for endpoint in slice.get("endpoints") or ():
            if early or (endpoint.get("conditions") or {}).get("ready") is not False:
                hostname = str(endpoint.get("hostname") or "").lower()
                found += [(hostname, address) for address in endpoint.get("addresses") or ()]
    yield from sorted(found, key=lambda pair: (_numbers(pair[1]), pair[0]))


def service_names(service: Obj, domain: str) -> tuple[str, ...]:
    """The names of a Service from the longest to the shortest that every namespace may use."""
    key = key_of(service)
    stem = f"{key.name}.{key.namespace}"
    return (f"{stem}.svc.{domain}", f"{stem}.svc", stem)


def _ports(ports: Iterable[Obj] | None, name: str, protocol: str) -> list[Obj]:
    return [
        port
        for port in ports or ()
        if (port.get("name") or "") == name and (port.get("protocol") or "TCP") == protocol and port.get("port")
    ]


def _dashed(label: str) -> str:
    parts = label.split("-")
    sound = len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)
    return ".".join(parts) if sound else ""


def _numbers(address: str) -> tuple[int, ...]:
    return tuple(int(part) for part in address.split(".") if part.isdigit())
