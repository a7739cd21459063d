"""A pod as the scheduler sees it: everything that placement depends on, read once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from argosy.engine.controllers.claim.use import claims_of
from argosy.engine.scheduler.affinity import Spread, Term, Weighted, read_affinity, read_spread
from argosy.engine.scheduler.gangs import Membership, membership
from argosy.meta.json import Obj, dig, encode
from argosy.meta.objects import Key, controller_of, key_of, labels_of, uid_of
from argosy.meta.quantity import millis_of

CPU, MEMORY, PODS = "cpu", "memory", "pods"
_DEFAULT_CPU_MILLIS = 100
_DEFAULT_MEMORY_MILLIS = 200 * 1024 * 1024 * 1000
"""What a pod without requests counts as when nodes are compared, so that such pods spread too."""


class HostPort(NamedTuple):
    """A port of the node that a pod takes."""

    address: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True, eq=False)
class PodInfo:
    """One pod. Amounts are in thousandths of the resource's unit."""

    key: Key
    uid: str
    obj: Obj
    labels: Mapping[str, str]
    priority: int
    requests: Mapping[str, int]
    weight: tuple[int, int]
    """CPU and memory for comparing nodes, with defaults where nothing is asked for."""
    ports: tuple[HostPort, ...]
    owner: str
    """The controlling owner's uid: pods of one owner are spread."""
    claims: tuple[str, ...]
    required: tuple[Term, ...]
    anti: tuple[Term, ...]
    preferred: tuple[Weighted, ...]
    spread: tuple[Spread, ...]
    gang: Membership | None
    signature: bytes
    """Pods with the same signature fit the same nodes equally well."""

    @property
    def spec(self) -> Obj:
        """The pod's spec."""
        return dict(self.obj["spec"])

    @property
    def looks_around(self) -> bool:
        """Whether placement depends on where other pods are."""
        return bool(self.required or self.anti or self.preferred or self.spread)


def read(pod: Obj) -> PodInfo:
    """Read a pod. Raises ValueError for what the API server would not have let in."""
    spec = pod["spec"]
    requests = requests_of(spec)
    labels = labels_of(pod)
    key = key_of(pod)
    required, anti, preferred = read_affinity(spec.get("affinity"), key.namespace, labels)
    spread = read_spread(spec.get("topologySpreadConstraints"), key.namespace, labels)
    claims = tuple(claims_of(pod))
    ports = tuple(_host_ports(spec))
    priority = int(spec.get("priority") or 0)
    looks = bool(required or anti or preferred or spread)
    parts = [
        priority, sorted(requests.items()), ports, spec.get("nodeName"), spec.get("nodeSelector"), spec.get("tolerations"),
        spec.get("affinity"), spec.get("topologySpreadConstraints"), spec.get("preemptionPolicy"),
        [key.namespace, *claims] if claims else None, [key.namespace, sorted(labels.items())] if looks else None,
    ]  # fmt: skip
    return PodInfo(
        key=key,
        uid=uid_of(pod),
        obj=pod,
        labels=labels,
        priority=priority,
        requests=requests,
        weight=(requests.get(CPU) or _DEFAULT_CPU_MILLIS, requests.get(MEMORY) or _DEFAULT_MEMORY_MILLIS),
        ports=ports,
        owner=str((controller_of(pod) or {}).get("uid") or ""),
        claims=claims,
        required=required,
        anti=anti,
        preferred=preferred,
        spread=spread,
        gang=membership(pod),
        signature=encode(parts),
    )


def requests_of(spec: Obj) -> dict[str, int]:
    """What a pod takes of each resource: its containers together or its largest init container, plus overhead."""
    total: dict[str, int] = {}
    for container in spec.get("containers") or ():
        _add(total, _asked(container))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        asked = _asked(container)
        if container.get("restartPolicy") == "Always":  # it stays, beside all that follow
            _add(sidecars, asked)
            _raise(peak, sidecars)
        else:
            together = dict(sidecars)
            _add(together, asked)
            _raise(peak, together)
    _add(total, sidecars)
    _raise(total, peak)
    # Requests of the pod as a whole take the place of its containers'.
    total.update(_amounts(dig(spec, "resources", "requests", default={})))
    _add(total, _amounts(spec.get("overhead") or {}))
    return {resource: amount for resource, amount in total.items() if amount}


def _asked(container: Obj) -> dict[str, int]:
    return _amounts(dig(container, "resources", "requests", default={}))


def _amounts(resources: Mapping[str, str]) -> dict[str, int]:
    return {resource: millis_of(amount) for resource, amount in resources.items()}


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for resource, amount in more.items():
        total[resource] = total.get(resource, 0) + amount


def _raise(total: dict[str, int], floor: Mapping[str, int]) -> None:
    for resource, amount in floor.items():
        total[resource] = max(total.get(resource, 0), amount)


def _host_ports(spec: Obj) -> Iterable[HostPort]:
    network = bool(spec.get("hostNetwork"))
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if network else 0)
            if number:
                yield HostPort(port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(number))


def gated(pod: Obj) -> bool:
    """Whether scheduling gates hold the pod back."""
    return bool(dig(pod, "spec", "schedulingGates"))
