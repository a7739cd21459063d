"""Workloads that keep a number of pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, and their revisions."""

from __future__ import annotations

from datetime import datetime

from argosy.kinds.cells import AGE, NONE, column, container_columns, count, labels_text, selector_text
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind
from argosy.meta.objects import controller_of

_STATUS = frozenset({"status"})
_SCALABLE = frozenset({"status", "scale"})
_SELECTOR = Column(
    "Selector", ".spec.selector", cell=lambda obj, now: selector_text(dig(obj, "spec", "selector")), priority=1
)


def _ready(obj: Obj, now: datetime) -> str:
    return f"{dig(obj, 'status', 'readyReplicas', default=0)}/{dig(obj, 'spec', 'replicas', default=0)}"


def _number(name: str, *path: str) -> Column:
    return column(name, *path, default=0)


DEPLOYMENT = Kind(
    "apps", "v1", "Deployment", "deployments", short_names=("deploy",), categories=("all",), subresources=_SCALABLE,
    columns=(
        Column("Ready", cell=_ready, description="Number of the pod with ready state"),
        _number("Up-to-date", "status", "updatedReplicas"),
        _number("Available", "status", "availableReplicas"),
        AGE,
        *container_columns("spec", "template"),
        _SELECTOR,
    ),
)  # fmt: skip

REPLICA_SET = Kind(
    "apps", "v1", "ReplicaSet", "replicasets", short_names=("rs",), categories=("all",), subresources=_SCALABLE,
    columns=(
        count("Desired", "spec", "replicas"),
        count("Current", "status", "replicas"),
        count("Ready", "status", "readyReplicas"),
        AGE,
        *container_columns("spec", "template"),
        _SELECTOR,
    ),
)  # fmt: skip

STATEFUL_SET = Kind(
    "apps", "v1", "StatefulSet", "statefulsets", short_names=("sts",), categories=("all",), subresources=_SCALABLE,
    columns=(Column("Ready", cell=_ready, description="Number of the pod with ready state"), AGE, *container_columns("spec", "template")),
)  # fmt: skip

DAEMON_SET = Kind(
    "apps", "v1", "DaemonSet", "daemonsets", short_names=("ds",), categories=("all",), subresources=_STATUS,
    columns=(
        count("Desired", "status", "desiredNumberScheduled"),
        count("Current", "status", "currentNumberScheduled"),
        count("Ready", "status", "numberReady"),
        count("Up-to-date", "status", "updatedNumberScheduled"),
        count("Available", "status", "numberAvailable"),
        Column(
            "Node Selector", ".spec.template.spec.nodeSelector", cell=lambda o, now: labels_text(dig(o, "spec", "template", "spec", "nodeSelector"))
        ),
        AGE,
        *container_columns("spec", "template"),
        _SELECTOR,
    ),
)  # fmt: skip


def _controller(revision: Obj, now: datetime) -> str:
    owner = controller_of(revision)
    if owner is None:
        return NONE
    group = str(owner.get("apiVersion", "")).partition("/")
    suffix = f".{group[0]}" if group[1] else ""
    return f"{str(owner.get('kind', '')).lower()}{suffix}/{owner.get('name')}"


CONTROLLER_REVISION = Kind(
    "apps", "v1", "ControllerRevision", "controllerrevisions",
    columns=(Column("Controller", cell=_controller, description="Controller of the object"), column("Revision", "revision", default=0), AGE),
)  # fmt: skip

ALL = (CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET)
