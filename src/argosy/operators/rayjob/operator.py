"""The operator of RayJobs: what it owns and looks at, and the probe of the job in Ray's dashboard."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from argosy import kinds
from argosy.intent import Fetch, Operator, Related
from argosy.meta.json import Obj
from argosy.meta.objects import labels_of, name_of, namespace_of
from argosy.operators.ray import dashboard, names
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.rayjob.plan import OWNED, plan
from argosy.operators.rayjob.schema import RAY_JOB, RUNNING
from argosy.operators.settings import OperatorSettings


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return Operator(
        kind=RAY_JOB,
        plan=partial(plan, settings=settings),
        owns=OWNED,
        related=(
            Related(RAY_CLUSTER, _is_its_cluster, subject_keys=_cluster_key, object_keys=_own_key),
            Related(kinds.POD, _is_its_head, subject_keys=_cluster_key, object_keys=_head_key),
        ),
        probe=_job_info,
        name="rayjob-controller",
    )


async def _job_info(fetch: Fetch, subject: Obj) -> Obj:
    """What the dashboard says of a job that runs; nothing is asked about others."""
    status: Obj = subject.get("status") or {}
    if status.get("jobDeploymentStatus") != RUNNING or not status.get("dashboardURL") or not status.get("jobId"):
        return {}
    return await dashboard.job(fetch, status["dashboardURL"], status["jobId"])


def _cluster_key(subject: Obj) -> Iterable[str]:
    name = (subject.get("status") or {}).get("rayClusterName")
    if name:
        yield f"{namespace_of(subject)}/{name}"


def _own_key(cluster: Obj) -> Iterable[str]:
    yield f"{namespace_of(cluster)}/{name_of(cluster)}"


def _head_key(pod: Obj) -> Iterable[str]:
    labels = labels_of(pod)
    if labels.get(names.LABEL_NODE_TYPE) == names.HEAD and names.LABEL_CLUSTER in labels:
        yield f"{namespace_of(pod)}/{labels[names.LABEL_CLUSTER]}"


def _is_its_cluster(subject: Obj, cluster: Obj) -> bool:
    return list(_cluster_key(subject)) == list(_own_key(cluster))


def _is_its_head(subject: Obj, pod: Obj) -> bool:
    return list(_cluster_key(subject)) == list(_head_key(pod))
