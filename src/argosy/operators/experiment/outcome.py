"""How a trial's job stands, whatever kind it is, and which of its pods prints the metrics. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig

_GJSON = re.compile(r"""status\.conditions\.#\(\s*type\s*==?\s*"(\w+)"\s*\)#?\|?#?\(\s*status\s*==?\s*"(\w+)"\s*\)#?""")
_KUBEFLOW = ("PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "JAXJob", "PaddleJob")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the job is: `running`, `succeeded` or `failed`, and what it says."""

    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """By which condition one knows the end, and by which labels the pod that prints."""

    success: tuple[str, str]
    failure: tuple[str, str]
    pods: Mapping[str, str]
    """Labels; `{}` stands for the job's name."""


def rule_of(kind: str) -> Rule:
    """What Katib takes for granted about a kind."""
    failed = ("Failed", "True")
    if kind == "Job":
        return Rule(("Complete", "True"), failed, {"batch.kubernetes.io/job-name": "{}"})
    if kind in _KUBEFLOW:
        labels = {"training.kubeflow.org/job-name": "{}", "training.kubeflow.org/job-role": "master"}
        return Rule(("Succeeded", "True"), failed, labels)
    if kind in ("TrainJob", "JobSet"):
        labels = {"jobset.sigs.k8s.io/jobset-name": "{}", "batch.kubernetes.io/job-completion-index": "0"}
        return Rule(("Complete" if kind == "TrainJob" else "Completed", "True"), failed, labels)
    return Rule(("Succeeded", "True"), failed, {"ray.io/originated-from-cr-name": "{}"})


def problems(template: Obj) -> list[str]:
    """Which of a template's conditions are not understood."""
    return [
        f"spec.trialTemplate.{field} {template[field]!r} is not of the form "
        'status.conditions.#(type=="Complete")#|#(status=="True")#'
        for field in ("successCondition", "failureCondition")
        if template.get(field) and _GJSON.fullmatch(str(template[field])) is None
    ]


def outcome_of(job: Obj, spec: Obj) -> Outcome:
    """How the job of a trial stands; `spec` is the Trial's."""
    rule = rule_of(str(job.get("kind") or dig(spec, "runSpec", "kind")))
    for state, field, default in (
        ("failed", "failureCondition", rule.failure),
        ("succeeded", "successCondition", rule.success),
    ):
        match = _GJSON.fullmatch(str(spec.get(field) or ""))
        type, status = (match[1], match[2]) if match else default
        condition = find(job, type)
        if condition is not None and condition.get("status") == status:
            return Outcome(state, str(condition.get("message") or condition.get("reason") or ""))
    return Outcome("running" if job.get("status") else "pending")


def pod_selector(spec: Obj, name: str) -> str:
    """The label selector of the pods that print a trial's metrics."""
    rule = rule_of(str(dig(spec, "runSpec", "kind", default="")))
    labels = {key: value.format(name) for key, value in rule.pods.items()}
    labels |= {key: str(value) for key, value in (spec.get("primaryPodLabels") or {}).items()}
    return ",".join(f"{key}={value}" for key, value in labels.items())
