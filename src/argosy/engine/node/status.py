"""A pod's state as the PodStatus that a kubelet would report. Pure; `statuses` writes what this returns.

Field by field the words and the order are the kubelet's, because operators, Job controllers and people's scripts branch
on them. Fields and conditions of others (qosClass, DisruptionTarget, readiness gates) pass through untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from argosy.clock import rfc3339
from argosy.engine.node.plan import ContainerPlan, Role
from argosy.engine.node.restarts import should_restart
from argosy.engine.node.state import ContainerState, PodState, Stage, Termination
from argosy.meta.json import Obj, dig

UNKNOWN = "ContainerStatusUnknown"
_DISRUPTED = "DisruptionTarget"
LOST = "The container could not be located when the pod was terminated"


@dataclass(frozen=True, slots=True)
class Where:
    """What the status says about the node."""

    host_address: str


def render(state: PodState, pod: Obj, where: Where, now: float) -> Obj:
    """The whole `.status` of a pod. `pod` supplies what others wrote there and the transition times so far."""
    old: Obj = pod.get("status") or {}
    inits = [_container(state, pod, p, s) for p, s in state.of_role(Role.INIT, Role.SIDECAR)]
    mains = [_container(state, pod, p, s) for p, s in state.of_role(Role.MAIN)]
    guests = [_container(state, pod, p, s) for p, s in state.of_role(Role.EPHEMERAL)]
    status: Obj = {key: value for key, value in old.items() if key not in _OWNED}
    status["observedGeneration"] = state.plan.generation
    status["phase"] = phase(state)
    status["conditions"] = _conditions(state, pod, mains, now)
    if state.failure is not None:
        status["reason"] = state.failure.reason
        status["message"] = state.failure.message
    status["hostIP"] = where.host_address
    status["hostIPs"] = [{"ip": where.host_address}]
    if state.address:
        status["podIP"] = state.address
        status["podIPs"] = [{"ip": state.address}]
    status["startTime"] = _time(state.begun_at)
    if inits:
        status["initContainerStatuses"] = inits
    status["containerStatuses"] = mains
    if guests:
        status["ephemeralContainerStatuses"] = guests
    return status


_OWNED = frozenset(
    {
        "conditions", "containerStatuses", "ephemeralContainerStatuses", "hostIP", "hostIPs", "initContainerStatuses", "message", "observedGeneration",
        "phase", "podIP", "podIPs", "reason", "startTime",
    }
)  # fmt: skip


def phase(state: PodState) -> str:
    """Pending, Running, Succeeded or Failed."""
    if state.failure is not None:
        return "Failed" if state.finished else _phase_of_mains(state)
    for plan, container in state.of_role(Role.INIT):
        end = container.exit
        if end is not None and end.exit_code != 0 and not should_restart(plan, end.exit_code):
            return "Failed" if state.finished else "Pending"
    return _phase_of_mains(state)


def _phase_of_mains(state: PodState) -> str:
    if state.finished:
        ends = [c.exit for _, c in state.of_role(Role.MAIN)]
        return "Succeeded" if all(end is not None and end.exit_code == 0 for end in ends) else "Failed"
    if not state.initialized:
        return "Pending"
    for _, container in state.of_role(Role.MAIN):
        never_ran = container.stage in {Stage.WAITING, Stage.STARTING} and container.last is None
        if never_ran:
            return "Pending"
    return "Running"


def _container(state: PodState, pod: Obj, plan: ContainerPlan, container: ContainerState) -> Obj:
    current, ready = _current(state, plan, container)
    spec = _spec_of(pod, plan)
    result: Obj = {
        "name": plan.name,
        "state": current,
        "lastState": {"terminated": _terminated(container.last)} if container.last else {},
        "ready": ready,
        "restartCount": _restarts(container),
        "image": plan.image,
        "imageID": container.image_id,
    }
    if container.run_id:
        result["containerID"] = container_id(container.run_id)
    elif container.last is not None and container.last.run_id:
        result["containerID"] = container_id(container.last.run_id)
    result["started"] = container.stage is Stage.RUNNING and container.started
    resources = spec.get("resources")
    if resources and "running" in current:
        result["resources"] = resources
        if resources.get("requests"):
            result["allocatedResources"] = resources["requests"]
    return result


def _restarts(container: ContainerState) -> int:
    """The number of the newest run: while the next one is waited for, the last that ran."""
    waits = container.stage in {Stage.WAITING, Stage.STARTING} and container.last is not None
    return container.attempt - 1 if waits else container.attempt


_GROUPS = {
    Role.INIT: "initContainers", Role.SIDECAR: "initContainers", Role.MAIN: "containers",
    Role.EPHEMERAL: "ephemeralContainers",
}  # fmt: skip


def _spec_of(pod: Obj, plan: ContainerPlan) -> Obj:
    for spec in pod["spec"].get(_GROUPS[plan.role]) or ():
        if spec.get("name") == plan.name:
            return dict(spec)
    return {}


def _current(state: PodState, plan: ContainerPlan, container: ContainerState) -> tuple[Obj, bool]:
    if container.stage is Stage.RUNNING:
        ready = container.ready if plan.role in {Role.MAIN, Role.SIDECAR} else False
        return {"running": {"startedAt": _time(container.started_at)}}, ready
    if container.stage is Stage.EXITED and container.exit is not None:
        done = plan.role is Role.INIT and container.exit.exit_code == 0
        return {"terminated": _terminated(container.exit)}, done
    if state.finished and container.last is not None:
        return {"terminated": _terminated(container.last)}, False
    if state.finished and state.initialized:
        return {"terminated": _terminated(Termination(137, UNKNOWN, LOST))}, False
    waiting: Obj = {"reason": container.wait_reason or _default_wait(state)}
    if container.wait_message:
        waiting["message"] = container.wait_message
    return {"waiting": waiting}, False


def _default_wait(state: PodState) -> str:
    has_inits = any(c.role in {Role.INIT, Role.SIDECAR} for c in state.plan.containers)
    return "PodInitializing" if has_inits else "ContainerCreating"


def _terminated(end: Termination) -> Obj:
    reason = end.reason or ("Completed" if end.exit_code == 0 else "Error")
    result: Obj = {"exitCode": end.exit_code, "reason": reason}
    if end.message:
        result["message"] = end.message
    result["startedAt"] = _time(end.started_at) if end.started_at is not None else None
    result["finishedAt"] = _time(end.finished_at) if end.finished_at is not None else None
    if end.run_id:
        result["containerID"] = container_id(end.run_id)
    return result


def container_id(run_id: str) -> str:
    """How a run is named in the API: `argosy://<pod uid>/<container>/<attempt>`."""
    return f"argosy://{run_id}"


def _conditions(state: PodState, pod: Obj, mains: Sequence[Obj], now: float) -> list[Obj]:
    old: Sequence[Obj] = dig(pod, "status", "conditions", default=[])
    before = {str(c.get("type")): c for c in old}
    ready, ready_reason, ready_message = _containers_ready(state, mains)
    gates_reason, gates_message = _gates(pod, before)
    pod_ready = (ready, ready_reason, ready_message)
    if ready and gates_reason:
        pod_ready = (False, gates_reason, gates_message)
    found = {
        "PodReadyToStartContainers": (state.prepared and not state.finished, "", ""),
        "Initialized": _initialized(state),
        "Ready": pod_ready,
        "ContainersReady": (ready, ready_reason, ready_message),
        "PodScheduled": (True, "", ""),
    }
    conditions = []
    for type, (holds, reason, message) in found.items():
        known = before.get(type, {})
        status = "True" if holds else "False"
        condition: Obj = {
            "type": type,
            "observedGeneration": state.plan.generation,
            "status": status,
            "lastProbeTime": None,
            "lastTransitionTime": (known.get("lastTransitionTime") if known.get("status") == status else None)
            or _time(now),
        }
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        conditions.append(condition)
    if state.failure is not None and state.failure.disruption and _DISRUPTED not in before:
        told = {"reason": "TerminationByKubelet", "message": state.failure.message, "lastTransitionTime": _time(now)}
        conditions.append({"type": _DISRUPTED, "status": "True", "lastProbeTime": None, **told})
    return conditions + [c for c in old if c.get("type") not in found]


def _initialized(state: PodState) -> tuple[bool, str, str]:
    if state.finished and phase(state) == "Succeeded":
        return True, "PodCompleted", ""
    if state.initialized or not state.of_role(Role.INIT, Role.SIDECAR):
        return True, "", ""
    open = [
        plan.name
        for plan, c in state.of_role(Role.INIT, Role.SIDECAR)
        if not (c.exit is not None and c.exit.exit_code == 0 if plan.role is Role.INIT else c.started)
    ]
    if not open:
        return True, "", ""
    return False, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(open)}]"


def _containers_ready(state: PodState, mains: Sequence[Obj]) -> tuple[bool, str, str]:
    if state.finished:
        return False, "PodCompleted" if phase(state) == "Succeeded" else "PodFailed", ""
    unready = [str(c["name"]) for c in mains if not c["ready"]]
    unready += [p.name for p, c in state.of_role(Role.SIDECAR) if not c.ready]
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return True, "", ""


def _gates(pod: Obj, conditions: dict[str, Obj]) -> tuple[str, str]:
    messages = []
    for gate in pod["spec"].get("readinessGates") or ():
        type = str(gate.get("conditionType"))
        if type not in conditions:
            messages.append(f'corresponding condition of pod readiness gate "{type}" does not exist.')
        elif conditions[type].get("status") != "True":
            messages.append(
                f'the status of pod readiness gate "{type}" is not "True", but {conditions[type].get("status")}'
            )
    return ("ReadinessGatesNotReady", ", ".join(messages)) if messages else ("", "")


_NEW = ContainerState()
AT_ONCE, IN_A_FLOOD_SECONDS, ANNOUNCEMENT_SECONDS = 0.0, 0.15, 1.0


def patience(before: PodState, after: PodState, *, flood: bool) -> float:
    """How many seconds a change may wait before it is written.

    None, when somebody may be waiting for it: the pod runs, is ready, has ended, is in trouble. What merely announces the
    next step (ContainerCreating, a sandbox that stands) may wait: usually the next step follows within milliseconds and
    one write tells both. In a flood of starting pods that holds for the start too: many a job has ended by then.
    """
    if after.finished != before.finished or after.failure is not before.failure:
        return AT_ONCE
    began = False
    for name, container in after.containers.items():
        old = before.containers.get(name, _NEW)
        if container is old:
            continue
        if container.stage is Stage.RUNNING and old.stage is not Stage.RUNNING:
            began = True
        elif (
            container.ready != old.ready or container.stage is Stage.EXITED or container.wait_reason != old.wait_reason
        ):
            return AT_ONCE
    if began:
        return IN_A_FLOOD_SECONDS if flood else AT_ONCE
    return ANNOUNCEMENT_SECONDS


def _time(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
