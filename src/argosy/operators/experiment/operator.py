"""The operators of Experiments and Trials: what they own, what they read, and what a Trial listens to."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from argosy import kinds
from argosy.intent import Operator, Related
from argosy.meta.json import Obj
from argosy.meta.objects import key_of
from argosy.operators.experiment import outcome, plan, trial
from argosy.operators.experiment.schema import EXPERIMENT, SUGGESTION, TRIAL
from argosy.operators.experiment.template import config_map_of
from argosy.operators.jaxjob.schema import JAX_JOB
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.mpijob.schema import MPI_JOB, MPI_JOB_V1
from argosy.operators.paddlejob.schema import PADDLE_JOB
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.rayjob.schema import RAY_JOB
from argosy.operators.search import reading
from argosy.operators.settings import OperatorSettings
from argosy.operators.tfjob.schema import TF_JOB
from argosy.operators.trainjob.schema import TRAIN_JOB
from argosy.operators.xgboostjob.schema import XGBOOST_JOB

RUNNABLE = (
    kinds.JOB, PYTORCH_JOB, TF_JOB, JAX_JOB, MPI_JOB, MPI_JOB_V1, XGBOOST_JOB, PADDLE_JOB, TRAIN_JOB, JOB_SET, RAY_JOB,
)  # fmt: skip
"""What a trial's template may be."""
_BY_NAME = {(kind.api_version, kind.kind): kind for kind in RUNNABLE}


def operators(settings: OperatorSettings) -> tuple[Operator, ...]:
    """Both of them."""
    return (
        Operator(
            kind=EXPERIMENT,
            plan=partial(plan.plan, image=settings.init_image),
            owns=(TRIAL, SUGGESTION),
            related=(Related(kinds.CONFIG_MAP, _holds_template, _template_keys, lambda found: (str(key_of(found)),)),),
        ),
        Operator(
            kind=TRIAL,
            plan=partial(trial.plan, runnable=_BY_NAME),
            owns=RUNNABLE,
            related=(Related(kinds.POD, outcome.prints, lambda subject: (str(key_of(subject)),), outcome.jobs_of),),
            follow=reading.follow,
            source=trial.source,
        ),
    )


def _template_keys(experiment: Obj) -> Iterable[str]:
    key = config_map_of((experiment.get("spec") or {}).get("trialTemplate") or {})
    return (str(key),) if key is not None else ()


def _holds_template(experiment: Obj, config_map: Obj) -> bool:
    return str(key_of(config_map)) in _template_keys(experiment)
