"""The operators of Experiments and Trials, and the probe that reads a trial's metrics from its log."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from argosy import kinds
from argosy.intent import Fetch, Operator
from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import annotations_of, name_of, namespace_of
from argosy.operators.experiment import metrics, plan, trial
from argosy.operators.experiment.experiment import formats_of
from argosy.operators.experiment.outcome import pod_selector
from argosy.operators.experiment.schema import EXPERIMENT, START_STEP, SUGGESTION, TRIAL
from argosy.operators.jaxjob.schema import JAX_JOB
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.mpijob.schema import MPI_JOB
from argosy.operators.paddlejob.schema import PADDLE_JOB
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.rayjob.schema import RAY_JOB
from argosy.operators.tfjob.schema import TF_JOB
from argosy.operators.trainjob.schema import TRAIN_JOB
from argosy.operators.xgboostjob.schema import XGBOOST_JOB

RUNNABLE = (
    kinds.JOB, PYTORCH_JOB, TF_JOB, JAX_JOB, MPI_JOB, XGBOOST_JOB, PADDLE_JOB, TRAIN_JOB, JOB_SET, RAY_JOB,
)  # fmt: skip
"""What a trial's template may be."""
_BY_NAME = {(kind.api_version, kind.kind): kind for kind in RUNNABLE}


def operators() -> tuple[Operator, ...]:
    """Both of them."""
    return (
        Operator(kind=EXPERIMENT, plan=plan.plan, owns=(TRIAL, SUGGESTION)),
        Operator(
            kind=TRIAL,
            plan=partial(trial.plan, kinds=_BY_NAME),
            owns=RUNNABLE,
            probe=read_metrics,
            probe_every_seconds=1.0,
        ),
    )


async def read_metrics(fetch: Fetch, subject: Obj) -> Obj:
    """`metrics` and `ended`, once the pod that prints them has ended well; before that only of a trial that may be ended
    early, for which every value counts: `numbers`. Nothing of a trial that is over.
    """
    spec: Obj = subject.get("spec") or {}
    if trial.is_over(subject) or not dig(subject, "status", "conditions"):
        return {}
    watched = START_STEP in annotations_of(subject)
    namespace = quote(namespace_of(subject))
    selector = quote(pod_selector(spec, name_of(subject)))
    pods = decode(await fetch(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")).get("items") or ()
    by_phase = {dig(pod, "status", "phase"): pod for pod in pods}
    pod = by_phase.get("Succeeded") or (by_phase.get("Running") if watched else None)
    if pod is None:
        return {}
    container = str(spec.get("primaryContainerName") or pod["spec"]["containers"][0]["name"])
    raw = await fetch(f"/api/v1/namespaces/{namespace}/pods/{name_of(pod)}/log?container={quote(container)}")
    log, formats = raw.decode(errors="replace"), formats_of(spec)
    names = [str(strategy["name"]) for strategy in dig(spec, "objective", "metricStrategies", default=())]
    found: Obj = {"metrics": metrics.observe(log, names, formats), "ended": "Succeeded" in by_phase}
    if watched:
        found["numbers"] = metrics.numbers_of(log, str(dig(spec, "objective", "objectiveMetricName")), formats)
    return found
