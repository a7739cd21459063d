"""What a pod's volumes and environment are made of, as values: the objects it refers to, and the facts it asks for.

`environment` and `projection` read through these; the agent fills them from its informers. `Missing` is how both say that
something is not there yet: its sentence becomes the event, its reference tells the agent what to watch for. Pure.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from argosy.errors import ArgosyError
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, labels_of, name_of, namespace_of, uid_of
from argosy.meta.quantity import NANO, parse


class Reference(NamedTuple):
    """An object that a pod needs: `configmaps`, `secrets`, `persistentvolumeclaims` …"""

    resource: str
    namespace: str
    name: str


class Missing(ArgosyError):
    """Something that a pod refers to is not there, or is not fit; trying again makes sense when `reference` changes."""

    def __init__(self, message: str, reference: Reference | None = None) -> None:
        super().__init__(message)
        self.reference = reference


Lookup = Callable[[Reference], Obj | None]


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the node knows about a pod that its own object may not say yet."""

    address: str
    host_address: str
    node_name: str
    allocatable: Mapping[str, str] = field(default_factory=dict)
    """The node's, which stands in for limits that are not set."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What every pod may be told about the cluster."""

    api_host: str
    api_port: int
    domain: str = "cluster.local"
    services: Sequence[Obj] = ()
    """The Services of the pod's namespace, for service links."""


def data_of(obj: Obj) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes."""
    found: dict[str, bytes] = {}
    if obj.get("kind") == "Secret":
        for key, text in (obj.get("data") or {}).items():
            found[key] = b64decode(text or "")
        return found
    for key, text in (obj.get("data") or {}).items():
        found[key] = str(text).encode()
    for key, text in (obj.get("binaryData") or {}).items():
        found[key] = b64decode(text or "")
    return found


def field_of(pod: Obj, facts: PodFacts, path: str) -> str:
    """A `fieldRef` of the downward API. Raises Missing for a path that is not served."""
    quoted = _quoted(path)
    if quoted is not None:
        group, key = quoted
        return str((annotations_of(pod) if group == "annotations" else labels_of(pod)).get(key, ""))
    match path:
        case "metadata.name":
            return name_of(pod)
        case "metadata.namespace":
            return namespace_of(pod)
        case "metadata.uid":
            return uid_of(pod)
        case "metadata.labels":
            return _lines(labels_of(pod))
        case "metadata.annotations":
            return _lines(annotations_of(pod))
        case "spec.nodeName":
            return facts.node_name
        case "spec.serviceAccountName":
            return str(pod["spec"].get("serviceAccountName") or "default")
        case "status.hostIP" | "status.hostIPs":
            return facts.host_address
        case "status.podIP" | "status.podIPs":
            return facts.address
    raise Missing(f"the field {path} is not one that the downward API serves; see kubectl explain pod.spec.volumes")


def _quoted(path: str) -> tuple[str, str] | None:
    for group in ("annotations", "labels"):
        head = f"metadata.{group}['"
        if path.startswith(head) and path.endswith("']"):
            return group, path[len(head) : -2]
    return None


def _lines(pairs: Mapping[str, str]) -> str:
    escaped = {
        key: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for key, value in pairs.items()
    }
    return "\n".join(f'{key}="{escaped[key]}"' for key in sorted(escaped))


def resource_of(pod: Obj, container: Obj, facts: PodFacts, selector: Obj) -> str:
    """A `resourceFieldRef` in units of its divisor, rounded up."""
    named = selector.get("containerName")
    if named:
        for other in (*pod["spec"].get("containers", ()), *(pod["spec"].get("initContainers") or ())):
            if other.get("name") == named:
                container = other
    kind, _, resource = str(selector.get("resource")).partition(".")
    text = dig(container, "resources", kind, resource)
    if text is None and kind == "limits":
        text = facts.allocatable.get(resource)
    amount = parse(str(text)).nanos if text is not None else 0
    divisor = parse(str(selector.get("divisor") or "1")).nanos or NANO
    return str(-(-amount // divisor))
