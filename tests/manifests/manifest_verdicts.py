"""What became of a manifest, read off the objects alone: it has come to its end, it lacks something, or it is broken.

Pure; `manifest_runner` watches the cluster and asks. The rules are Kubernetes' own: a Deployment has come to its end when its
replicas are ready, a Job when it is complete or has failed in the way that its own policy asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from argosy.engine.node.images.catalogue import CatalogueFiles
from argosy.engine.node.images.resolve import ImageError, find
from argosy.meta.conditions import find as condition_of
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of


class Verdict(StrEnum):
    """How a manifest fared."""

    RAN = "ran"
    NEEDS = "needs"
    """It asks for what this machine does not have; the text names it."""
    REFUSED = "refused"
    """The API server does not take it, with a reason of the manifest's own."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict and what it rests on."""

    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one object stands: at its end, on the way, or (with `final`) where it will not get away from."""

    ended: bool
    text: str
    final: bool = False


_COMPLETE = ("Complete", "Completed", "Succeeded")
_SERVING = ("Ready", "Available", "RayClusterProvisioned")
_SERVES = frozenset(["RayCluster", "RayService", "InferenceService", "LeaderWorkerSet"])
"""The kinds that come to an end by being there; the others are jobs."""
_SCALED = {
    "Deployment": "replicas",
    "ReplicaSet": "replicas",
    "ReplicationController": "replicas",
    "StatefulSet": "replicas",
}


def stand(obj: Obj) -> Stand:
    """Where an object that a manifest asked for stands."""
    kind = str(obj.get("kind"))
    if kind in _SCALED:
        wanted = int(dig(obj, "spec", "replicas", default=1))
        ready = int(dig(obj, "status", "readyReplicas", default=0))
        seen = int(dig(obj, "status", "observedGeneration", default=0)) >= int(obj["metadata"].get("generation") or 0)
        return Stand(ready >= wanted and seen, f"{kind} {name_of(obj)}: {ready} of {wanted} ready")
    if kind == "DaemonSet":
        wanted, ready = (int(dig(obj, "status", f, default=0)) for f in ("desiredNumberScheduled", "numberReady"))
        seen = bool(dig(obj, "status", "observedGeneration"))
        return Stand(seen and ready >= wanted, f"DaemonSet {name_of(obj)}: {ready} of {wanted} ready")
    if kind == "Job" and str(obj.get("apiVersion")) == "batch/v1":
        return _job(obj)
    if kind == "Pod":
        return pod_stand(obj)
    if kind == "PersistentVolumeClaim":
        phase = dig(obj, "status", "phase", default="Pending")
        return Stand(phase == "Bound", f"PersistentVolumeClaim {name_of(obj)}: {phase}")
    if kind in _WITH_STATUS:
        return _custom(obj)
    return Stand(True, f"{kind} {name_of(obj)} created")


_WITH_STATUS = frozenset(
    ["PyTorchJob", "TFJob", "JAXJob", "XGBoostJob", "PaddleJob", "MPIJob", "TrainJob", "JobSet", "LeaderWorkerSet",
     "RayCluster", "RayJob", "RayService", "InferenceService"]
)  # fmt: skip


def _custom(obj: Obj) -> Stand:
    title = f"{obj['kind']} {name_of(obj)}"
    conditions = dig(obj, "status", "conditions", default=[])
    true = [str(c.get("type")) for c in conditions if c.get("status") == "True"]
    if dig(obj, "spec", "suspend") or dig(obj, "spec", "runPolicy", "suspend"):
        return Stand(True, f"{title} is suspended, as its spec says")
    for type in _SERVING if obj["kind"] in _SERVES else _COMPLETE:
        if type in true:
            return Stand(True, f"{title}: {type}")
    if obj["kind"] == "RayJob":  # its state is no condition
        state = dig(obj, "status", "jobDeploymentStatus", default="no state")
        return Stand(state == "Complete", f"{title}: {state}", state == "Failed")
    return Stand(False, f"{title}: {', '.join(true) or 'no condition'}", "Failed" in true)


def _job(job: Obj) -> Stand:
    title = f"Job {name_of(job)}"
    spec = job["spec"]
    complete, failed = condition_of(job, "Complete"), condition_of(job, "Failed")
    if complete and complete.get("status") == "True":
        return Stand(True, f"{title} complete: {dig(job, 'status', 'succeeded', default=0)} succeeded")
    if failed and failed.get("status") == "True":
        reason = f"{title} failed: {failed.get('reason')}: {failed.get('message')}"
        asked = {"PodFailurePolicy": "podFailurePolicy", "FailedIndexes": "backoffLimitPerIndex",
                 "MaxFailedIndexesExceeded": "maxFailedIndexes", "DeadlineExceeded": "activeDeadlineSeconds"}  # fmt: skip
        policy = asked.get(str(failed.get("reason")))
        return Stand(policy is not None and policy in spec, reason, final=True)
    if spec.get("suspend"):
        return Stand(True, f"{title} is suspended, as its spec says")
    active = int(dig(job, "status", "active", default=0))
    return Stand(False, f"{title}: {active} active")


def pod_stand(pod: Obj) -> Stand:
    """Where a pod stands."""
    title = f"Pod {name_of(pod)}"
    phase = dig(pod, "status", "phase", default="Pending")
    ready = condition_of(pod, "Ready")
    if phase == "Succeeded":
        return Stand(True, f"{title} succeeded")
    if phase == "Running" and ready and ready.get("status") == "True":
        return Stand(True, f"{title} runs and is ready")
    return Stand(False, f"{title}: {phase}", final=phase == "Failed")


def has_begun(pod: Obj) -> bool:
    """Whether anything of a pod has run."""
    return any(status.get("containerID") for status in _statuses(pod))


_NOT_FOUND = 127
"""How a shell ends that is told to run what is not there."""
_LACKS = re.compile(r"Insufficient ([\w./-]*\w)")


def lack(pods: Iterable[Obj], claims: Iterable[Obj]) -> str:
    """What the machine does not have and the pods (or claims) wait for; empty when it is nothing of the kind."""
    for claim in claims:
        if dig(claim, "status", "phase") != "Bound" and dig(claim, "spec", "storageClassName"):
            return f"the StorageClass {claim['spec']['storageClassName']}"
    for pod in pods:
        for found in (_unplaced(pod), *map(_container_lack, _statuses(pod))):
            if found:
                return found
    return ""


def _statuses(pod: Obj) -> list[Obj]:
    status = pod.get("status") or {}
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _unplaced(pod: Obj) -> str:
    placed = condition_of(pod, "PodScheduled")
    if not placed or placed.get("status") != "False":
        return ""
    message = str(placed.get("message"))
    resources = _LACKS.findall(message)
    if resources:
        return " and ".join(f"more {name}" for name in dict.fromkeys(resources))
    if gates := [str(g.get("name")) for g in pod["spec"].get("schedulingGates") or ()]:
        return f"whoever takes away the scheduling gate {gates[0]}"
    if (name := pod["spec"].get("schedulerName")) not in (None, "default-scheduler"):
        return f"the scheduler {name}"
    if any(text in message for text in ("affinity", "untolerated taint", "topology spread")):
        return f"another node ({dig(pod, 'spec', 'nodeSelector') or message})"
    if "persistentvolumeclaim" in message:
        return f"a volume ({message})"
    return ""


def _container_lack(status: Obj) -> str:
    waiting = dig(status, "state", "waiting") or {}
    message = str(waiting.get("message") or "")
    if waiting.get("reason") in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName"}:
        return f"the image {status.get('image')}"
    if waiting.get("reason") == "CreateContainerConfigError":
        return f"what it refers to: {message}"
    for ended in (dig(status, "state", "terminated"), dig(status, "lastState", "terminated")):
        if ended and (ended.get("reason") == "StartError" or ended.get("exitCode") == _NOT_FOUND):
            return f"a program of the image {status.get('image')}: {ended.get('message')}"
    return ""


def ends_by_itself(pod: Obj) -> str:
    """What says of a pod that it restarts for ever on any cluster: a shell that is given nothing to do."""
    specs = {c["name"]: c for c in pod["spec"].get("containers") or ()}
    for status in dig(pod, "status", "containerStatuses", default=[]):
        spec = specs.get(status.get("name"), {})
        last = dig(status, "lastState", "terminated") or dig(status, "state", "terminated") or {}
        if last.get("exitCode") == 0 and not spec.get("command") and not spec.get("args"):
            return (
                f"container {status.get('name')} has no command: it ends at once and starts again, as it would anywhere"
            )
    return ""


def absent_directory(objects: Iterable[Obj]) -> str:
    """A directory of the host that would be made for a manifest, which no test may do; empty when there is none."""
    for path in _host_paths(list(objects)):
        if not Path(path).exists():
            return path
    return ""


def _host_paths(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("hostPath"), dict) and value["hostPath"].get("path"):
            yield str(value["hostPath"]["path"])
        for inner in value.values():
            yield from _host_paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _host_paths(inner)


def moved(value: Any, homes: Mapping[str, str]) -> Any:
    """An object whose namespaces are others, wherever it names them: manifests must not meet each other."""
    if isinstance(value, list):
        return [moved(inner, homes) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {key: moved(inner, homes) for key, inner in value.items()}
    if isinstance(found.get("namespace"), str):
        found["namespace"] = homes.get(found["namespace"], found["namespace"])
    if found.get("kind") == "Namespace" and found.get("apiVersion") == "v1":
        found["metadata"] = {**found["metadata"], "name": homes.get(found["metadata"]["name"])}
    return found


def images(value: object) -> list[str]:
    """Every image that an object names."""
    if isinstance(value, list):
        return [image for inner in value for image in images(inner)]
    if not isinstance(value, dict):
        return []
    own = [value["image"]] if isinstance(value.get("image"), str) else []
    return own + [image for inner in value.values() for image in images(inner)]


PLAIN_ENVIRONMENTS = frozenset(["host", "runtime", "python"])


def foreign_image(objects: Iterable[Obj]) -> str:
    """An image that holds programs of its own, which no environment of this machine has; empty when there is none."""
    catalogue = CatalogueFiles(Path("/nowhere")).current()
    for image in images(list(objects)):
        try:
            if find(catalogue, image, "images.yaml").environment not in PLAIN_ENVIRONMENTS:
                return image
        except ImageError:
            return image
    return ""
