"""Which names the cluster has, and what they stand for. Pure.

`Names` answers one question at a time from whatever index of Services and EndpointSlices it is given, so an answer is as
fresh as the informers behind it; `hosts` writes all of them down for machines whose pods have no DNS server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

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
        return _found(published(service, self._slices(key)))

    def _of_host(self, key: Key, host: str) -> Found:
        service = self._service(key)
        if service is None:
            return _UNKNOWN
        everybody = published(service, self._slices(key))
        return _found([one for one in everybody if host in (one.hostname, one.address.replace(".", "-"))])

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
                    for one in staying(published(service, [slice])):
                        targets.append((f"{one.hostname or one.address.replace('.', '-')}.{base}", port["port"]))
        return Found(Standing.KNOWN, targets=tuple(dict.fromkeys(targets)), ttl_seconds=0) if targets else _UNKNOWN


class Published(NamedTuple):
    """An endpoint that a Service lets be known."""

    hostname: str
    """Empty unless the pod has a name within the Service."""
    address: str
    leaving: bool
    """Whether its pod is terminating."""


def published(service: Obj, slices: Iterable[Obj]) -> list[Published]:
    """The endpoints that a Service lets be known, in order of addresses."""
    early = bool(dig(service, "spec", "publishNotReadyAddresses"))
    found: list[Published] = []
    for slice in slices:
        if slice.get("addressType", "IPv4") != "IPv4":
            continue
        for endpoint in slice.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            if early or conditions.get("ready") is not False:
                hostname = str(endpoint.get("hostname") or "").lower()
                leaving = bool(conditions.get("terminating"))
                found += [Published(hostname, address, leaving) for address in endpoint.get("addresses") or ()]
    return sorted(found, key=lambda one: (_numbers(one.address), one.hostname))


def staying(found: Sequence[Published]) -> Sequence[Published]:
    """Without those that leave while others stay: when a gang restarts, its name must not lead to the one that goes."""
    return [one for one in found if not one.leaving] or found


def service_names(service: Obj, domain: str) -> tuple[str, ...]:
    """The names of a Service from the longest to the shortest that every namespace may use."""
    key = key_of(service)
    stem = f"{key.name}.{key.namespace}"
    return (f"{stem}.svc.{domain}", f"{stem}.svc", stem)


def _found(endpoints: Sequence[Published]) -> Found:
    addresses = tuple(dict.fromkeys(one.address for one in staying(endpoints)))
    return Found(Standing.KNOWN, addresses, 0) if addresses else _UNKNOWN


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
