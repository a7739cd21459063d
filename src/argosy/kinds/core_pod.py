"""Pods, what is made of them directly (templates, replication controllers), and the bindings that place them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from argosy.kinds.cells import AGE, NONE, column, container_columns, count, labels_text, since
from argosy.meta.conditions import find, is_true
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind
from argosy.meta.objects import is_deleting


@dataclass(slots=True)
class _Summary:
    """What the columns READY, STATUS and RESTARTS say."""

    ready: int
    total: int
    status: str
    restarts: int
    last_restart: str


def _is_sidecar(container: Obj) -> bool:
    return container.get("restartPolicy") == "Always"


def _ended(terminated: Obj, prefix: str = "") -> str:
    """Why a container ended: its own reason, else the signal, else the exit code."""
    if terminated.get("reason"):
        return f"{prefix}{terminated['reason']}"
    if terminated.get("signal"):
        return f"{prefix}Signal:{terminated['signal']}"
    return f"{prefix}ExitCode:{terminated.get('exitCode', 0)}"


def _last_end(status: Obj) -> str:
    return str(dig(status, "lastState", "terminated", "finishedAt", default=""))


def _initializing(pod: Obj, summary: _Summary) -> tuple[bool, int, str]:
    """Look through the init containers: whether one still holds the pod up, and the restarts of the sidecars."""
    init = {c.get("name"): c for c in dig(pod, "spec", "initContainers", default=())}
    summary.total += sum(map(_is_sidecar, init.values()))
    sidecar_restarts, sidecar_last = 0, ""
    for index, status in enumerate(dig(pod, "status", "initContainerStatuses", default=())):
        sidecar = _is_sidecar(init.get(status.get("name"), {}))
        summary.restarts += status.get("restartCount", 0)
        summary.last_restart = max(summary.last_restart, _last_end(status))
        if sidecar:
            sidecar_restarts += status.get("restartCount", 0)
            sidecar_last = max(sidecar_last, _last_end(status))
        terminated = dig(status, "state", "terminated")
        waiting = dig(status, "state", "waiting", "reason", default="")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and status.get("started"):
            summary.ready += bool(status.get("ready"))
            continue
        if terminated is not None:
            summary.status = _ended(terminated, "Init:")
        elif waiting and waiting != "PodInitializing":
            summary.status = f"Init:{waiting}"
        else:
            summary.status = f"Init:{index}/{len(init)}"
        return True, sidecar_restarts, sidecar_last
    return False, sidecar_restarts, sidecar_last


def _running(pod: Obj, summary: _Summary) -> None:
    """Look through the main containers, the first one deciding last."""
    any_running = False
    for status in reversed(dig(pod, "status", "containerStatuses", default=[])):
        summary.restarts += status.get("restartCount", 0)
        summary.last_restart = max(summary.last_restart, _last_end(status))
        state = status.get("state") or {}
        if dig(state, "waiting", "reason"):
            summary.status = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            summary.status = _ended(state["terminated"])
        elif status.get("ready") and state.get("running") is not None:
            any_running = True
            summary.ready += 1
    if summary.status == "Completed" and any_running:
        summary.status = "Running" if is_true(pod, "Ready") else "NotReady"


def summarize(pod: Obj) -> _Summary:
    """READY, STATUS and RESTARTS of a pod."""
    status = pod.get("status") or {}
    summary = _Summary(
        0, len(dig(pod, "spec", "containers", default=())), status.get("reason") or status.get("phase") or "", 0, ""
    )
    if (find(pod, "PodScheduled") or {}).get("reason") == "SchedulingGated":
        summary.status = "SchedulingGated"
    initializing, sidecar_restarts, sidecar_last = _initializing(pod, summary)
    if not initializing or is_true(pod, "Initialized"):
        summary.restarts, summary.last_restart = sidecar_restarts, sidecar_last
        _running(pod, summary)
    if is_deleting(pod):
        if status.get("reason") == "NodeLost":
            summary.status = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            summary.status = "Terminating"
    return summary


def _ready(pod: Obj, now: datetime) -> str:
    summary = summarize(pod)
    return f"{summary.ready}/{summary.total}"


def _restarts(pod: Obj, now: datetime) -> str:
    summary = summarize(pod)
    if summary.restarts and summary.last_restart:
        return f"{summary.restarts} ({since(summary.last_restart, now)} ago)"
    return str(summary.restarts)


def _gates(pod: Obj, now: datetime) -> str:
    gates = dig(pod, "spec", "readinessGates", default=())
    if not gates:
        return NONE
    met = sum(is_true(pod, gate.get("conditionType", "")) for gate in gates)
    return f"{met}/{len(gates)}"


_RESTARTS = (
    "The number of times the containers in this pod have been restarted and when the last container in this pod has"
    " restarted."
)

POD = Kind(
    "", "v1", "Pod", "pods", short_names=("po",), categories=("all",),
    subresources=frozenset({
        "attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "resize",
        "status",
    }),
    columns=(
        Column("Ready", cell=_ready, description="The aggregate readiness state of this pod for accepting traffic."),
        Column("Status", cell=lambda pod, now: summarize(pod).status, description="The aggregate status of the containers in this pod."),
        Column("Restarts", cell=_restarts, description=_RESTARTS),
        AGE,
        column("IP", "status", "podIP", default=NONE, wide=True),
        column("Node", "spec", "nodeName", default=NONE, wide=True),
        column("Nominated Node", "status", "nominatedNodeName", default=NONE, wide=True),
        Column("Readiness Gates", ".spec.readinessGates", cell=_gates, priority=1),
    ),
)  # fmt: skip

POD_TEMPLATE = Kind(
    "", "v1", "PodTemplate", "podtemplates",
    columns=(
        *(replace(each, priority=0) for each in container_columns("template")),
        Column(
            "Pod Labels", cell=lambda obj, now: labels_text(dig(obj, "template", "metadata", "labels")),
            description="The labels for the pod template.",
        ),
    ),
)  # fmt: skip

REPLICATION_CONTROLLER = Kind(
    "", "v1", "ReplicationController", "replicationcontrollers", short_names=("rc",), categories=("all",),
    subresources=frozenset({"status", "scale"}),
    columns=(
        count("Desired", "spec", "replicas"),
        count("Current", "status", "replicas"),
        count("Ready", "status", "readyReplicas"),
        AGE,
        *container_columns("spec", "template"),
        Column("Selector", ".spec.selector", cell=lambda obj, now: labels_text(dig(obj, "spec", "selector")), priority=1),
    ),
)  # fmt: skip

BINDING = Kind("", "v1", "Binding", "bindings", verbs=("create",))

ALL = (BINDING, POD, POD_TEMPLATE, REPLICATION_CONTROLLER)
