"""The operator of RayServices: what it owns and looks at, and the probe of its applications and of the head's proxy."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from argosy import kinds
from argosy.errors import ApiError
from argosy.intent import Fetch, Operator, Related
from argosy.meta.json import Obj, dig
from argosy.meta.objects import labels_of, namespace_of
from argosy.operators.ray import dashboard, names
from argosy.operators.rayservice.plan import OWNED, cluster_names, plan
from argosy.operators.rayservice.schema import RAY_SERVICE
from argosy.operators.rayservice.service import read
from argosy.operators.settings import OperatorSettings

_SERVICE_NAME = "kubernetes.io/service-name"


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return Operator(
        kind=RAY_SERVICE,
        plan=partial(plan, settings=settings),
        owns=OWNED,
        related=(
            Related(kinds.POD, _is_its_head, subject_keys=_cluster_keys, object_keys=_head_key),
            Related(kinds.ENDPOINT_SLICE, _is_its_slice, subject_keys=_service_key, object_keys=_slice_key),
        ),
        probe=partial(_look, domain=settings.cluster_domain),
        probe_every_seconds=2.0,
        name="rayservice-controller",
    )


async def _look(fetch: Fetch, subject: Obj, domain: str) -> Obj:
    """Per cluster whose head is ready: what Serve says of its applications, and whether the head's proxy answers."""
    found: Obj = {}
    status: Obj = subject.get("status") or {}
    port = _serve_port(subject)
    for side in ("activeServiceStatus", "pendingServiceStatus"):
        cluster: Obj = dig(status, side, "rayClusterStatus", default={})
        name, head = dig(status, side, "rayClusterName"), cluster.get("head") or {}
        ready = any(c["type"] == "HeadPodReady" and c["status"] == "True" for c in cluster.get("conditions") or ())
        if not name or not ready or not head.get("serviceName"):
            continue
        dashboard_port = (cluster.get("endpoints") or {}).get("dashboard", names.DASHBOARD_PORT)
        address = f"{head['serviceName']}.{namespace_of(subject)}.svc.{domain}:{dashboard_port}"
        found[name] = await dashboard.applications(fetch, address)
        path = kinds.POD.path(namespace_of(subject), f"{head.get('podName')}:{port}", "proxy/-/healthz")
        try:
            found[name]["proxy"] = b"success" in await fetch(path)
        except (ApiError, ConnectionError, TimeoutError):
            found[name]["proxy"] = False
    return found


def _serve_port(subject: Obj) -> int:
    container = read(subject, "").cluster.head_container
    ports = (port for port in container.get("ports") or () if port.get("name") == "serve")
    return int(dig(next(ports, None), "containerPort", default=names.SERVE_PORT))


def _cluster_keys(subject: Obj) -> Iterable[str]:
    return (f"{namespace_of(subject)}/{name}" for name in cluster_names(subject))


def _head_key(pod: Obj) -> Iterable[str]:
    labels = labels_of(pod)
    if labels.get(names.LABEL_NODE_TYPE) == names.HEAD and names.LABEL_CLUSTER in labels:
        yield f"{namespace_of(pod)}/{labels[names.LABEL_CLUSTER]}"


def _is_its_head(subject: Obj, pod: Obj) -> bool:
    return bool(set(_cluster_keys(subject)) & set(_head_key(pod)))


def _service_key(subject: Obj) -> Iterable[str]:
    yield f"{namespace_of(subject)}/{read(subject, '').serve_service}"


def _slice_key(endpoints: Obj) -> Iterable[str]:
    name = labels_of(endpoints).get(_SERVICE_NAME)
    if name:
        yield f"{namespace_of(endpoints)}/{name}"


def _is_its_slice(subject: Obj, endpoints: Obj) -> bool:
    return list(_service_key(subject)) == list(_slice_key(endpoints))
