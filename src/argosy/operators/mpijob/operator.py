"""The operators of MPIJobs: what they own, and their plans under an administrator's settings."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial

from argosy import kinds
from argosy.clock import Clock, SystemClock
from argosy.intent import Operator, Related
from argosy.meta.json import Obj
from argosy.meta.objects import labels_of, name_of, namespace_of
from argosy.operators.gang import podgroup, room
from argosy.operators.gang.labels import LABEL_JOB, LABEL_OPERATOR, LABEL_ROLE
from argosy.operators.mpijob.job import OPERATOR_NAME
from argosy.operators.mpijob.plan import plan
from argosy.operators.mpijob.schema import LAUNCHER, MPI_JOB, MPI_JOB_V1
from argosy.operators.mpijobv1.objects import FRAMEWORK as V1
from argosy.operators.mpijobv1.plan import plan as plan_v1
from argosy.operators.settings import OperatorSettings
from argosy.operators.watching.watch import EVERY_SECONDS, Watch, asked_for

_SEED_BYTES = 32


def operator(clock: Clock | None = None) -> Operator:
    """The operator of `v2beta1`, with a secret of its own from which the keys of new jobs follow; `clock` dates what its
    watch over hung jobs sees.
    """
    launchers = Related(kinds.POD, _is_launcher_of, subject_keys=_job_key, object_keys=_launcher_key)
    return Operator(
        kind=MPI_JOB,
        plan=partial(plan, seed=os.urandom(_SEED_BYTES)),
        owns=(kinds.POD, kinds.SERVICE, kinds.CONFIG_MAP, kinds.SECRET, kinds.JOB, *podgroup.KINDS),
        related=(launchers,),
        name=OPERATOR_NAME,
        probe=Watch("", clock or SystemClock(), LABEL_JOB),
        probe_every_seconds=EVERY_SECONDS,
        probed=asked_for,
    )


def operator_v1(settings: OperatorSettings, clock: Clock | None = None) -> Operator:
    """The operator of `v1`."""
    return Operator(
        kind=MPI_JOB_V1,
        plan=partial(plan_v1, settings=settings),
        owns=(kinds.POD, *V1.owns, *podgroup.KINDS),
        related=room.related(MPI_JOB_V1),
        name=V1.component,
        probe=Watch(V1.container, clock or SystemClock(), LABEL_JOB),
        probe_every_seconds=EVERY_SECONDS,
        probed=asked_for,
    )


def _is_launcher_of(subject: Obj, pod: Obj) -> bool:
    return next(iter(_launcher_key(pod)), "") == f"{namespace_of(subject)}/{name_of(subject)}"


def _job_key(subject: Obj) -> Iterable[str]:
    return (f"{namespace_of(subject)}/{name_of(subject)}",)


def _launcher_key(pod: Obj) -> Iterable[str]:
    labels = labels_of(pod)
    if labels.get(LABEL_OPERATOR) != OPERATOR_NAME or labels.get(LABEL_ROLE) != LAUNCHER.lower():
        return ()
    return (f"{namespace_of(pod)}/{labels.get(LABEL_JOB, '')}",)
