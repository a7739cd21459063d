"""How each kind is written: what a create starts with, and what an update through each door may change.

`verbs.create`, `verbs.update` and `verbs.patch` call this between reading the request and storing the object. Pure: objects
that are handed in belong to the caller and are changed in place, except `old`, which is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver.served import Served
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind
from argosy.meta.rules import claim_status

_FIRST_PHASE: dict[Kind, str] = {
    kinds.POD: "Pending",
    kinds.NAMESPACE: "Active",
    kinds.PERSISTENT_VOLUME: "Pending",
    kinds.PERSISTENT_VOLUME_CLAIM: "Pending",
}

_GENERATION = frozenset({
    kinds.POD, kinds.POD_TEMPLATE, kinds.REPLICATION_CONTROLLER, kinds.DEPLOYMENT, kinds.REPLICA_SET,
    kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.JOB, kinds.CRON_JOB, kinds.INGRESS, kinds.INGRESS_CLASS,
    kinds.NETWORK_POLICY, kinds.POD_DISRUPTION_BUDGET, kinds.CUSTOM_RESOURCE_DEFINITION, kinds.ENDPOINT_SLICE,
    kinds.PRIORITY_CLASS, kinds.VALIDATING_ADMISSION_POLICY, kinds.VALIDATING_ADMISSION_POLICY_BINDING,
    kinds.VALIDATING_WEBHOOK_CONFIGURATION, kinds.MUTATING_WEBHOOK_CONFIGURATION, kinds.FLOW_SCHEMA,
    kinds.PRIORITY_LEVEL_CONFIGURATION, kinds.RESOURCE_SLICE, kinds.DEVICE_CLASS,
})  # fmt: skip
"""Built-in kinds whose generation is counted."""

_WHOLE_OBJECT_GENERATION = frozenset({kinds.ENDPOINT_SLICE, kinds.POD_TEMPLATE})
"""Kinds without a spec: any change but of their metadata counts; of an EndpointSlice, labels count too."""

UPSERT = frozenset({
    kinds.LEASE, kinds.EVENT, kinds.ENDPOINTS, kinds.SERVICE, kinds.ROLE, kinds.CLUSTER_ROLE, kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING, kinds.LIMIT_RANGE, kinds.NODE, kinds.RUNTIME_CLASS,
})  # fmt: skip
"""Kinds that a PUT creates."""


def counts_generation(served: Served) -> bool:
    """Whether new objects of the kind have `metadata.generation`."""
    return served.custom or served.storage in _GENERATION


def has_status(served: Served) -> bool:
    """Whether status is written through its own door only."""
    return "status" in served.kind.subresources


def prepare_create(served: Served, obj: Obj, now: datetime, status: Obj | None) -> None:
    """Make what a client sent into a new object, whose status is `status`; a Node keeps the one that it came with."""
    if has_status(served) and served.storage is not kinds.NODE:
        if status is None:
            obj.pop("status", None)
        else:
            phase = _FIRST_PHASE.get(served.storage)
            obj["status"] = status | ({"phase": phase} if phase else {})
    _as_written(served, obj)
    if counts_generation(served):
        obj["metadata"]["generation"] = 1
    if served.storage is kinds.NAMESPACE:
        labels = obj["metadata"].get("labels") or {}
        obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": obj["metadata"].get("name", "")}
        spec = obj.setdefault("spec", {})
        held = spec.get("finalizers") or []
        spec["finalizers"] = held if "kubernetes" in held else [*held, "kubernetes"]
    elif served.storage is kinds.DAEMON_SET:
        _mark_template(obj, 1)
    elif served.storage is kinds.PERSISTENT_VOLUME_CLAIM:
        _sources(obj["spec"])
    elif served.storage is kinds.ENDPOINT_SLICE:
        for endpoint in obj.get("endpoints") or ():
            endpoint.pop("deprecatedTopology", None)
    elif served.storage is kinds.POD and obj["spec"].get("schedulingGates"):
        obj["status"]["conditions"] = [_gated(now)]
    elif served.storage is kinds.API_SERVICE and obj["spec"].get("service") is None:
        obj["status"]["conditions"] = [_local(now)]
    elif served.storage is kinds.PERSISTENT_VOLUME:
        obj["status"]["lastPhaseTransitionTime"] = rfc3339(now)
    elif served.storage is kinds.CUSTOM_RESOURCE_DEFINITION:
        versions = obj.get("spec", {}).get("versions") or ()
        obj["status"]["storedVersions"] = [v["name"] for v in versions if v.get("storage")][:1]


def _local(now: datetime) -> Obj:
    return {
        "type": "Available", "status": "True", "lastTransitionTime": rfc3339(now), "reason": "Local",
        "message": "Local APIServices are always available",
    }  # fmt: skip


def _gated(now: datetime) -> Obj:
    return {
        "type": "PodScheduled", "status": "False", "lastProbeTime": None, "lastTransitionTime": rfc3339(now),
        "reason": "SchedulingGated", "message": "Scheduling is blocked due to non-empty scheduling gates",
    }  # fmt: skip


def _as_written(served: Served, obj: Obj) -> None:
    """Leave out what only features that are off would use."""
    if served.storage is kinds.LEASE:
        for field in ("strategy", "preferredHolder"):
            (obj.get("spec") or {}).pop(field, None)
    elif served.storage is kinds.CSI_DRIVER:
        obj["spec"].pop("preventPodSchedulingIfMissing", None)
    elif served.storage is kinds.RESOURCE_SLICE:
        for device in obj["spec"].get("devices") or ():
            device.pop("nodeAllocatableResourceMappings", None)
            for attribute in (device.get("attributes") or {}).values():
                for field in ("bools", "ints", "strings", "versions"):
                    attribute.pop(field, None)
    elif served.storage is kinds.STATEFUL_SET:
        (obj["spec"].get("updateStrategy") or {}).get("rollingUpdate", {}).pop("maxUnavailable", None)
    spec = _POD_SPECS[served.storage](obj) if served.storage in _POD_SPECS else None
    for volume in (spec or {}).get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            source.pop("clusterTrustBundle", None)


def _template_spec(obj: Obj) -> Obj:
    return (obj["spec"].get("template") or {}).get("spec") or {}


_POD_SPECS: dict[Kind, Callable[[Obj], Obj]] = {
    kinds.POD: lambda obj: obj["spec"],
    kinds.POD_TEMPLATE: lambda obj: obj["template"]["spec"],
    kinds.CRON_JOB: lambda obj: _template_spec(obj["spec"]["jobTemplate"]),
    **dict.fromkeys(
        (
            kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.REPLICATION_CONTROLLER,
            kinds.JOB,
        ),
        _template_spec,
    ),
}  # fmt: skip
"""Where the PodSpec of a kind lies."""


def _sources(spec: Obj, before: Obj | None = None) -> None:
    """The two names for where a claim's data comes from say the same; the old one knows claims and snapshots alone."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        known = (source.get("apiGroup") or "", source.get("kind"))
        had = (before or {}).get("dataSource") is not None
        if not had and known not in (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")):
            del spec["dataSource"]
            source = None
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif source is None and reference is not None and not reference.get("namespace"):
        spec["dataSource"] = {field: reference.get(field) for field in ("apiGroup", "kind", "name")}


def prepare_update(served: Served, obj: Obj, old: Obj, subresource: str, now: datetime) -> None:
    """Let an update change only what its door is for."""
    if subresource == "status":
        _status_only(served, obj, old)
        if served.storage is kinds.PERSISTENT_VOLUME:
            _time_of_phase(obj.setdefault("status", {}), old.get("status") or {}, now)
    elif subresource == "approval":
        _approved(obj, old)
    elif subresource in _DOORS:
        _restore(obj, old, "status")
        obj["spec"] = _DOORS[subresource](obj.get("spec") or {}, old.get("spec") or {})
    elif has_status(served) and subresource != "binding":
        _restore(obj, old, "status")
    if not subresource and served.storage is kinds.CERTIFICATE_SIGNING_REQUEST:
        _restore(obj, old, "spec")  # what was asked for stays as it is
    elif not subresource and served.storage is kinds.PERSISTENT_VOLUME_CLAIM:
        _sources(obj["spec"], old["spec"])
    elif not subresource and served.storage is kinds.NAMESPACE:
        obj.setdefault("spec", {})
        _restore(obj["spec"], old.get("spec") or {}, "finalizers")
    if not subresource:
        _as_written(served, obj)
    if subresource == "binding":
        # A pod's node is not what somebody wants of it.
        obj["metadata"]["generation"] = old["metadata"].get("generation", 1)
    else:
        _count_generation(served, obj, old)
    if served.storage is kinds.DAEMON_SET:
        before = int((old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION) or 1)
        same = obj["spec"].get("template") == old["spec"].get("template")
        _mark_template(obj, before if same else before + 1)


def _resized(spec: Obj, old: Obj) -> Obj:
    """Only what containers may use changes, and how they take such a change."""
    changed = dict(old)
    for field in ("containers", "initContainers"):
        wanted = {container.get("name"): container for container in spec.get(field) or ()}
        if field in old:
            changed[field] = [_with_resources(container, wanted.get(container.get("name"))) for container in old[field]]
    if "resources" in spec:
        changed["resources"] = spec["resources"]
    return changed


def _with_resources(container: Obj, wanted: Obj | None) -> Obj:
    fields = ("resources", "resizePolicy")
    return {**container, **{field: wanted[field] for field in fields if field in wanted}} if wanted else container


def _joined_by(spec: Obj, old: Obj) -> Obj:
    """Only ephemeral containers are added."""
    return {**old, "ephemeralContainers": spec["ephemeralContainers"]} if spec.get("ephemeralContainers") else old


def _finalized(spec: Obj, old: Obj) -> Obj:
    """Only the namespace's own finalizers change."""
    kept = {field: value for field, value in old.items() if field != "finalizers"}
    return {**kept, "finalizers": spec["finalizers"]} if spec.get("finalizers") else kept


_DOORS: dict[str, Callable[[Obj, Obj], Obj]] = {
    "resize": _resized,
    "ephemeralcontainers": _joined_by,
    "finalize": _finalized,
}
"""Subresources through which one part of the spec changes: (new spec, old spec) -> the spec."""

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def before_tracking(served: Served, obj: Obj) -> None:
    """What Kubernetes takes as said by a client that did not say it: a DaemonSet's mark, which is 0 there."""
    if served.storage is kinds.DAEMON_SET:
        meta = obj["metadata"]
        marks = meta.get("annotations") or {}
        if TEMPLATE_GENERATION not in marks:
            meta["annotations"] = {**marks, TEMPLATE_GENERATION: "0"}


def _mark_template(obj: Obj, generation: int) -> None:
    """Old clients tell a DaemonSet's templates apart by this."""
    meta = obj["metadata"]
    meta["annotations"] = {**(meta.get("annotations") or {}), TEMPLATE_GENERATION: str(generation)}


_LABELS_STAY = frozenset({kinds.DEPLOYMENT})


def _status_only(served: Served, obj: Obj, old: Obj) -> None:
    for field in [*old, *obj]:
        if field not in ("status", "metadata", "apiVersion", "kind"):
            _restore(obj, old, field)
    if served.custom or served.storage is kinds.RESOURCE_CLAIM:
        kept = thaw(old["metadata"])
        for field in ("managedFields", "resourceVersion"):
            if field in obj["metadata"]:
                kept[field] = obj["metadata"][field]
        obj["metadata"] = kept
    if served.storage is kinds.RESOURCE_CLAIM:
        status = obj.get("status") or {}
        devices = claim_status.live(status, old.get("status") or {})
        if devices:
            status["devices"] = devices
        else:
            status.pop("devices", None)
    elif served.storage is kinds.CERTIFICATE_SIGNING_REQUEST:
        _keep_decisions(obj, old)
    if served.storage in _LABELS_STAY:
        _restore(obj["metadata"], old["metadata"], "labels")
    if served.storage is kinds.POD:
        _restore(obj["metadata"], old["metadata"], "ownerReferences")
        _keep_unsaid(obj, old)


def _time_of_phase(status: Obj, before: Obj, now: datetime) -> None:
    """A volume tells since when it has its phase, whether or not whoever reports the phase says so."""
    field = "lastPhaseTransitionTime"
    said, earlier = status.get(field), before.get(field)
    if status.get("phase") == before.get("phase"):
        if said is None and earlier is not None:
            status[field] = earlier
    elif said in (None, earlier):
        status[field] = rfc3339(now)


def _keep_unsaid(obj: Obj, old: Obj) -> None:
    """What old nodes do not know, and so leave out of a pod's status, stays as it is."""
    now, before = obj.setdefault("status", {}), old.get("status") or {}
    for field in ("qosClass", "observedGeneration"):
        if not now.get(field) and before.get(field):
            now[field] = before[field]
    seen: dict[str, list[int]] = {}
    for each in before.get("conditions") or ():
        seen.setdefault(each.get("type") or "", []).append(each.get("observedGeneration") or 0)
    for each in now.get("conditions") or ():
        known = seen.get(each.get("type") or "")
        if known and (generation := known.pop(0)) and not each.get("observedGeneration"):
            each["observedGeneration"] = generation


def _keep_decisions(obj: Obj, old: Obj) -> None:
    """What approvers said of a request for a certificate stays as it is, unless some of it is added or taken away."""
    now, before = ((each.get("status") or {}).get("conditions") or [] for each in (obj, old))
    for type in ("Approved", "Denied"):
        kept = [each for each in before if each.get("type") == type]
        places = [index for index, each in enumerate(now) if each.get("type") == type]
        for index, condition in zip(places, kept, strict=False) if len(places) == len(kept) else ():
            now[index] = thaw(condition)


def _approved(obj: Obj, old: Obj) -> None:
    """Only what approvers say of a request for a certificate changes."""
    conditions = (obj.get("status") or {}).get("conditions")
    obj["spec"] = thaw(old["spec"])
    obj["status"] = thaw(old.get("status") or {})
    if conditions:
        obj["status"]["conditions"] = conditions
    else:
        obj["status"].pop("conditions", None)


def _restore(obj: Obj, old: Obj, field: str) -> None:
    """Give a field back its old value, in its old place."""
    if field in old:
        obj[field] = old[field]
    else:
        obj.pop(field, None)


def _count_generation(served: Served, obj: Obj, old: Obj) -> None:
    meta, before = obj["metadata"], old["metadata"]
    if "generation" in before:
        meta["generation"] = before["generation"]
    else:
        meta.pop("generation", None)
    counted = counts_generation(served) or served.storage is kinds.CSI_DRIVER
    if counted and served.storage is not kinds.PRIORITY_CLASS and _changed(served, obj, old):
        meta["generation"] = before.get("generation", 0) + 1


def _changed(served: Served, obj: Obj, old: Obj) -> bool:
    if served.storage in _WHOLE_OBJECT_GENERATION or served.custom:
        ignored = {"metadata"} if not served.custom or not has_status(served) else {"metadata", "status"}
        mine = {field: value for field, value in obj.items() if field not in ignored}
        theirs = {field: value for field, value in old.items() if field not in ignored}
        if mine != theirs:
            return True
        labelled = served.storage is kinds.ENDPOINT_SLICE
        return labelled and obj["metadata"].get("labels") != old["metadata"].get("labels")
    if served.storage in (kinds.VALIDATING_WEBHOOK_CONFIGURATION, kinds.MUTATING_WEBHOOK_CONFIGURATION):
        return obj.get("webhooks") != old.get("webhooks")
    if served.storage is kinds.DEPLOYMENT:
        mine, theirs = (each["metadata"].get("annotations") or {} for each in (obj, old))
        if mine != theirs:
            return True
    return obj.get("spec") != old.get("spec")
