"""Namespaces that ask for a Pod Security level: pods below it are refused or warned of, workloads warned of."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.admission.standards import violations
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, labels_of

_LABEL = "pod-security.kubernetes.io/"
TEMPLATES: dict[Kind, tuple[str, ...]] = {
    kinds.POD_TEMPLATE: ("template",),
    kinds.REPLICATION_CONTROLLER: ("spec", "template"),
    kinds.REPLICA_SET: ("spec", "template"),
    kinds.DEPLOYMENT: ("spec", "template"),
    kinds.STATEFUL_SET: ("spec", "template"),
    kinds.DAEMON_SET: ("spec", "template"),
    kinds.JOB: ("spec", "template"),
    kinds.CRON_JOB: ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind that makes pods keeps their template."""


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Hold a pod, or what makes pods, against its namespace's levels. Raises Forbidden."""
    kind = call.served.storage
    if kind is not kinds.POD and kind not in TEMPLATES:
        return
    if call.target.subresource or (old is not None and old.get("spec") == obj.get("spec")):
        return
    namespace = call.api.store.newest(kinds.NAMESPACE.resource, Key("", call.target.namespace))
    labels = labels_of(namespace.obj) if namespace is not None else {}
    if not any(key.startswith(_LABEL) for key in labels):
        return
    pod = obj if kind is kinds.POD else dig(obj, *TEMPLATES[kind], default={})
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    enforced = labels.get(f"{_LABEL}enforce", "")
    if kind is kinds.POD and enforced:
        found = violations(enforced, meta, spec)
        if found:
            version = labels.get(f"{_LABEL}enforce-version") or "latest"
            why = f'violates PodSecurity "{enforced}:{version}": {found}'
            raise forbidden(call.kind, obj["metadata"].get("name", ""), why)
    warned = labels.get(f"{_LABEL}warn", "")
    found = violations(warned, meta, spec) if warned else ""
    if found:
        version = labels.get(f"{_LABEL}warn-version") or "latest"
        call.warnings.append(f'would violate PodSecurity "{warned}:{version}": {found}')
