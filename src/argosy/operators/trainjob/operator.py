"""The operator of TrainJobs: what it owns and what it reads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from argosy.clock import Clock, SystemClock
from argosy.intent import Operator, Related
from argosy.kinds import CONFIG_MAP, SECRET
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import key_of
from argosy.operators.jobset.pods import PODS
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.jobset.schema import NAME as LABEL_SET
from argosy.operators.trainjob import gang
from argosy.operators.trainjob.job import read
from argosy.operators.trainjob.keys import keys_of
from argosy.operators.trainjob.plan import plan
from argosy.operators.trainjob.schema import CLUSTER_TRAINING_RUNTIME, NODE, TRAIN_JOB, TRAINING_RUNTIME
from argosy.operators.watching.watch import EVERY_SECONDS, Watch, asked_for


def operator(clock: Clock | None = None) -> Operator:
    """The operator; `clock` dates what its watch over hung jobs sees."""
    return Operator(
        kind=TRAIN_JOB,
        plan=partial(plan, keys=keys_of),
        owns=(JOB_SET, SECRET, CONFIG_MAP, *gang.KINDS),
        related=(_runtimes(CLUSTER_TRAINING_RUNTIME), _runtimes(TRAINING_RUNTIME), PODS),
        probe=Watch(NODE, clock or SystemClock(), LABEL_SET),
        probe_every_seconds=EVERY_SECONDS,
        probed=asked_for,
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
