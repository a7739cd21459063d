"""The objects that a JobSet is made of: Jobs with upstream's labels, the headless Service, the claims.

Pure construction, called by `plan`. The same JobSet, restart count and index always give the same object.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import owner_reference
from argosy.operators.jobset import schema
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.jobset.spec import JobSet, ReplicatedJob


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which try a Job belongs to."""

    restarts: int
    """How often the whole set was restarted."""
    own: int | None = None
    """How often this one Job was, where the set counts that."""


def job(job_set: JobSet, of: ReplicatedJob, index: int, attempt: Attempt, owner: Obj) -> Obj:
    """One child Job."""
    template: Obj = thaw(of.template)
    spec: Obj = template["spec"]
    marks = _marks(job_set, of, index, attempt)
    placed = _placement(job_set, of)
    metadata = _with_marks(template.get("metadata"), marks, placed)
    spec.setdefault("completionMode", "Indexed")
    pod: Obj = spec["template"]
    pod["metadata"] = _with_marks(pod.get("metadata"), marks, placed)
    pod_spec: Obj = pod.setdefault("spec", {})
    pod_spec.setdefault("restartPolicy", "OnFailure")
    if job_set.subdomain:
        pod_spec["subdomain"] = job_set.subdomain
    name = job_set.job_name(of, index)
    if schema.EXCLUSIVE in metadata["annotations"]:
        _place_alone(pod_spec, metadata, f"{job_set.namespace}_{name}")
    spec["suspend"] = job_set.suspend
    _mount_claims(job_set, pod_spec)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": job_set.namespace,
            **metadata,
            "ownerReferences": [owner_reference(owner, JOB_SET)],
        },
        "spec": spec,
    }


def service(job_set: JobSet, owner: Obj) -> Obj:
    """The headless Service under which every pod has its name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": job_set.subdomain,
            "namespace": job_set.namespace,
            "ownerReferences": [owner_reference(owner, JOB_SET)],
        },
        "spec": {
            "clusterIP": "None",
            "selector": {schema.NAME: job_set.name},
            "publishNotReadyAddresses": job_set.network.get("publishNotReadyAddresses") is not False,
        },
    }


def claim_name(job_set: JobSet, template: Obj) -> str:
    """`<template>-<jobset>`."""
    return f"{dig(template, 'metadata', 'name')}-{job_set.name}"


def claim(job_set: JobSet, template: Obj, *, goes_along: bool, owner: Obj) -> Obj:
    """One PersistentVolumeClaim; one that is retained belongs to nobody."""
    given: Obj = thaw(template.get("metadata") or {})
    metadata: Obj = {
        "name": claim_name(job_set, template),
        "namespace": job_set.namespace,
        "labels": {**(given.get("labels") or {}), schema.NAME: job_set.name},
    }
    if given.get("annotations"):
        metadata["annotations"] = given["annotations"]
    if goes_along:
        metadata["ownerReferences"] = [owner_reference(owner, JOB_SET)]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": thaw(template.get("spec") or {}),
    }


def coordinator(job_set: JobSet) -> str:
    """The stable address of the coordinating pod, `<pod hostname>.<subdomain>`; empty without one."""
    at = job_set.coordinator
    if at is None:
        return ""
    job_index, pod_index = at.get("jobIndex") or 0, at.get("podIndex") or 0
    subdomain = job_set.network.get("subdomain") or job_set.name
    return f"{job_set.name}-{at['replicatedJob']}-{job_index}-{pod_index}.{subdomain}"


def _marks(job_set: JobSet, of: ReplicatedJob, index: int, attempt: Attempt) -> dict[str, str]:
    """What upstream puts on a Job and its pods, as labels and as annotations alike."""
    before = group_before = 0
    for other in job_set.jobs:
        if other.name == of.name:
            break
        before += other.replicas
        group_before += other.replicas if other.group == of.group else 0
    name = job_set.job_name(of, index)
    marks = {
        schema.NAME: job_set.name,
        schema.UID: job_set.uid,
        schema.REPLICATED_JOB: of.name,
        schema.RESTART_ATTEMPT: str(attempt.restarts),
        schema.REPLICAS: str(of.replicas),
        schema.GLOBAL_REPLICAS: str(job_set.total),
        schema.JOB_INDEX: str(index),
        schema.JOB_KEY: hashlib.sha1(f"{job_set.namespace}/{name}".encode(), usedforsecurity=False).hexdigest(),
        schema.GLOBAL_INDEX: str(before + index),
        schema.GROUP: of.group,
        schema.GROUP_REPLICAS: str(sum(other.replicas for other in job_set.jobs if other.group == of.group)),
        schema.GROUP_INDEX: str(group_before + index),
    }
    if attempt.own is not None:
        marks[schema.JOB_RESTART_ATTEMPT] = str(attempt.own)
    if job_set.coordinator is not None:
        marks[schema.COORDINATOR] = coordinator(job_set)
    return marks


def _placement(job_set: JobSet, of: ReplicatedJob) -> dict[str, str]:
    """The annotations that ask for a topology domain of its own for each Job: the template's, else the JobSet's."""
    own: dict[str, str] = dig(of.template, "metadata", "annotations", default={})
    asked = own if schema.EXCLUSIVE in own else job_set.annotations
    if schema.EXCLUSIVE not in asked:
        return {}
    return {name: asked[name] for name in (schema.EXCLUSIVE, schema.NODE_SELECTOR) if name in asked}


def _with_marks(metadata: Obj | None, marks: dict[str, str], placed: dict[str, str]) -> Obj:
    given = metadata or {}
    return {
        "labels": {**(given.get("labels") or {}), **marks},
        "annotations": {**(given.get("annotations") or {}), **marks, **placed},
    }


def _place_alone(pod_spec: Obj, metadata: Obj, namespaced: str) -> None:
    """One Job, one topology domain. Upstream has a webhook steer the first pod by affinity and the others after it; said
    of every pod in the template, the same affinity needs no webhook. Changes the thawed template.
    """
    if schema.NODE_SELECTOR in metadata["annotations"]:
        pod_spec["nodeSelector"] = {**(pod_spec.get("nodeSelector") or {}), schema.NAMESPACED_JOB: namespaced}
        toleration = {"key": schema.NO_SCHEDULE, "operator": "Exists", "effect": "NoSchedule"}
        pod_spec["tolerations"] = [*(pod_spec.get("tolerations") or ()), toleration]
        return
    mine = {"key": schema.JOB_KEY, "operator": "In", "values": [metadata["labels"][schema.JOB_KEY]]}
    others = [{"key": schema.JOB_KEY, "operator": "Exists"}, {**mine, "operator": "NotIn"}]
    topology = metadata["annotations"][schema.EXCLUSIVE]
    affinity: Obj = pod_spec.setdefault("affinity", {})
    for field, expressions in (("podAffinity", [mine]), ("podAntiAffinity", others)):
        terms = affinity.setdefault(field, {}).setdefault("requiredDuringSchedulingIgnoredDuringExecution", [])
        selector = {"matchExpressions": expressions}
        terms.append({"labelSelector": selector, "topologyKey": topology, "namespaceSelector": {}})


def _mount_claims(job_set: JobSet, pod_spec: Obj) -> None:
    """Give the pod the volumes of the claims that its containers mount. Changes the thawed template."""
    mounted = {
        mount.get("name")
        for field in ("containers", "initContainers")
        for container in pod_spec.get(field) or ()
        for mount in container.get("volumeMounts") or ()
    }
    volumes = [
        {
            "name": dig(template, "metadata", "name"),
            "persistentVolumeClaim": {"claimName": claim_name(job_set, template)},
        }
        for template, _ in job_set.claims
        if dig(template, "metadata", "name") in mounted
    ]
    if volumes:
        pod_spec["volumes"] = [*(pod_spec.get("volumes") or ()), *volumes]
