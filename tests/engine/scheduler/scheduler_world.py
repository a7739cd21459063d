"""Nodes and pods for the scheduler's tests, in a line each."""

from __future__ import annotations

import itertools

from argosy.engine.scheduler.podinfo import PodInfo, read
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.meta.json import Obj

_serial = itertools.count(1)


def node(name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **facts: object) -> Obj:
    labels = {"kubernetes.io/hostname": name, **facts.get("labels", {})}  # type: ignore[dict-item]
    spec: Obj = {}
    if facts.get("taints"):
        spec["taints"] = facts["taints"]
    if facts.get("unschedulable"):
        spec["unschedulable"] = True
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods, **facts.get("more", {})}  # type: ignore[dict-item]
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": allocatable}}


def pod(name: str, cpu: str = "", memory: str = "", **facts: object) -> Obj:
    number = next(_serial)
    requests = {k: v for k, v in {"cpu": cpu, "memory": memory, **facts.pop("more", {})}.items() if v}  # type: ignore[dict-item]
    meta: Obj = {
        "name": name,
        "namespace": facts.pop("namespace", "default"),
        "uid": f"u{number:06d}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": facts.pop("labels", {}),
        "annotations": facts.pop("annotations", {}),
    }
    owner = facts.pop("owner", None)
    if owner:
        meta["ownerReferences"] = [{"uid": owner, "kind": "ReplicaSet", "name": owner, "controller": True}]
    container: Obj = {"name": "main", "resources": {"requests": requests}}
    ports = facts.pop("ports", None)
    if ports:
        container["ports"] = ports
    return {"metadata": meta, "spec": {"containers": [container], **facts}}


def info(name: str, cpu: str = "", memory: str = "", **facts: object) -> PodInfo:
    return read(pod(name, cpu, memory, **facts))


def snapshot(*nodes: Obj) -> Snapshot:
    made = Snapshot()
    for each in nodes:
        made.set_node(each)
    return made
