"""The objects that a LeaderWorkerSet is made of: StatefulSets of leaders and workers, headless Services, revisions.

Pure construction, called by `plan`. Upstream completes each pod in a webhook. Here the templates say the same, so no
cluster has to call anybody: what differs from pod to pod is read from the pod's own name and index (`fieldRef`), and labels
follow once a pod is there (`groups.missing_labels`).
"""

from __future__ import annotations

import hashlib

from argosy.kinds import POD
from argosy.meta.json import Obj, thaw
from argosy.meta.objects import labels_of, name_of, owner_reference
from argosy.operators.leaderworkerset import schema
from argosy.operators.leaderworkerset.schema import LEADER_WORKER_SET
from argosy.operators.leaderworkerset.spec import LeaderWorkerSet

_POD_NAME = "LWS_POD_NAME"
_POD_INDEX = "metadata.labels['apps.kubernetes.io/pod-index']"


def key_of(*parts: str) -> str:
    """What tells a group (namespace, leader) or a part of one (leader, index) from all others."""
    return hashlib.sha1("/".join(parts).encode(), usedforsecurity=False).hexdigest()


def leaders(asked: LeaderWorkerSet, partition: int, replicas: int, owner: Obj) -> Obj:
    """The StatefulSet of the leaders."""
    group, revision = asked.group, asked.group.revision
    template: Obj = thaw(group.template.get("leaderTemplate") or group.template["workerTemplate"])
    selector = {schema.NAME: asked.name, schema.WORKER_INDEX: "0"}
    annotations = _pod_annotations(asked)
    if group.unique_subdomains:
        annotations[schema.SUBDOMAIN_POLICY] = schema.UNIQUE
    _mark(template, {**selector, schema.REVISION: revision}, annotations)
    subdomain = f"$({_POD_NAME})" if group.unique_subdomains else asked.name
    name = {"name": _POD_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    address = {"name": "LWS_LEADER_ADDRESS", "value": f"$({_POD_NAME}).{subdomain}.{asked.namespace}"}
    _set_env(template, [name, address, _size(asked), {"name": "LWS_WORKER_INDEX", "value": "0"}])
    if schema.EXCLUSIVE in asked.annotations:
        _affinity(template, "podAntiAffinity", schema.WORKER_INDEX, "0", asked.annotations[schema.EXCLUSIVE])
    spec: Obj = {
        "serviceName": asked.name,
        "replicas": replicas,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": selector},
        "template": template,
        "updateStrategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {
                "maxUnavailable": max(asked.max_unavailable + asked.max_surge, 1),
                "partition": partition,
            },
        },
    }
    labels = {**asked.labels, schema.NAME: asked.name, schema.REVISION: revision}
    annotations = {**_own(asked.annotations), schema.REPLICAS: str(asked.replicas)}
    metadata = _metadata(asked, asked.name, labels, owner_reference(owner, LEADER_WORKER_SET), annotations)
    return _stateful_set(asked, metadata, spec)


def workers(asked: LeaderWorkerSet, leader: Obj) -> Obj:
    """The StatefulSet of one group's workers; it goes with its leader. `asked` is the set in the leader's revision."""
    group, leader_name = asked.group, name_of(leader)
    index = leader_name.rpartition("-")[2]
    selector = {
        schema.GROUP_INDEX: index,
        schema.NAME: asked.name,
        schema.GROUP_KEY: key_of(asked.namespace, leader_name),
    }
    labels = {**selector, schema.REVISION: labels_of(leader).get(schema.REVISION, "")}
    template: Obj = thaw(group.template["workerTemplate"])
    _mark(template, labels, _pod_annotations(asked) | {schema.LEADER_NAME: leader_name})
    subdomain = leader_name if group.unique_subdomains else asked.name
    address = {"name": "LWS_LEADER_ADDRESS", "value": f"{leader_name}.{subdomain}.{asked.namespace}"}
    worker = {"name": "LWS_WORKER_INDEX", "valueFrom": {"fieldRef": {"fieldPath": _POD_INDEX}}}
    _set_env(template, [address, _size(asked), worker])
    if schema.EXCLUSIVE in asked.annotations:
        topology = asked.annotations[schema.EXCLUSIVE]
        _affinity(template, "podAffinity", schema.GROUP_KEY, selector[schema.GROUP_KEY], topology)
    spec: Obj = {
        "serviceName": subdomain,
        "replicas": group.size - 1,
        "podManagementPolicy": "Parallel",
        "ordinals": {"start": 1},
        "selector": {"matchLabels": selector},
        "template": template,
    }
    reference = owner_reference(leader, POD)
    metadata = _metadata(asked, leader_name, {**asked.labels, **labels}, reference, _own(asked.annotations))
    return _stateful_set(asked, metadata, spec)


def service(asked: LeaderWorkerSet, owner: Obj, leader: Obj | None = None) -> Obj:
    """The headless Service of the whole set, or of the group of one leader."""
    selector = {schema.NAME: asked.name}
    name, reference = asked.name, owner_reference(owner, LEADER_WORKER_SET)
    if leader is not None:
        name, reference = name_of(leader), owner_reference(leader, POD)
        selector[schema.GROUP_INDEX] = name.rpartition("-")[2]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(asked, name, {schema.NAME: asked.name}, reference),
        "spec": {"clusterIP": "None", "selector": selector, "publishNotReadyAddresses": True},
    }


def leader_address(asked: LeaderWorkerSet, leader: Obj) -> Obj:
    """The leader's name below its own group's Service, `my-lws-0.my-lws-0`: a StatefulSet puts all its pods below one
    Service, so that name has to be given by hand. The leader must have an address.
    """
    name = name_of(leader)
    labels = {
        schema.NAME: asked.name,
        "kubernetes.io/service-name": name,
        "endpointslice.kubernetes.io/managed-by": "leaderworkerset-controller",
    }
    address = leader["status"]["podIP"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata(asked, f"{name}-leader", labels, owner_reference(leader, POD)),
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [{"addresses": [address], "hostname": name, "conditions": {"ready": True}}],
        "ports": [],
    }


def revision(asked: LeaderWorkerSet, number: int, owner: Obj) -> Obj:
    """The record of the present templates, by which a group of that time can be made again."""
    key = asked.group.revision
    labels = {schema.NAME: asked.name, schema.REVISION: key}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": _metadata(asked, f"{asked.name}-{key}", labels, owner_reference(owner, LEADER_WORKER_SET)),
        "data": asked.group.recorded,
        "revision": number,
    }


def _stateful_set(asked: LeaderWorkerSet, metadata: Obj, spec: Obj) -> Obj:
    claims = asked.group.template.get("volumeClaimTemplates")
    if claims:
        spec["volumeClaimTemplates"] = thaw(claims)
    retention = asked.group.template.get("persistentVolumeClaimRetentionPolicy")
    if retention:
        spec["persistentVolumeClaimRetentionPolicy"] = thaw(retention)
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def _metadata(
    asked: LeaderWorkerSet, name: str, labels: dict[str, str], owner: Obj, annotations: dict[str, str] | None = None
) -> Obj:
    made: Obj = {"name": name, "namespace": asked.namespace, "labels": labels, "ownerReferences": [owner]}
    return made | ({"annotations": annotations} if annotations else {})


def _own(annotations: dict[str, str]) -> dict[str, str]:
    """Without kubectl's note of the whole object, which would be wrong on another one."""
    return {
        name: value for name, value in annotations.items() if name != "kubectl.kubernetes.io/last-applied-configuration"
    }


def _pod_annotations(asked: LeaderWorkerSet) -> dict[str, str]:
    group = asked.group
    made = {schema.SIZE: str(group.size)}
    if schema.EXCLUSIVE in asked.annotations:
        made[schema.EXCLUSIVE] = asked.annotations[schema.EXCLUSIVE]
    if group.subgroup_size is not None:
        made |= {schema.SUBGROUP_TYPE: group.subgroup_type, schema.SUBGROUP_SIZE: str(group.subgroup_size)}
    return made


def _size(asked: LeaderWorkerSet) -> Obj:
    return {"name": "LWS_GROUP_SIZE", "value": str(asked.group.size)}


def _mark(template: Obj, labels: dict[str, str], annotations: dict[str, str]) -> None:
    metadata: Obj = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}


def _set_env(template: Obj, entries: list[Obj]) -> None:
    """Ours come first, so that a template's own variables may refer to them."""
    names = {entry["name"] for entry in entries}
    for field in ("containers", "initContainers"):
        for container in template["spec"].get(field) or ():
            others = [entry for entry in container.get("env") or () if entry["name"] not in names]
            container["env"] = [*map(thaw, entries), *others]


def _affinity(template: Obj, field: str, label: str, value: str, topology: str) -> None:
    """Leaders keep away from each other's topology domain, workers go to that of their leader."""
    affinity: Obj = template["spec"].setdefault("affinity", {}).setdefault(field, {})
    terms: list[Obj] = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", [])
    expressions = [{"key": label, "operator": "In", "values": [value]}]
    terms.append({"labelSelector": {"matchExpressions": expressions}, "topologyKey": topology})
