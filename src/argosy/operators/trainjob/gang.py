"""Placing all pods of a TrainJob at once, where its runtime asks for it: the PodGroup and how pods name it.

A runtime names the scheduler it is meant for (coscheduling, Volcano); where the cluster at hand serves Kubernetes' own
PodGroup, that is used for both. Pure; called by `plan`.
"""

from __future__ import annotations

from argosy.intent import Observed
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import owner_reference
from argosy.operators.trainjob import template
from argosy.operators.trainjob.job import Runtime, TrainJob
from argosy.operators.trainjob.schema import TRAIN_JOB

NATIVE = Kind("scheduling.k8s.io", "v1beta1", "PodGroup", "podgroups")
NATIVE_ALPHA = Kind("scheduling.k8s.io", "v1alpha2", "PodGroup", "podgroups")
VOLCANO = Kind("scheduling.volcano.sh", "v1beta1", "PodGroup", "podgroups")
COSCHEDULING = Kind("scheduling.x-k8s.io", "v1alpha1", "PodGroup", "podgroups")
KINDS = (NATIVE, NATIVE_ALPHA, VOLCANO, COSCHEDULING)


def announce(job: TrainJob, runtime: Runtime, made: Obj, seen: Observed) -> tuple[Kind, Obj] | None:
    """The PodGroup, and the mark of it on the pods of the JobSet, which is changed; None where nothing is asked for, or
    nothing listens.
    """
    asked = runtime.pod_group
    if not asked:
        return None
    total = sum(int(each.get("replicas", 1)) * int(each["template"]["spec"]["parallelism"]) for each in _jobs(made))
    served = [kind for kind in KINDS if seen.capabilities.serves(kind)]
    wanted = VOLCANO if asked.get("volcano") is not None else COSCHEDULING
    kind = next((each for each in served if each in (NATIVE, NATIVE_ALPHA, wanted)), None)
    if kind is None:
        return None
    spec: Obj
    if kind in (NATIVE, NATIVE_ALPHA):
        spec = {"schedulingPolicy": {"gang": {"minCount": total}}}
    else:
        spec = {"minMember": total}
        timeout = (asked.get("coscheduling") or {}).get("scheduleTimeoutSeconds")
        if kind is COSCHEDULING and timeout is not None:
            spec["scheduleTimeoutSeconds"] = timeout
        topology = (asked.get("volcano") or {}).get("networkTopology")
        if kind is VOLCANO and topology:
            spec["networkTopology"] = topology
    for each in _jobs(made):
        _mark(template.pod_of(each), kind, job.name)
    metadata: Obj = {"name": job.name, "namespace": job.namespace}
    metadata["ownerReferences"] = [owner_reference(seen.subject, TRAIN_JOB)]
    return kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


def _jobs(made: Obj) -> list[Obj]:
    jobs: list[Obj] = made["spec"]["replicatedJobs"]
    return jobs


def _mark(pod: Obj, kind: Kind, name: str) -> None:
    metadata: Obj = pod.setdefault("metadata", {})
    if kind is COSCHEDULING:
        metadata["labels"] = {**(metadata.get("labels") or {}), "scheduling.x-k8s.io/pod-group": name}
    elif kind is VOLCANO:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), "scheduling.k8s.io/group-name": name}
    else:
        pod.setdefault("spec", {})["schedulingGroup"] = {"podGroupName": name}
