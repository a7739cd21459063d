"""The status of a Ray cluster, from its spec and the pods and Services that are there. Called by `plan`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from argosy.clock import rfc3339
from argosy.meta import quantity
from argosy.meta.conditions import find, is_true_in, with_condition, without_condition
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import is_deleting, labels_of, name_of, pod_is_ready
from argosy.operators.ray import names
from argosy.operators.ray.cluster import UNLIMITED, Cluster

HEAD_READY, PROVISIONED, REPLICA_FAILURE = "HeadPodReady", "RayClusterProvisioned", "ReplicaFailure"
SUSPENDING, SUSPENDED = "RayClusterSuspending", "RayClusterSuspended"
READY, FAILED, STATE_SUSPENDED = "ready", "failed", "suspended"
_QUANTITIES = {"desiredCPU": "cpu", "desiredMemory": "memory", "desiredTPU": "google.com/tpu"}


def suspension(subject: Obj) -> str:
    """Which of the two conditions of a suspension holds, empty for neither."""
    conditions = dig(subject, "status", "conditions", default=())
    return next((type for type in (SUSPENDING, SUSPENDED) if is_true_in(conditions, type)), "")


def invalid(subject: Obj, message: str, now: datetime) -> Obj:
    """The status of a cluster that cannot be run as it is given."""
    status: Obj = thaw(subject.get("status") or {})
    wrong = {"type": PROVISIONED, "status": "False", "reason": "InvalidRayClusterSpec", "message": message}
    status["conditions"] = with_condition(status.get("conditions"), wrong, now)
    status |= {"state": FAILED, "reason": message, "observedGeneration": subject["metadata"].get("generation", 1)}
    return _stamped(subject, status, now)


def report(cluster: Cluster, subject: Obj, pods: Sequence[Obj], services: Sequence[Obj], now: datetime) -> Obj:
    """The whole status."""
    status: Obj = thaw(subject.get("status") or {})
    status["observedGeneration"] = subject["metadata"].get("generation", 1)
    heads = [pod for pod in pods if labels_of(pod).get(names.LABEL_NODE_TYPE) == names.HEAD]
    workers = [pod for pod in pods if labels_of(pod).get(names.LABEL_NODE_TYPE) == names.WORKER]
    status |= _counts(cluster, workers)
    status |= _resources(cluster)
    head = heads[0] if heads else None
    service = next((service for service in services if name_of(service) == cluster.head_service), None)
    status["head"] = _head(head, service)
    if service is not None:
        status["endpoints"] = {**(status.get("endpoints") or {}), **_endpoints(service)}
    everyone = bool(pods) and all(_is_up(pod) for pod in pods)
    if everyone and len(pods) == status["desiredWorkerReplicas"] + 1 and not cluster.suspend:
        status["state"] = READY
        status.pop("reason", None)
    elif status.get("state") == FAILED:  # it was given badly, and has been mended
        status.pop("state")
        status.pop("reason", None)
    if cluster.suspend and not pods:
        status["state"] = STATE_SUSPENDED
    status["conditions"] = _conditions(cluster, subject, head, pods, now)
    return _stamped(subject, status, now)


def _stamped(subject: Obj, status: Obj, now: datetime) -> Obj:
    """With the times: of this update, if it is one, and of the change of state."""
    before: Obj = subject.get("status") or {}
    if status == before:
        return status
    status["lastUpdateTime"] = rfc3339(now)
    state = status.get("state")
    if state and state != before.get("state"):
        status["stateTransitionTimes"] = {**(status.get("stateTransitionTimes") or {}), state: rfc3339(now)}
    return status


def _is_up(pod: Obj) -> bool:
    return dig(pod, "status", "phase") == "Running" and pod_is_ready(pod) and not is_deleting(pod)


def _counts(cluster: Cluster, workers: Sequence[Obj]) -> Obj:
    groups = list(cluster.groups())
    awake = [group for group in groups if not group.suspended]
    return {
        "desiredWorkerReplicas": sum(group.pods for group in groups),
        "minWorkerReplicas": sum(group.least * group.hosts for group in awake),
        "maxWorkerReplicas": min(sum(group.most * group.hosts for group in awake), UNLIMITED),
        "availableWorkerReplicas": sum(dig(pod, "status", "phase") == "Running" for pod in workers),
        "readyWorkerReplicas": sum(dig(pod, "status", "phase") == "Running" and pod_is_ready(pod) for pod in workers),
    }


def _resources(cluster: Cluster) -> Obj:
    """What all wanted pods ask for together; a limit stands in for a request that is not given."""
    zero = quantity.Quantity(0)
    totals: dict[str, quantity.Quantity] = {}
    templates = [(cluster.head.get("template") or {}, 1)]
    templates += [(group.spec.get("template") or {}, group.pods) for group in cluster.groups()]
    for template, count in templates:
        for container in dig(template, "spec", "containers", default=()):
            given: Obj = container.get("resources") or {}
            for name, amount in {**(given.get("limits") or {}), **(given.get("requests") or {})}.items():
                parsed = quantity.parse(amount)
                add = quantity.Quantity(parsed.nanos * count, parsed.notation)
                totals[name] = totals.get(name, zero) + add
    found = {field: str(totals.get(name, zero)) for field, name in _QUANTITIES.items()}
    gpus = (amount for name, amount in totals.items() if name.endswith("gpu") or name.startswith("nvidia.com/mig-"))
    found["desiredGPU"] = str(sum(gpus, zero))
    return found


def _head(pod: Obj | None, service: Obj | None) -> Obj:
    address = str(dig(pod, "status", "podIP", default=""))
    found: Obj = {"podIP": address, "podName": name_of(pod) if pod else ""}
    if service is not None:
        cluster_ip = dig(service, "spec", "clusterIP", default="None")
        found |= {
            "serviceIP": address if cluster_ip == "None" else cluster_ip,
            "serviceName": name_of(service),
        }
    return {name: value for name, value in found.items() if value}


def _endpoints(service: Obj) -> dict[str, str]:
    ports = dig(service, "spec", "ports", default=())
    return {
        port["name"]: str(port.get("nodePort") or port.get("targetPort") or port["port"])
        for port in ports
        if port.get("name")
    }


def _conditions(cluster: Cluster, subject: Obj, head: Obj | None, pods: Sequence[Obj], now: datetime) -> list[Obj]:
    conditions: Iterable[Obj] = thaw(dig(subject, "status", "conditions", default=[]))

    def put(type: str, status: str, reason: str, message: str = "") -> None:
        nonlocal conditions
        wanted = {"type": type, "status": status, "reason": reason, "message": message}
        conditions = with_condition(conditions, wanted, now)

    conditions = without_condition(conditions, REPLICA_FAILURE)
    put(HEAD_READY, *_head_ready(head))
    now_in = suspension(subject)
    if not is_true_in(conditions, PROVISIONED) and now_in != SUSPENDED:
        if head is not None and all(_is_up(pod) for pod in pods):
            put(PROVISIONED, "True", "AllPodRunningAndReadyFirstTime", "All Ray Pods are ready for the first time")
        else:
            message = "RayCluster Pods are being provisioned for first time"
            put(PROVISIONED, "False", "RayClusterPodsProvisioning", message)
    if now_in == SUSPENDING:
        if not pods:
            put(PROVISIONED, "False", "RayClusterPodsProvisioning", "RayCluster has been suspended")
            put(SUSPENDING, "False", SUSPENDING)
            put(SUSPENDED, "True", SUSPENDED)
    elif now_in == SUSPENDED:
        if not cluster.suspend:
            put(SUSPENDED, "False", SUSPENDED)
    else:
        put(SUSPENDED, "False", SUSPENDED)
        put(SUSPENDING, str(cluster.suspend), SUSPENDING)
    return list(conditions)


def _head_ready(head: Obj | None) -> tuple[str, str, str]:
    """Status, reason and message: the pod's own Ready, with what keeps its first container from it."""
    if head is None:
        return "False", "HeadPodNotFound", "Head Pod not found"
    ready = find(head, "Ready")
    if ready is None:
        return "False", "Unknown", ""
    status, reason, message = str(ready["status"]), str(ready.get("reason") or ""), str(ready.get("message") or "")
    if status == "True":
        reason = reason or "HeadPodRunningAndReady"
    if reason == "ContainersNotReady":
        for container in dig(head, "status", "containerStatuses", default=()):
            state: Obj = container.get("state") or {}
            why = state.get("waiting") or state.get("terminated")
            if why is not None:
                reason = str(why.get("reason") or reason)
                more = f"{container.get('name')}: {why.get('message') or ''}"
                message = f"{message}; {more}" if message else more
                break
    return status, reason or "Unknown", message
