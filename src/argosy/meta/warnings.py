"""What is valid and most likely not meant: the warnings that come with a built-in object. Pure.

`engine.apiserver.admission.warnings` asks for them on every write; clients show them to people, in Kubernetes' words.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Final

from argosy.meta import formats, names, quantity
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.pod_warnings import NODE_LABELS, claim_spec, node_term, odd_address
from argosy.meta.pod_warnings import warnings as pod_warnings
from argosy.meta.rules import addresses

_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_CLASS_MARK, _INGRESS_CLASS = "volume.beta.kubernetes.io/storage-class", "kubernetes.io/ingress.class"
_MOUNT_MARK = "volume.beta.kubernetes.io/mount-options"
_HOSTNAME = "which can result in surprising behavior; a DNS label is recommended"


def warnings(kind: Kind, new: Obj, old: Obj | None = None) -> list[str]:
    """The warnings about an object that is created, or updated from `old`."""
    found = _TABLE.get(f"{kind.api_version}/{kind.kind}")
    # What is written within the process need not name its kind.
    return list(found(new if "kind" in new else {**new, "kind": kind.kind}, old)) if found is not None else []


def _same_spec(new: Obj, old: Obj | None) -> bool:
    return old is not None and old.get("spec") == new.get("spec")


def _name(obj: Obj, what: str) -> Iterator[str]:
    faults = names.label(obj["metadata"].get("name") or "")
    if faults:
        yield f"metadata.name: this is used in {what}, {_HOSTNAME}: [{' '.join(faults)}]"


def _pod(new: Obj, old: Obj | None) -> Iterator[str]:
    if _same_spec(new, old):
        return
    if old is None:
        yield from _name(new, "the Pod's hostname")
    yield from pod_warnings(new)


def _workload(new: Obj, old: Obj | None) -> Iterator[str]:
    if _same_spec(new, old):
        return
    if old is None and new.get("kind") in ("Deployment", "ReplicaSet", "ReplicationController"):
        yield from _name(new, "Pod names and hostnames")
    yield from pod_warnings(new["spec"].get("template") or {}, "spec.template.")
    for index, claim in enumerate(new["spec"].get("volumeClaimTemplates") or ()):
        yield from claim_spec(f"spec.volumeClaimTemplates[{index}].spec", claim.get("spec") or {})
    limit = new["spec"].get("revisionHistoryLimit")
    if new.get("kind") == "StatefulSet" and limit is not None and limit < 0:
        yield (
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
        )


def _job(new: Obj, old: Obj | None) -> Iterator[str]:
    if old is None:
        yield from _name(new, "Pod names and hostnames")
    if not _same_spec(new, old):
        yield from _job_spec(new["spec"], "spec")


def _cron_job(new: Obj, old: Obj | None) -> Iterator[str]:
    if old is None:
        yield from _name(new, "Pod names and hostnames")
    if not _same_spec(new, old):
        yield from _job_spec(new["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec")
    if old is not None and "TZ" in (new["spec"].get("schedule") or ""):
        yield (
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see"
            " https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )


def _job_spec(spec: Obj, path: str) -> Iterator[str]:
    many = (spec.get("completions") or 0) > 10**5 and (spec.get("parallelism") or 0) > 10**4
    if spec.get("completionMode") == "Indexed" and many:
        yield (
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4,"
            " Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    yield from pod_warnings(spec.get("template") or {}, f"{path}.template.")


def _pod_template(new: Obj, old: Obj | None) -> Iterator[str]:
    if old is None or old.get("template") != new.get("template"):
        yield from pod_warnings(new.get("template") or {}, "template.")


def _service(new: Obj, old: Obj | None) -> Iterator[str]:
    spec, kind = new["spec"], new["spec"].get("type")
    if _HINTS in (new["metadata"].get("annotations") or {}):
        yield f"annotation {_HINTS} is deprecated, please use {_MODE} instead"
    headless = spec.get("clusterIPs") == ["None"]
    for index, text in enumerate(spec.get("clusterIPs") or ()):
        yield from odd_address(f"spec.clusterIPs[{index}]", text)
    outside = spec.get("externalIPs") or []
    if headless:
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if outside:
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    for index, text in enumerate(outside):
        yield from odd_address(f"spec.externalIPs[{index}]", text)
    if outside and not headless and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("loadBalancerIP"):
        yield from odd_address("spec.loadBalancerIP", spec["loadBalancerIP"])
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from _odd_block(f"spec.loadBalancerSourceRanges[{index}]", text)
    if kind == "ExternalName" and outside:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _ingress(new: Obj, old: Obj | None) -> Iterator[str]:
    marked = _INGRESS_CLASS in (new["metadata"].get("annotations") or {})
    if old is None and marked and new["spec"].get("ingressClassName") is None:
        yield f"annotation \"{_INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"


def _endpoint_slice(new: Obj, old: Obj | None) -> Iterator[str]:
    if new.get("addressType") == "FQDN":
        yield "spec.addressType: FQDN endpoints are deprecated"
    for index, each in enumerate(new.get("endpoints") or ()):
        for number, text in enumerate(each.get("addresses") or ()):
            yield from odd_address(f"endpoints[{index}].addresses[{number}]", text)


def _endpoints(new: Obj, old: Obj | None) -> Iterator[str]:
    for index, subset in enumerate(new.get("subsets") or ()):
        for field in ("addresses", "notReadyAddresses"):
            for number, each in enumerate(subset.get(field) or ()):
                yield from odd_address(f"subsets[{index}].{field}[{number}].ip", each.get("ip") or "")


def _network_policy(new: Obj, old: Obj | None) -> Iterator[str]:
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(new["spec"].get(side) or ()):
            for number, peer in enumerate(rule.get(peers) or ()):
                block, place = peer.get("ipBlock") or {}, f"spec.{side}[{index}].{peers}[{number}].ipBlock"
                yield from _odd_block(f"{place}.cidr", block.get("cidr") or "")
                for hole, text in enumerate(block.get("except") or ()):
                    yield from _odd_block(f"{place}.except[{hole}]", text)


def _odd_block(path: str, text: str) -> Iterator[str]:
    block = addresses.sloppy_block(text.strip())
    if block is not None and block.version == 6 and str(block) != text:
        yield f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{block}")'


def _secret(new: Obj, old: Obj | None) -> Iterator[str]:
    if new.get("type") == "kubernetes.io/tls":
        from argosy.meta.key_pairs import fault  # noqa: PLC0415 (it loads a library that few clusters need)

        data = new.get("data") or {}
        said = fault(*(b64decode(data.get(key) or "") for key in ("tls.crt", "tls.key")))
        if said:
            yield said


def _claim(new: Obj, old: Obj | None) -> Iterator[str]:
    if _CLASS_MARK in (new["metadata"].get("annotations") or {}):
        yield (f'metadata.annotations[{_CLASS_MARK}]: deprecated since v1.8; use "storageClassName" attribute instead')
    yield from claim_spec("spec", new["spec"])


_OLD_VOLUMES = {
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def _volume(new: Obj, old: Obj | None) -> Iterator[str]:
    spec, marks = new["spec"], new["metadata"].get("annotations") or {}
    if _CLASS_MARK in marks:
        yield (f'metadata.annotations[{_CLASS_MARK}]: deprecated since v1.8; use "storageClassName" attribute instead')
    if _MOUNT_MARK in marks:
        yield f'metadata.annotations[{_MOUNT_MARK}]: deprecated since v1.31; use "mountOptions" attribute instead'
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended"
            " approach is to use dynamic provisioning."
        )
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    for index, term in enumerate(terms):
        yield from node_term(f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]", term)
    for field, said in _OLD_VOLUMES.items():
        if spec.get(field) is not None:
            yield f"spec.{'storageOS' if field == 'storageos' else field}: {said}"


def _storage_class(new: Obj, old: Obj | None) -> Iterator[str]:
    for index, topology in enumerate(new.get("allowedTopologies") or ()):
        for number, each in enumerate(topology.get("matchLabelExpressions") or ()):
            if each.get("key") in NODE_LABELS:
                place = f"allowedTopologies[{index}].matchLabelExpressions[{number}].key"
                yield f"{place}: {NODE_LABELS[each['key']]}"


def _runtime_class(new: Obj, old: Obj | None) -> Iterator[str]:
    for key in (new.get("scheduling") or {}).get("nodeSelector") or ():
        if key in NODE_LABELS:
            yield f"scheduling.nodeSelector: {NODE_LABELS[key]}"


def _quota(new: Obj, old: Obj | None) -> Iterator[str]:
    hard = new["spec"].get("hard") or {}
    for name in ("cpu", "memory", "ephemeral-storage", "storage"):
        bare = name if name in ("cpu", "memory") and f"requests.{name}" not in hard else f"requests.{name}"
        request, limit = hard.get(bare), hard.get(f"limits.{name}")
        if old is None and request is not None and limit is not None and quantity.compare(request, limit) > 0:
            yield f"ResourceQuota {bare} ({request}) should be less than limits.{name} ({limit})"


def _csi_driver(new: Obj, old: Obj | None) -> Iterator[str]:
    spec = new["spec"]
    if old is None and spec.get("tokenRequests") and spec.get("serviceAccountTokenInSecrets") is None:
        yield (
            "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent"
            " possible logging of tokens in volume attributes"
        )


def _definition(new: Obj, old: Obj | None) -> Iterator[str]:
    had = _odd_formats(old) if old is not None else []
    for name in _odd_formats(new):
        if name not in had:
            yield f'unrecognized format "{name}"'


def _odd_formats(definition: Obj) -> list[str]:
    """The formats of strings that are never checked."""
    found: dict[str, None] = {}
    waiting: list[Obj] = [
        (version.get("schema") or {}).get("openAPIV3Schema") or {}
        for version in definition["spec"].get("versions") or ()
    ]
    while waiting:
        raw = waiting.pop()
        name = raw.get("format")
        if name and not formats.known(raw.get("type") or "string", name):
            found[name] = None
        below = [raw.get(field) for field in ("items", "additionalProperties", "not")]
        below += [*(raw.get("properties") or {}).values()]
        below += [each for field in ("allOf", "anyOf", "oneOf") for each in raw.get(field) or ()]
        waiting += [each for each in below if isinstance(each, dict)]
    return sorted(found)


def _service_account(new: Obj, old: Obj | None) -> Iterator[str]:
    key = "kubernetes.io/enforce-mountable-secrets"
    marks = new["metadata"].get("annotations") or {}
    had = ((old or {}).get("metadata") or {}).get("annotations") or {}
    if key in marks and key not in had:
        yield (
            f"metadata.annotations[{key}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted"
            " secrets"
        )


_TABLE: Final[dict[str, Callable[[Obj, Obj | None], Iterator[str]]]] = {
    "v1/Pod": _pod,
    "apiextensions.k8s.io/v1/CustomResourceDefinition": _definition,
    "v1/PodTemplate": _pod_template,
    "v1/ReplicationController": _workload,
    "apps/v1/Deployment": _workload,
    "apps/v1/ReplicaSet": _workload,
    "apps/v1/StatefulSet": _workload,
    "apps/v1/DaemonSet": _workload,
    "batch/v1/Job": _job,
    "batch/v1/CronJob": _cron_job,
    "v1/Secret": _secret,
    "networking.k8s.io/v1/NetworkPolicy": _network_policy,
    "v1/Service": _service,
    "v1/Endpoints": _endpoints,
    "discovery.k8s.io/v1/EndpointSlice": _endpoint_slice,
    "networking.k8s.io/v1/Ingress": _ingress,
    "v1/PersistentVolumeClaim": _claim,
    "v1/PersistentVolume": _volume,
    "storage.k8s.io/v1/StorageClass": _storage_class,
    "storage.k8s.io/v1/CSIDriver": _csi_driver,
    "node.k8s.io/v1/RuntimeClass": _runtime_class,
    "v1/ResourceQuota": _quota,
    "v1/ServiceAccount": _service_account,
}
