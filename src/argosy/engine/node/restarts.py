"""Whether a container that ended runs again, and when: restart policies and the two back-offs. Pure; used by `machine`."""

from __future__ import annotations

from argosy.engine.node.plan import ContainerPlan
from argosy.engine.node.state import ContainerState, Stage
from argosy.engine.node.turn import Turn

BACK_OFF_FIRST_SECONDS = 10.0
BACK_OFF_MAX_SECONDS = 300.0
GOOD_AFTER_SECONDS = 600.0
"""A container that ran this long since its last back-off starts again at once when it ends."""
SHOW_ERROR_SECONDS = 1.0
"""How long ErrImagePull is shown before it becomes ImagePullBackOff."""


def should_restart(plan: ContainerPlan, exit_code: int) -> bool:
    """What the container's own rules, or failing those its policy, say about an exit code."""
    for rule in plan.restart_rules:
        if (exit_code in rule.codes) != rule.negated:
            return True
    if plan.restart_policy == "OnFailure":
        return exit_code != 0
    return plan.restart_policy == "Always"


def runs_again(plan: ContainerPlan, state: ContainerState) -> bool:
    """Whether the container has ended and will run again."""
    ended = state.stage is Stage.EXITED and state.exit is not None
    return ended and (state.changed or (state.exit is not None and should_restart(plan, state.exit.exit_code)))


def done_for_good(plan: ContainerPlan, state: ContainerState) -> bool:
    """Whether the container has ended and will not run again by itself."""
    return state.stage is Stage.EXITED and state.exit is not None and not runs_again(plan, state)


def begin_again(turn: Turn, plan: ContainerPlan) -> None:
    """Turn an ended run into the wait for the next: none the first time, then 10 s doubling to 300 s."""
    state = turn.of(plan.name)
    assert state.exit is not None, "only what ended begins again"
    finished_at = state.exit.finished_at if state.exit.finished_at is not None else turn.now
    delay = 0.0 if state.changed else state.back_off_seconds
    if delay and finished_at - state.back_off_since >= GOOD_AFTER_SECONDS:
        delay = 0.0
    common = {
        "stage": Stage.WAITING,
        "attempt": state.attempt + 1,
        "last": state.exit,
        "exit": None,
        "changed": False,
        "run_id": "",
        "start_failures": 0,
        "back_off_seconds": min(delay * 2, BACK_OFF_MAX_SECONDS) if delay else BACK_OFF_FIRST_SECONDS,
    }
    if not delay:
        turn.change(plan.name, **common, not_before=0.0, back_off_since=turn.now, wait_reason="", wait_message="")
        return
    pod = turn.state.plan
    not_before = finished_at + delay
    turn.change(
        plan.name,
        **common,
        not_before=not_before,
        back_off_since=not_before,
        wait_reason="CrashLoopBackOff",
        wait_message=f"back-off {duration(delay)} restarting failed container={plan.name} pod={pod.title}",
    )
    turn.say("BackOff", f"Back-off restarting failed container {plan.name} in pod {pod.title}", warning=True)


def start_failed(turn: Turn, plan: ContainerPlan, reason: str, message: str) -> None:
    """Wait after a start that came to nothing; an image's failure is shown as ErrImagePull, then as a back-off."""
    failures = turn.of(plan.name).start_failures + 1
    delay = min(BACK_OFF_FIRST_SECONDS * 2 ** (failures - 1), BACK_OFF_MAX_SECONDS)
    turn.change(
        plan.name,
        stage=Stage.WAITING,
        stop=None,
        start_failures=failures,
        start_failed_at=turn.now,
        not_before=turn.now + delay,
        wait_reason=reason,
        wait_message=message,
    )
    if reason == "ErrImagePull":
        turn.say("Failed", f'Failed to pull image "{plan.image}": {message}', warning=True)
        turn.say("Failed", "Error: ErrImagePull", warning=True)
    elif reason:
        turn.say("Failed", f"Error: {message}", warning=True)


def show_back_off(turn: Turn, plan: ContainerPlan) -> None:
    """ErrImagePull becomes ImagePullBackOff while the container waits for the next try."""
    state = turn.of(plan.name)
    if state.wait_reason == "ErrImagePull" and turn.now >= state.start_failed_at + SHOW_ERROR_SECONDS:
        message = f'Back-off pulling image "{plan.image}": ErrImagePull: {state.wait_message}'
        turn.change(plan.name, wait_reason="ImagePullBackOff", wait_message=message)
        turn.say("BackOff", f'Back-off pulling image "{plan.image}"')
        turn.say("Failed", "Error: ImagePullBackOff", warning=True)


def duration(seconds: float) -> str:
    """Go's way of writing whole seconds: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
