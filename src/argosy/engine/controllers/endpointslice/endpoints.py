"""A Service's pods as endpoints: addresses, conditions, ports. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from argosy.engine.controllers.pods import is_finished
from argosy.meta.json import Obj, dig, encode
from argosy.meta.objects import is_deleting, name_of, namespace_of, pod_is_ready, uid_of


class Group(NamedTuple):
    """Endpoints that share the same port numbers; a named target port may differ from pod to pod."""

    ports: list[Obj]
    endpoints: list[Obj]


def groups_of(service: Obj, pods: Iterable[Obj]) -> list[Group]:
    """The endpoints of a Service by their ports, in the order of the pods' names."""
    found: dict[bytes, Group] = {}
    for pod in pods:
        if not dig(pod, "status", "podIP") or is_finished(pod):
            continue
        ports = _ports(service, pod)
        if not ports and service["spec"].get("ports"):
            continue  # the pod has none of the ports that the Service names
        group = found.setdefault(encode(ports), Group(ports, []))
        group.endpoints.append(_endpoint(service, pod))
    return [found[key] for key in sorted(found)]


def _endpoint(service: Obj, pod: Obj) -> Obj:
    serving = pod_is_ready(pod)
    terminating = is_deleting(pod)
    early = bool(service["spec"].get("publishNotReadyAddresses"))
    endpoint: Obj = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": early or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)},
    }
    if dig(pod, "spec", "nodeName"):
        endpoint["nodeName"] = pod["spec"]["nodeName"]
    hostname = dig(pod, "spec", "hostname")
    if hostname and dig(pod, "spec", "subdomain") == name_of(service):
        endpoint["hostname"] = hostname
    return endpoint


def _ports(service: Obj, pod: Obj) -> list[Obj]:
    ports = []
    for port in service["spec"].get("ports") or ():
        number = _target(port, pod)
        if number is None:
            continue
        entry: Obj = {"name": port.get("name") or "", "protocol": port.get("protocol") or "TCP", "port": number}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        ports.append(entry)
    return ports


def _target(port: Obj, pod: Obj) -> int | None:
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    if str(target).isdigit():
        return int(target)
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for declared in container.get("ports") or ():
            protocol = declared.get("protocol") or "TCP"
            if declared.get("name") == target and protocol == (port.get("protocol") or "TCP"):
                return int(declared["containerPort"])
    return None
