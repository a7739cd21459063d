"""A RayJob read once, and what keeps it from being run, in KubeRay's words. Called by `plan`. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import annotations_of, name_of, namespace_of, uid_of
from argosy.operators.ray import checks, names
from argosy.operators.ray.cluster import Cluster
from argosy.operators.rayjob import deletion
from argosy.operators.rayjob.schema import HTTP, INTERACTIVE, K8S_JOB, MODES, SIDECAR


@dataclass(frozen=True, slots=True)
class Job:
    """What the plan needs to know."""

    name: str
    namespace: str
    uid: str
    spec: Obj
    cluster: Cluster
    """The cluster that the spec describes, before it has a name of its own."""

    @property
    def mode(self) -> str:
        """How the program is submitted."""
        return str(self.spec.get("submissionMode") or K8S_JOB)

    @property
    def selected(self) -> str:
        """The cluster that the job runs on as a guest; empty when it brings its own."""
        return str((self.spec.get("clusterSelector") or {}).get(names.LABEL_CLUSTER) or "")

    @property
    def suspend(self) -> bool:
        """Whether it should not run now."""
        return self.spec.get("suspend") is True

    @property
    def managed_by(self) -> str:
        """Who reconciles it; empty for us."""
        value = str(self.spec.get("managedBy") or "")
        return "" if value == names.MANAGED_BY else value


def read(subject: Obj, domain: str) -> Job:
    """Read the object. Never fails: what is wrong comes out of `problem`."""
    spec: Obj = subject.get("spec") or {}
    name, namespace = name_of(subject), namespace_of(subject)
    labels = names.origin_labels("RayJob", name)
    cluster = Cluster(name, namespace, "", spec.get("rayClusterSpec") or {}, annotations_of(subject), labels, domain)
    return Job(name, namespace, uid_of(subject), spec, cluster)


def problem(job: Job) -> tuple[str, str]:
    """The event's word and the message of what is wrong; empty when the job can be run."""
    wrong = checks.name_problem("RayJob", job.name, names.MAX_OWNER_NAME)
    if wrong:
        return "InvalidRayJobMetadata", f"The RayJob metadata is invalid: {wrong}"
    for check in _CHECKS:
        wrong = check(job)
        if wrong:
            return "InvalidRayJobSpec", f"The RayJob spec is invalid: {wrong}"
    return "", ""


def _mode(job: Job) -> str:
    spec, retries = job.spec, int(job.spec.get("backoffLimit") or 0)
    if job.mode not in MODES:
        return f"submissionMode {job.mode} is none of {', '.join(MODES)}"
    if retries < 0:
        return "backoffLimit must be a positive integer"
    if job.mode == INTERACTIVE and retries:
        return "BackoffLimit is incompatible with InteractiveMode"
    if job.mode in (K8S_JOB, HTTP, SIDECAR) and not str(spec.get("entrypoint") or "").strip():
        return "entrypoint is empty; give the command that runs the program"
    if job.mode == SIDECAR:
        for field in ("submitterPodTemplate", "submitterConfig"):
            if spec.get(field) is not None:
                return f"SidecarMode doesn't support {field[0].upper()}{field[1:]}"
        if dig(job.cluster.head, "template", "spec", "restartPolicy") not in (None, "", "Never"):
            return "restartPolicy for head Pod should be Never or unset when using SidecarMode"
    return ""


def _selection(job: Job) -> str:
    spec = job.spec
    if not spec.get("clusterSelector"):
        return "" if spec.get("rayClusterSpec") else "one of RayClusterSpec or ClusterSelector must be set"
    if not job.selected:
        return f"cluster name in ClusterSelector should not be empty; give {names.LABEL_CLUSTER}"
    if job.suspend:
        return "the ClusterSelector mode doesn't support the suspend operation"
    if job.mode == SIDECAR:
        return "ClusterSelector is not supported in SidecarMode"
    if spec.get("backoffLimit"):
        return "BackoffLimit is incompatible with ClusterSelector mode"
    return ""


def _times(job: Job) -> str:
    spec = job.spec
    if job.suspend and not spec.get("shutdownAfterJobFinishes"):
        return "a RayJob with shutdownAfterJobFinishes set to false is not allowed to be suspended"
    ttl = int(spec.get("ttlSecondsAfterFinished") or 0)
    if ttl < 0:
        return "TTLSecondsAfterFinished must be a non-negative integer"
    if ttl and not spec.get("shutdownAfterJobFinishes"):
        return "a RayJob with shutdownAfterJobFinishes set to false cannot have TTLSecondsAfterFinished"
    for field in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if spec.get(field) is not None and int(spec[field]) <= 0:
            return f"{field} must be a positive integer"
    return ""


def _cluster(job: Job) -> str:
    if not job.spec.get("rayClusterSpec"):
        return ""
    if job.cluster.token_auth:
        return "authOptions.mode token is not run here for a RayJob; leave it out, or submit to a RayCluster yourself"
    return checks.cluster_problem(job.cluster)


def _request(job: Job) -> str:
    wrong = checks.yaml_problem("runtimeEnvYAML", str(job.spec.get("runtimeEnvYAML") or ""))
    text = job.spec.get("entrypointResources")
    if wrong or not text:
        return wrong
    try:
        good = isinstance(decode(text), dict)
    except ValueError:
        good = False
    return "" if good else "entrypointResources should be a JSON object of resources and amounts"


def _deletion(job: Job) -> str:
    return deletion.problem(job.spec, as_guest=bool(job.selected), autoscaled=job.cluster.autoscales)


_CHECKS: tuple[Callable[[Job], str], ...] = (_selection, _mode, _times, _deletion, _cluster, _request)
