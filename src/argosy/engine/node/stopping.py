"""How containers end: preStop, the stop signal, the grace period, SIGKILL; sidecars last, in reverse. Pure; used by `machine`."""

from __future__ import annotations

import signal

from argosy.engine.node.plan import ContainerPlan, Role
from argosy.engine.node.state import Abandon, RunHook, Signal, Stage, Stop, StopStage
from argosy.engine.node.turn import Turn

HOOK_EXTRA_SECONDS = 2.0
"""What a container gets after a preStop hook that used up the whole grace period."""
KILL_AGAIN_SECONDS = 5.0


def stop(turn: Turn, plan: ContainerPlan, grace_seconds: float, why: str) -> None:
    """Begin to end a running container. One that is being ended already is left to its course (see `hasten`)."""
    state = turn.of(plan.name)
    kill_at = turn.now + max(grace_seconds, 0.0)
    if state.stop is not None:
        return
    if state.stage is Stage.STARTING:
        turn.change(plan.name, stop=Stop(StopStage.TERM, kill_at))
        turn.do(Abandon(plan.name, state.attempt))
        return
    turn.say("Killing", why)
    if plan.pre_stop is not None and grace_seconds > 0:
        turn.change(plan.name, stop=Stop(StopStage.HOOK, kill_at))
        turn.do(RunHook(plan.name, state.attempt, "preStop", grace_seconds))
    else:
        _signal(turn, plan, kill_at)


def hasten(turn: Turn, kill_at: float) -> None:
    """A shorter grace period than the one that runs: applies to whatever is being ended."""
    for plan in turn.state.plan.containers:
        current = turn.of(plan.name).stop
        if current is not None and kill_at < current.kill_at:
            turn.change(plan.name, stop=Stop(current.stage, kill_at))


def hook_done(turn: Turn, plan: ContainerPlan, error: str) -> None:
    """The preStop hook has ended, well or badly: now comes the signal."""
    current = turn.of(plan.name).stop
    if current is not None and current.stage is StopStage.HOOK:
        if error:
            turn.say("FailedPreStopHook", error, warning=True)
        _signal(turn, plan, max(current.kill_at, turn.now + HOOK_EXTRA_SECONDS))


def started_late(turn: Turn, plan: ContainerPlan) -> None:
    """A run began although its end was already asked for."""
    current = turn.of(plan.name).stop
    if current is not None:
        turn.say("Killing", f"Stopping container {plan.name}")
        _signal(turn, plan, current.kill_at)


def press(turn: Turn, plan: ContainerPlan) -> None:
    """Take the next harder step when its time has come."""
    state = turn.of(plan.name)
    if state.stop is None or state.stage is not Stage.RUNNING or turn.now < state.stop.kill_at:
        return
    if state.stop.stage is StopStage.HOOK:
        _signal(turn, plan, turn.now + HOOK_EXTRA_SECONDS)
        return
    turn.change(plan.name, stop=Stop(StopStage.KILL, turn.now + KILL_AGAIN_SECONDS))
    turn.do(Signal(plan.name, state.attempt, int(signal.SIGKILL)))


def end_pod(turn: Turn) -> None:
    """Drive a pod that must end: main and init containers at once, then the sidecars in reverse order."""
    stop_by = turn.state.stop_by
    assert stop_by is not None, "a pod that ends has a deadline"
    left = stop_by - turn.now
    blocked = False
    for plan, state in turn.state.of_role(Role.INIT, Role.MAIN, Role.EPHEMERAL):
        if state.alive:
            blocked = True
            stop(turn, plan, left, f"Stopping container {plan.name}")
            press(turn, plan)
    for plan, state in reversed(turn.state.of_role(Role.SIDECAR)):
        if not state.alive:
            continue
        if not blocked or left <= 0 or state.stop is not None:
            stop(turn, plan, max(left, HOOK_EXTRA_SECONDS), f"Stopping container {plan.name}")
            press(turn, plan)
        blocked = True


def _signal(turn: Turn, plan: ContainerPlan, kill_at: float) -> None:
    state = turn.of(plan.name)
    immediately = kill_at <= turn.now
    number = int(signal.SIGKILL) if immediately else plan.stop_signal
    stage = StopStage.KILL if immediately else StopStage.TERM
    turn.change(plan.name, stop=Stop(stage, turn.now + KILL_AGAIN_SECONDS if immediately else kill_at))
    turn.do(Signal(plan.name, state.attempt, number))
