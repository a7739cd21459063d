"""Which fields each kind may be selected by, and what their values are. Pure; lists and watches ask here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from argosy import kinds
from argosy.engine.apiserver.served import Served
from argosy.errors import BadRequest
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.selectors import FieldTerm, parse_fields

Getter = Callable[[Obj], str]


def _at(*path: str | int, default: str = "") -> Getter:
    return lambda obj: _text(dig(obj, *path, default=default))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _flag(*path: str) -> Getter:
    return lambda obj: "true" if dig(obj, *path) else "false"


def _ips(pod: Obj) -> str:
    return ",".join(str(entry.get("ip", "")) for entry in dig(pod, "status", "podIPs", default=()))


def _source(event: Obj) -> str:
    return str(dig(event, "source", "component", default="") or event.get("reportingComponent") or "")


_METADATA: dict[str, Getter] = {
    "metadata.name": _at("metadata", "name"),
    "metadata.namespace": _at("metadata", "namespace"),
}

_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_BY_KIND: Mapping[Kind, dict[str, Getter]] = {
    kinds.POD: {
        "spec.nodeName": _at("spec", "nodeName"),
        "spec.restartPolicy": _at("spec", "restartPolicy"),
        "spec.schedulerName": _at("spec", "schedulerName"),
        "spec.serviceAccountName": _at("spec", "serviceAccountName"),
        "spec.hostNetwork": _flag("spec", "hostNetwork"),
        "status.phase": _at("status", "phase"),
        "status.podIP": _at("status", "podIP"),
        "status.podIPs": _ips,
        "status.nominatedNodeName": _at("status", "nominatedNodeName"),
    },
    kinds.NODE: {"spec.unschedulable": _flag("spec", "unschedulable")},
    kinds.NAMESPACE: {"status.phase": _at("status", "phase"), "name": _at("metadata", "name")},
    kinds.SERVICE: {"spec.clusterIP": _at("spec", "clusterIP"), "spec.type": _at("spec", "type")},
    kinds.SECRET: {"type": _at("type")},
    kinds.JOB: {"status.successful": _at("status", "succeeded", default="0")},
    kinds.EVENT: {
        **{f"involvedObject.{name}": _at("involvedObject", name) for name in _INVOLVED},
        "reason": _at("reason"),
        "reportingComponent": _at("reportingComponent"),
        "source": _source,
        "type": _at("type"),
    },
    kinds.REPLICATION_CONTROLLER: {"status.replicas": _at("status", "replicas", default="0")},
    kinds.CERTIFICATE_SIGNING_REQUEST: {"spec.signerName": _at("spec", "signerName")},
    kinds.RESOURCE_SLICE: {"spec.nodeName": _at("spec", "nodeName"), "spec.driver": _at("spec", "driver")},
}
_CLUSTER_NAMED = (kinds.NODE, kinds.NAMESPACE)
"""Cluster-scoped kinds with a list of their own know no metadata.namespace."""


def _selectable(served: Served) -> dict[str, Getter]:
    stored = served.storage
    own = _BY_KIND.get(stored)
    found = dict(_METADATA)
    if own is not None:
        if stored in _CLUSTER_NAMED:
            del found["metadata.namespace"]
        found |= own
    elif served.custom and not served.kind.namespaced:
        del found["metadata.namespace"]
    if served.kind is kinds.EVENTS_V1:
        found |= {f"regarding.{name}": found[f"involvedObject.{name}"] for name in _INVOLVED}
        found["reportingController"] = found["reportingComponent"]
    found |= {path: _at(*path.split(".")) for path in served.selectable}
    return found


def fields_matcher(served: Served, text: str, name: str = "") -> Callable[[Obj], bool] | None:
    """Whether an object of that name matches the field selector; None when everything does. Raises BadRequest."""
    terms = [term for term in parse_fields(text) if term.field or term.value]
    known = _selectable(served)
    tests: list[tuple[Getter, str, bool]] = []
    for term in terms:
        if term.field not in known:
            raise BadRequest(_unsupported(served, term.field))
        if term != FieldTerm("metadata.name", name):
            tests.append((known[term.field], term.value, term.equal))
    if not tests:
        return None
    return lambda obj: all((get(obj) == value) is wanted for get, value, wanted in tests)


def exact_name(text: str) -> str:
    """The one name that a field selector asks for, empty if it does not."""
    for term in parse_fields(text):
        if term.field == "metadata.name" and term.equal:
            return term.value
    return ""


def _unsupported(served: Served, field: str) -> str:
    if served.storage is kinds.JOB:
        return f'field label "{field}" not supported for Job'
    if served.storage is kinds.RESOURCE_SLICE:
        kind = served.kind
        return f"field label not supported for {kind.api_version}, Kind={kind.kind}: {field}"
    if served.storage in _BY_KIND or served.custom:
        return f"field label not supported: {field}"
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
