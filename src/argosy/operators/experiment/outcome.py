"""How a trial's job stands, whatever kind it is, and which of its pods prints the metrics. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import created_of, labels_of, name_of, namespace_of
from argosy.operators.experiment import gjson

_KUBEFLOW = ("PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "JAXJob", "PaddleJob")
_JOB_NAMES = (
    "batch.kubernetes.io/job-name",
    "training.kubeflow.org/job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "ray.io/originated-from-cr-name",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the job is: `running`, `succeeded` or `failed`, and what it says."""

    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """By which condition one knows the end, and by which labels the pod that prints."""

    success: str
    name: str
    """The label of its pods that holds the job's name."""
    primary: Mapping[str, str]
    """Further labels of the pod that prints."""


def _condition(type: str) -> str:
    return f'status.conditions.#(type=="{type}")#|#(status=="True")#'


FAILURE = _condition("Failed")


def rule_of(kind: str) -> Rule:
    """What Katib takes for granted about a kind."""
    if kind == "Job":
        return Rule(_condition("Complete"), _JOB_NAMES[0], {})
    if kind in _KUBEFLOW:
        leader = "launcher" if kind == "MPIJob" else "master"  # Katib says master of all; an MPIJob has none
        return Rule(_condition("Succeeded"), _JOB_NAMES[1], {"training.kubeflow.org/job-role": leader})
    if kind in ("TrainJob", "JobSet"):
        success = _condition("Complete" if kind == "TrainJob" else "Completed")
        return Rule(success, _JOB_NAMES[2], {"batch.kubernetes.io/job-completion-index": "0"})
    return Rule(_condition("Succeeded"), _JOB_NAMES[3], {})


def problems(template: Obj) -> list[str]:
    """Which of a template's conditions are not understood."""
    return [
        f"spec.trialTemplate.{field}: {problem}"
        for field in ("successCondition", "failureCondition")
        if template.get(field) and (problem := gjson.problem(str(template[field])))
    ]


def outcome_of(job: Obj, spec: Obj) -> Outcome:
    """How the job of a trial stands; `spec` is the Trial's."""
    rule = rule_of(str(job.get("kind") or dig(spec, "runSpec", "kind")))
    for state, field, default in (
        ("failed", "failureCondition", FAILURE),
        ("succeeded", "successCondition", rule.success),
    ):
        try:
            condition = gjson.holds(job, str(spec.get(field) or default))
        except ValueError:
            continue
        if condition is not None:
            return Outcome(state, str(condition.get("message") or condition.get("reason") or ""))
    return Outcome("running" if job.get("status") else "pending")


def jobs_of(pod: Obj) -> Iterable[str]:
    """`namespace/name` of the jobs that a pod may be one of."""
    labels = labels_of(pod)
    return [f"{namespace_of(pod)}/{labels[label]}" for label in _JOB_NAMES if label in labels]


def prints(trial: Obj, pod: Obj) -> bool:
    """Whether a pod is the one of a trial's that prints its metrics."""
    spec: Obj = trial.get("spec") or {}
    rule = rule_of(str(dig(spec, "runSpec", "kind", default="")))
    wanted = {rule.name: name_of(trial), **(spec.get("primaryPodLabels") or rule.primary)}
    labels = labels_of(pod)
    return namespace_of(pod) == namespace_of(trial) and all(labels.get(k) == str(v) for k, v in wanted.items())


def printing(pods: Iterable[Obj]) -> Obj | None:
    """The pod to read: one that ended well, else the newest that runs, else the newest that has ended."""
    order = {"Succeeded": 0, "Running": 1, "Failed": 2}
    ready = [pod for pod in pods if dig(pod, "status", "phase") in order]
    newest = sorted(ready, key=lambda pod: str(created_of(pod) or ""), reverse=True)
    return min(newest, key=lambda pod: order[pod["status"]["phase"]], default=None)
