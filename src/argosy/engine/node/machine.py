"""The life of a pod, as events in and instructions out. Pure: `now` is an argument and nothing here performs anything.

`handle` first takes the event in (what was learned), then decides what follows from the whole state (what to do next).
The second step looks at state and time only, so it does not matter which event brought a state about, a late or doubled
event changes nothing, and an adopted pod continues where it was. `worker` carries the instructions out and feeds the
answers back; `status` shows a state as a PodStatus. The rules are in `restarts`, `thresholds` and `stopping`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from argosy.engine.node import restarts, stopping, thresholds
from argosy.engine.node.plan import ContainerPlan, PodPlan, ProbeKind, Role
from argosy.engine.node.state import (
    ContainerState,
    DeleteRequested,
    Evicted,
    Exited,
    Failure,
    Forget,
    HookDone,
    Instruction,
    PodEvent,
    PodState,
    Prepare,
    Prepared,
    Probed,
    Rejected,
    Remove,
    Removed,
    RetryNow,
    RunHook,
    Stage,
    Start,
    Started,
    StartFailed,
    Termination,
    Tick,
)
from argosy.engine.node.turn import Turn

KILL_MIN_SECONDS = 1.0
"""Even a forced deletion lets the process see its signal for a moment."""
POST_START_SECONDS = 600.0


def begin(plan: PodPlan, now: float) -> PodState:
    """A pod that this node has just been given."""
    return PodState(plan, {c.name: ContainerState() for c in plan.containers}, begun_at=now)


def handle(state: PodState, event: PodEvent, now: float) -> tuple[PodState, list[Instruction]]:
    """Take one event in and say what to do."""
    turn = Turn(state, now)
    _take_in(turn, event)
    _decide(turn)
    return turn.state, turn.instructions


def joined(state: PodState, plan: PodPlan) -> PodState:
    """The pod with a newer plan's generation, images and additional ephemeral containers: all that can change of one."""
    images = {c.name: c.image for c in plan.containers}
    known = tuple(replace(c, image=images.get(c.name, c.image)) for c in state.plan.containers)
    new = tuple(c for c in plan.containers if c.role is Role.EPHEMERAL and c.name not in state.containers)
    containers = {**state.containers, **{c.name: ContainerState() for c in new}}
    for before, after in zip(state.plan.containers, known, strict=True):
        if before.image != after.image:
            current = containers[after.name]
            not_before = 0.0 if current.stage is Stage.WAITING else current.not_before
            containers[after.name] = replace(current, not_before=not_before, changed=current.alive)
    wider = replace(state.plan, generation=plan.generation, containers=(*known, *new))
    return replace(state, plan=wider, containers=containers)


def next_wake(state: PodState, now: float) -> float | None:
    """When `handle` wants a Tick, if no event comes before."""
    times: list[float] = []
    if state.finished:
        return None
    if state.stop_by is not None:
        times.append(state.stop_by)
    elif state.plan.active_deadline_seconds is not None:
        times.append(state.begun_at + state.plan.active_deadline_seconds)
    for plan in state.plan.containers:
        container = state.containers[plan.name]
        if container.stage is Stage.WAITING and state.stop_by is None:
            times.append(container.not_before)
            if container.wait_reason == "ErrImagePull":
                times.append(container.start_failed_at + restarts.SHOW_ERROR_SECONDS)
        elif container.stage is Stage.RUNNING:
            if container.stop is not None:
                times.append(container.stop.kill_at)
            else:
                due = thresholds.next_due(plan, container)
                times += () if due is None else (due,)
    return min((t for t in times if t > now), default=None)


def _take_in(turn: Turn, event: PodEvent) -> None:
    match event:
        case Prepared():
            turn.change_pod(prepared=True, preparing=False, address=event.address)
        case Rejected() | Evicted():
            if turn.state.failure is None and not turn.state.finished:
                disruption = isinstance(event, Evicted) and event.disruption
                turn.change_pod(failure=Failure(event.reason, event.message, disruption), preparing=False)
                turn.say(event.reason, event.message, warning=True)
                if isinstance(event, Evicted):
                    turn.change_pod(stop_by=turn.now + KILL_MIN_SECONDS)
                    stopping.hasten(turn, turn.now + KILL_MIN_SECONDS)
        case DeleteRequested():
            stop_by = turn.now + max(event.grace_seconds, KILL_MIN_SECONDS)
            before = turn.state.stop_by
            turn.change_pod(deleting=True, stop_by=stop_by if before is None else min(before, stop_by))
            stopping.hasten(turn, stop_by)
        case Removed():
            turn.change_pod(removed=True, removing=False)
        case RetryNow():
            if event.container in turn.state.containers:
                turn.change(event.container, not_before=min(turn.of(event.container).not_before, turn.now))
        case Started() | StartFailed() | Exited() | HookDone() | Probed():
            plan = _plan_of(turn, event.container)
            if plan is not None and turn.of(plan.name).attempt == event.attempt:
                _take_in_container(turn, plan, event)
        case Tick():
            pass


def _plan_of(turn: Turn, name: str) -> ContainerPlan | None:
    for plan in turn.state.plan.containers:
        if plan.name == name:
            return plan
    return None


def _take_in_container(
    turn: Turn, plan: ContainerPlan, event: Started | StartFailed | Exited | HookDone | Probed
) -> None:
    state = turn.of(plan.name)
    match event:
        case Started() if state.stage is Stage.STARTING:
            _run_began(turn, plan, event)
        case StartFailed() if state.stage is Stage.STARTING:
            if state.stop is None:
                restarts.start_failed(turn, plan, event.reason, event.message)
            else:
                turn.change(plan.name, stage=Stage.WAITING, stop=None)
        case Exited() if state.alive:
            _run_ended(turn, plan, event.exit)
        case HookDone() if state.stage is Stage.RUNNING:
            if event.hook == "preStop":
                stopping.hook_done(turn, plan, event.error)
            else:
                _post_start_done(turn, plan, event.error)
        case Probed() if state.stage is Stage.RUNNING and state.stop is None:
            if thresholds.count(turn, plan, event):
                probe = plan.probe(event.kind)
                grace = probe.grace_seconds if probe and probe.grace_seconds is not None else _grace(turn)
                stopping.stop(
                    turn, plan, grace, f"Container {plan.name} failed {event.kind.value} probe, will be restarted"
                )
        case _:
            pass


def _run_began(turn: Turn, plan: ContainerPlan, event: Started) -> None:
    hook = plan.post_start is not None
    turn.change(
        plan.name,
        stage=Stage.RUNNING,
        run_id=event.run_id,
        image_id=event.image_id,
        started_at=event.at,
        start_failures=0,
        wait_reason="",
        wait_message="",
        started=not hook and plan.probe(ProbeKind.STARTUP) is None,
        ready=False,
        probes=thresholds.fresh(plan, event.at),
        exit=None,
    )
    turn.say("Started", f"Started container {plan.name}")
    thresholds.refresh_ready(turn, plan)
    stopping.started_late(turn, plan)
    if hook and turn.of(plan.name).stop is None:
        turn.do(RunHook(plan.name, event.attempt, "postStart", POST_START_SECONDS))


def _post_start_done(turn: Turn, plan: ContainerPlan, error: str) -> None:
    if error:
        turn.say("FailedPostStartHook", error, warning=True)
        stopping.stop(turn, plan, _grace(turn), f"Container {plan.name} failed its postStart hook")
        return
    turn.change(plan.name, started=plan.probe(ProbeKind.STARTUP) is None)
    thresholds.refresh_ready(turn, plan)


def _run_ended(turn: Turn, plan: ContainerPlan, end: Termination) -> None:
    state = turn.change(
        plan.name,
        stage=Stage.EXITED,
        exit=end,
        started=False,
        ready=False,
        probes={},
        stop=None,
        wait_reason="",
        wait_message="",
        start_failures=0,
    )
    if end.run_id and not state.run_id:
        turn.change(plan.name, run_id=end.run_id)
    if end.reason == "StartError":
        turn.say("Failed", f"Error: {end.message}", warning=True)


def _grace(turn: Turn) -> float:
    return turn.state.plan.grace_seconds


def _decide(turn: Turn) -> None:
    state = turn.state
    if not state.finished:
        _check_deadline(turn)
        if turn.state.stop_by is None and turn.state.failure is not None:
            turn.change_pod(stop_by=turn.now + _grace(turn))
        if turn.state.stop_by is None:
            _live(turn)
        if turn.state.stop_by is not None:
            _end(turn)
    if turn.state.finished:
        _clear_away(turn)


def _check_deadline(turn: Turn) -> None:
    limit = turn.state.plan.active_deadline_seconds
    if limit is None or turn.state.failure is not None or turn.state.deleting:
        return
    if turn.now >= turn.state.begun_at + limit:
        failure = Failure("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        turn.change_pod(failure=failure)
        turn.say(failure.reason, failure.message)


def _live(turn: Turn) -> None:
    """Everything that a pod does while it may live."""
    if not turn.state.prepared and not turn.state.preparing:
        turn.change_pod(preparing=True)
        turn.do(Prepare())
    for plan, _ in turn.state.of_role(Role.EPHEMERAL):
        _advance(turn, plan)
    if _initialize(turn):
        for plan, _ in turn.state.of_role(Role.MAIN):
            _advance(turn, plan)
    if _over(turn):
        turn.change_pod(stop_by=turn.now + _grace(turn))


def _initialize(turn: Turn) -> bool:
    """Advance init containers and sidecars in their order; True when the main containers may run."""
    was_initialized = turn.state.initialized
    for plan, state in turn.state.of_role(Role.INIT, Role.SIDECAR):
        if plan.role is Role.INIT:
            if was_initialized or (state.exit is not None and state.exit.exit_code == 0):
                continue
            _advance(turn, plan)
            return False
        _advance(turn, plan)
        if not was_initialized and not turn.of(plan.name).started:
            return False
    if not was_initialized and turn.state.prepared:
        turn.change_pod(initialized=True)
    return turn.state.initialized


def _advance(turn: Turn, plan: ContainerPlan) -> None:
    state = turn.of(plan.name)
    if restarts.runs_again(plan, state):
        restarts.begin_again(turn, plan)
        state = turn.of(plan.name)
    if state.stage is Stage.WAITING and turn.state.prepared:
        if turn.now >= state.not_before:
            turn.change(plan.name, stage=Stage.STARTING)
            turn.do(Start(plan.name, state.attempt))
        else:
            restarts.show_back_off(turn, plan)
    elif state.stage is Stage.RUNNING:
        if state.changed and state.stop is None:
            stopping.stop(turn, plan, _grace(turn), f"Container {plan.name} definition changed, will be restarted")
        if turn.of(plan.name).stop is not None:
            stopping.press(turn, plan)
        else:
            thresholds.ask(turn, plan)


def _over(turn: Turn) -> bool:
    """Whether the pod has done what it was for, well or badly."""
    for plan, state in turn.state.of_role(Role.INIT):
        if restarts.done_for_good(plan, state) and state.exit is not None and state.exit.exit_code != 0:
            return True
    return all(restarts.done_for_good(plan, state) for plan, state in turn.state.of_role(Role.MAIN))


def _end(turn: Turn) -> None:
    stopping.end_pod(turn)
    if not any(container.alive for container in turn.state.containers.values()):
        turn.change_pod(finished=True)


def _clear_away(turn: Turn) -> None:
    state = turn.state
    if not state.removed and not state.removing:
        turn.change_pod(removing=True, preparing=False, prepared=False)
        turn.do(Remove())
    if state.removed and state.deleting and not state.forgotten:
        turn.change_pod(forgotten=True)
        turn.do(Forget())


def adopt(
    plan: PodPlan, found: Mapping[str, ContainerState], *, begun_at: float, address: str, initialized: bool
) -> PodState:
    """A pod that an earlier engine left: its containers as the runtime and the last written status tell them.

    It is prepared again (which changes nothing that is there), so that later restarts find volumes and addresses.
    """
    state = begin(plan, begun_at)
    containers = {**state.containers, **{name: c for name, c in found.items() if name in state.containers}}
    return replace(state, containers=containers, address=address, initialized=initialized)
