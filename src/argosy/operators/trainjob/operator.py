"""The operator of TrainJobs: what it owns and what it reads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from argosy.intent import Operator, Related
from argosy.kinds import CONFIG_MAP, SECRET
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import key_of
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.trainjob import gang
from argosy.operators.trainjob.job import read
from argosy.operators.trainjob.keys import keys_of
from argosy.operators.trainjob.plan import plan
from argosy.operators.trainjob.schema import CLUSTER_TRAINING_RUNTIME, TRAIN_JOB, TRAINING_RUNTIME


def operator() -> Operator:
    """The operator."""
    return Operator(
        kind=TRAIN_JOB,
        plan=partial(plan, keys=keys_of),
        owns=(JOB_SET, SECRET, CONFIG_MAP, *gang.KINDS),
        related=(_runtimes(CLUSTER_TRAINING_RUNTIME), _runtimes(TRAINING_RUNTIME)),
        name="trainjob-controller",
    )


def _runtimes(kind: Kind) -> Related:
    def wanted(job: Obj) -> Iterable[str]:
        asked = read(job)
        if asked.runtime_kind != kind.kind:
            return ()
        return (f"{asked.namespace}/{asked.runtime_name}" if kind.namespaced else asked.runtime_name,)

    def refers(job: Obj, runtime: Obj) -> bool:
        return str(key_of(runtime)) in wanted(job)

    return Related(kind, refers, subject_keys=wanted, object_keys=lambda runtime: (str(key_of(runtime)),))
