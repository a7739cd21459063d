"""Pods that an earlier engine left: their state rebuilt from what the runtime still knows and what was last reported. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from argosy.clock import parse_time
from argosy.engine.node import machine, thresholds
from argosy.engine.node.plan import ContainerPlan, PodPlan, ProbeKind, Role
from argosy.engine.node.restarts import BACK_OFF_FIRST_SECONDS, BACK_OFF_MAX_SECONDS
from argosy.engine.node.runtime.spec import Run
from argosy.engine.node.state import ContainerState, PodState, Stage, Termination
from argosy.engine.node.status import UNKNOWN
from argosy.meta.json import Obj, dig

_LOST = "The container could not be located when the node came back"


def adopted(plan: PodPlan, pod: Obj, runs: Sequence[Run], ends: Mapping[str, Termination], now: float) -> PodState:
    """The state of a pod whose object says what was last reported and whose `runs` are what there is.

    `ends` has the termination of every run that has ended, by run id.
    """
    status = pod.get("status") or {}
    fields = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    reported = {str(c.get("name")): c for field in fields for c in status.get(field) or ()}
    newest: dict[str, Run] = {}
    for run in runs:
        if run.container not in newest or run.attempt > newest[run.container].attempt:
            newest[run.container] = run
    final = status.get("phase") in {"Succeeded", "Failed"}
    containers = {
        c.name: _container(c, reported.get(c.name, {}), newest.get(c.name), ends, now, final=final)
        for c in plan.containers
    }
    state = machine.adopt(
        plan,
        containers,
        begun_at=_seconds(status.get("startTime"), now),
        address=str(status.get("podIP") or ""),
        initialized=_initialized(plan, containers, status),
    )
    return replace(state, finished=True) if final else state


def _initialized(plan: PodPlan, containers: Mapping[str, ContainerState], status: Obj) -> bool:
    if any(containers[c.name].stage is not Stage.WAITING for c in plan.containers if c.role is Role.MAIN):
        return True
    inits = [c for c in plan.containers if c.role in {Role.INIT, Role.SIDECAR}]
    reported = [c for c in status.get("conditions") or () if c.get("type") == "Initialized"]
    return bool(inits and reported and reported[0].get("status") == "True")


def _container(
    plan: ContainerPlan, reported: Obj, run: Run | None, ends: Mapping[str, Termination], now: float, *, final: bool
) -> ContainerState:
    count = int(reported.get("restartCount") or 0)
    last = _termination(dig(reported, "lastState", "terminated"), now)
    current = _termination(dig(reported, "state", "terminated"), now)
    image_id = str(reported.get("imageID") or "")
    if run is None:
        if current is not None:
            return ContainerState(Stage.EXITED, count, current.run_id, image_id, exit=current, last=last)
        if dig(reported, "state", "running") is not None and not final:
            started = _seconds(dig(reported, "state", "running", "startedAt"), now)
            lost = Termination(137, UNKNOWN, _LOST, 0, started, now)
            return ContainerState(Stage.EXITED, count, "", image_id, exit=lost, last=last)
        return ContainerState(attempt=count + 1 if last is not None else 0, last=last)
    if run.attempt != count:  # the run after the one that was last reported
        last = current or last
    history = _back_off(run.attempt, run.started_at)
    if run.exit is None:
        same = run.attempt == count
        started = bool(reported.get("started")) if same else plan.probe(ProbeKind.STARTUP) is None
        ready = bool(reported.get("ready")) and same
        return ContainerState(
            Stage.RUNNING,
            run.attempt,
            run.id,
            image_id,
            run.started_at,
            started=started or (plan.probe(ProbeKind.STARTUP) is None),
            ready=ready or plan.probe(ProbeKind.READINESS) is None,
            probes=thresholds.fresh(plan, max(run.started_at, now)),
            last=last,
            back_off_seconds=history,
            back_off_since=run.started_at,
        )
    return ContainerState(
        Stage.EXITED, run.attempt, run.id, image_id, run.started_at, exit=ends.get(run.id), last=last,
        back_off_seconds=history, back_off_since=run.started_at,
    )  # fmt: skip


def _back_off(attempt: int, started_at: float) -> float:
    del started_at  # the machine itself forgets a back-off that is long past
    return min(BACK_OFF_FIRST_SECONDS * 2 ** (attempt - 1), BACK_OFF_MAX_SECONDS) if attempt else 0.0


def _termination(raw: Obj | None, now: float) -> Termination | None:
    if not raw:
        return None
    run_id = str(raw.get("containerID") or "").removeprefix("argosy://")
    return Termination(
        exit_code=int(raw.get("exitCode") or 0),
        reason=str(raw.get("reason") or ""),
        message=str(raw.get("message") or ""),
        signal=int(raw.get("signal") or 0),
        started_at=_seconds(raw.get("startedAt"), now) if raw.get("startedAt") else None,
        finished_at=_seconds(raw.get("finishedAt"), now) if raw.get("finishedAt") else None,
        run_id=run_id,
    )


def _seconds(text: object, default: float) -> float:
    try:
        return parse_time(str(text)).timestamp()
    except ValueError:
        return default
