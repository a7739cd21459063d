"""What an InferenceService says of itself: KServe's conditions and model status, from what its pods are at.

Pure. Conditions are ordered by type as KServe's are; `Ready` is the sum of the others and repeats the reason of the
first that is not met. A model that does not load shows the error that its server ended with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from argosy.clock import rfc3339
from argosy.meta.conditions import find, is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, created_of, is_deleting, name_of, pod_is_ready
from argosy.operators.inferenceservice.schema import CONTAINER
from argosy.operators.inferenceservice.service import Problem, Service

_WAITING_IS_TROUBLE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "StartError",
)
_MESSAGE_MAX = 400


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod of the service does not serve."""

    reason: str
    """KServe's word: ModelLoadFailed or RuntimeUnhealthy."""
    message: str
    pod: str
    exit_code: int | None = None
    at: str = ""
    location: str = CONTAINER

    def info(self) -> Obj:
        """As `modelStatus.lastFailureInfo` has it."""
        found: Obj = {"reason": self.reason, "message": self.message, "location": self.location}
        if self.exit_code is not None:
            found["exitCode"] = self.exit_code
        if self.at:
            found["time"] = self.at
        return found


def troubles(pods: Iterable[Obj]) -> list[Trouble]:
    """What keeps pods from being ready, newest pod first."""
    ordered = sorted(pods, key=created_of, reverse=True)
    found = (_trouble(pod) for pod in ordered if not pod_is_ready(pod) and not is_deleting(pod))
    return [trouble for trouble in found if trouble is not None]


def _trouble(pod: Obj) -> Trouble | None:
    statuses = [
        *dig(pod, "status", "initContainerStatuses", default=()),
        *dig(pod, "status", "containerStatuses", default=()),
    ]
    for status in statuses:
        ended = dig(status, "state", "terminated") or dig(status, "lastState", "terminated") or {}
        waiting = dig(status, "state", "waiting", default={})
        if ended.get("exitCode"):
            return _ended(pod, status, ended)
        if waiting.get("reason") in _WAITING_IS_TROUBLE:
            said = f"{waiting['reason']}: {waiting.get('message') or 'no message'}"
            return Trouble(
                "RuntimeUnhealthy", f"pod {name_of(pod)}: {said}", name_of(pod), location=str(status["name"])
            )
    for condition in dig(pod, "status", "conditions", default=()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            said = condition.get("message") or condition.get("reason") or "not scheduled"
            return Trouble("RuntimeUnhealthy", f"pod {name_of(pod)} is not placed: {said}", name_of(pod))
    return None


def _ended(pod: Obj, status: Obj, ended: Obj) -> Trouble:
    code = int(ended["exitCode"])
    said = error_line(str(ended.get("message") or ""))
    if ended.get("reason") == "OOMKilled":
        said = "out of memory; raise spec.predictor.model.resources.limits.memory"
    message = f"pod {name_of(pod)}: container {status.get('name')} exited with code {code}"
    return Trouble(
        "ModelLoadFailed",
        f"{message}: {said}" if said else message,
        name_of(pod),
        code,
        str(ended.get("finishedAt") or ""),
        str(status.get("name")),
    )


def error_line(text: str) -> str:
    """The line that names the mistake: the last `SomethingError: …` of a traceback, else the last line at all."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.partition(":")[0].rpartition(".")[2].endswith(("Error", "Exception"))]
    best = (errors or lines or [""])[-1]
    return best if len(best) <= _MESSAGE_MAX else best[: _MESSAGE_MAX - 1] + "…"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the status is made from."""

    deployment: Obj | None
    has_front: bool
    troubles: Sequence[Trouble]
    problem: Problem | None
    domain: str


def status(service: Service, subject: Obj, facts: Facts, now: datetime) -> Obj:
    """The whole `.status`."""
    before: Obj = subject.get("status") or {}
    host = f"http://{service.workload}.{service.namespace}.svc.{facts.domain}"
    predictor: Obj = {"type": "PredictorReady"} | _predictor_ready(service, facts)
    ingress: Obj = {"type": "IngressReady"} | _ingress_ready(service, facts)
    stopped: Obj = {"type": "Stopped", "status": str(service.stopped), "severity": "Info"}
    parts = [predictor, ingress]
    conditions = sorted([*parts, stopped, _sum(parts)], key=lambda condition: str(condition["type"]))
    result: Obj = {
        "observedGeneration": subject["metadata"].get("generation", 0),
        "deploymentMode": "Standard",
        "conditions": [_stamped(condition, before, now) for condition in conditions],
        "modelStatus": _model_status(service, facts),
    }
    if service.own_server:
        result["clusterServingRuntimeName"] = "argosy-model-server"
    if facts.has_front and facts.problem is None:
        result |= {"url": host, "address": {"url": host}}
        component: Obj = {"url": host, "address": {"url": host}}
        if facts.deployment is not None:
            revision = annotations_of(facts.deployment).get("deployment.kubernetes.io/revision")
            component |= {"latestCreatedRevision": revision} if revision else {}
        result["components"] = {"predictor": component}
    return result


def is_available(deployment: Obj | None) -> bool:
    """Whether the Deployment has the replicas that it needs."""
    return is_true(deployment, "Available")


def _predictor_ready(service: Service, facts: Facts) -> Obj:
    if service.stopped:
        return {"status": "False", "reason": "Stopped", "message": "The service is stopped by its annotation."}
    if facts.problem is not None:
        return {"status": "False", "reason": facts.problem.reason, "message": facts.problem.message}
    available = find(facts.deployment, "Available") or {}
    if available.get("status") == "True":
        return {"status": "True"}
    if facts.troubles:
        trouble = facts.troubles[0]
        return {"status": "False", "reason": trouble.reason, "message": trouble.message}
    if not available:
        return {"status": "Unknown", "reason": "Deploying", "message": "The Deployment has not reported yet."}
    return {
        "status": "False",
        "reason": str(available.get("reason") or "MinimumReplicasUnavailable"),
        "message": str(available.get("message") or "The Deployment does not have its replicas yet."),
    }


def _ingress_ready(service: Service, facts: Facts) -> Obj:
    if service.stopped:
        return {"status": "False", "reason": "Stopped", "message": "The service is stopped by its annotation."}
    if facts.has_front:
        return {"status": "True"}
    return {"status": "Unknown", "reason": "ServiceMissing", "message": f"Service {service.workload} is not there yet."}


def _sum(parts: Sequence[Obj]) -> Obj:
    for status in ("False", "Unknown"):
        for part in parts:
            if part["status"] == status:
                return {**part, "type": "Ready"}
    return {"type": "Ready", "status": "True"}


def _stamped(condition: Obj, before: Obj, now: datetime) -> Obj:
    for old in before.get("conditions") or ():
        if old.get("type") == condition["type"] and old.get("status") == condition["status"]:
            return {**condition, "lastTransitionTime": old.get("lastTransitionTime") or rfc3339(now)}
    return {**condition, "lastTransitionTime": rfc3339(now)}


def _model_status(service: Service, facts: Facts) -> Obj:
    total = int(dig(facts.deployment, "status", "replicas", default=0))
    copies: Obj = {"failedCopies": len(facts.troubles), "totalCopies": total}
    if facts.problem is not None:
        info = {"reason": facts.problem.reason, "message": facts.problem.message}
        states = {"activeModelState": "", "targetModelState": "FailedToLoad"}
        return {"transitionStatus": "InvalidSpec", "states": states, "copies": copies, "lastFailureInfo": info}
    available = is_available(facts.deployment) and not service.stopped
    asleep = available and dig(facts.deployment, "spec", "replicas") == 0
    active = "Standby" if asleep else "Loaded" if available else ""
    failed = next((trouble for trouble in facts.troubles if trouble.reason == "ModelLoadFailed"), None)
    if failed is not None:
        states = {"activeModelState": active, "targetModelState": "FailedToLoad"}
        status = {"transitionStatus": "BlockedByFailedLoad", "states": states, "copies": copies}
        return status | {"lastFailureInfo": failed.info()}
    if available:
        return {
            "transitionStatus": "UpToDate",
            "states": {"activeModelState": active, "targetModelState": active},
            "copies": copies,
        }
    waiting = "Loading" if total else "Pending"
    return {
        "transitionStatus": "InProgress",
        "states": {"activeModelState": "", "targetModelState": waiting},
        "copies": copies,
    }
