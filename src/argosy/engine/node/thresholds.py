"""Probes as counting: when each is due, and what a row of answers means. Pure; used by `machine`.

Until a container first becomes ready (or started) its startup and readiness probes are asked eagerly, after 0.1 s and
then at growing intervals up to the period: a server is Ready when it listens, not up to a period later. Eager failures
in between are neither counted nor reported, so thresholds keep the meaning that Kubernetes gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from argosy.engine.node.plan import ContainerPlan, ProbeKind, ProbePlan
from argosy.engine.node.state import ContainerState, Probed, ProbeState, RunProbe
from argosy.engine.node.turn import Turn

EAGER_FIRST_SECONDS = 0.1
EAGER_MAX_SECONDS = 2.0


def fresh(plan: ContainerPlan, started_at: float) -> Mapping[ProbeKind, ProbeState]:
    """The probes of a run that has just begun."""
    return {probe.kind: _fresh(probe, started_at + probe.initial_delay_seconds) for probe in plan.probes}


def _fresh(probe: ProbePlan, at: float) -> ProbeState:
    if probe.kind is ProbeKind.LIVENESS:
        return ProbeState(due=at + probe.period_seconds, pause_seconds=probe.period_seconds, counted_at=at)
    return ProbeState(due=at + EAGER_FIRST_SECONDS, pause_seconds=EAGER_FIRST_SECONDS, counted_at=at)


def asks(plan: ContainerPlan, state: ContainerState) -> list[ProbePlan]:
    """The probes that matter at this moment: the startup probe alone, and after its success the other two."""
    startup = [probe for probe in plan.probes if probe.kind is ProbeKind.STARTUP]
    if startup and not state.started:
        return startup
    return [probe for probe in plan.probes if probe.kind is not ProbeKind.STARTUP]


def ask(turn: Turn, plan: ContainerPlan) -> None:
    """Ask every probe that is due."""
    state = turn.of(plan.name)
    for probe in asks(plan, state):
        known = state.probes[probe.kind]
        if not known.in_flight and turn.now >= known.due:
            probes = {**state.probes, probe.kind: replace(known, in_flight=True)}
            state = turn.change(plan.name, probes=probes)
            turn.do(RunProbe(plan.name, state.attempt, probe.kind))


def count(turn: Turn, plan: ContainerPlan, answer: Probed) -> bool:
    """Take in an answer. Returns whether the container must be restarted because of it."""
    probe = plan.probe(answer.kind)
    state = turn.of(plan.name)
    if probe is None or answer.kind not in state.probes:
        return False
    known = state.probes[answer.kind]
    period_over = turn.now - known.counted_at >= probe.period_seconds - EAGER_FIRST_SECONDS
    if answer.ok:
        known = replace(known, in_flight=False, successes=known.successes + 1, failures=0)
        reached = known.successes >= probe.success_threshold
        known = replace(known, counted_at=turn.now, due=turn.now + probe.period_seconds, pause_seconds=0.0)
        _remember(turn, plan, answer.kind, known)
        if reached:
            _passed(turn, plan, answer.kind)
        return False
    counts = period_over or known.successes > 0 or not _eager(known)
    due = _next_due(known, probe, turn.now)
    if not counts:
        _remember(turn, plan, answer.kind, replace(known, in_flight=False, due=due[0], pause_seconds=due[1]))
        return False
    failures = known.failures + 1
    known = replace(
        known, in_flight=False, successes=0, failures=failures, counted_at=turn.now, due=due[0], pause_seconds=due[1]
    )
    _remember(turn, plan, answer.kind, known)
    turn.say("Unhealthy", f"{answer.kind.value.capitalize()} probe failed: {answer.message}", warning=True)
    if failures < probe.failure_threshold:
        return False
    if answer.kind is ProbeKind.READINESS:
        turn.change(plan.name, ready=False)
        return False
    return True


def next_due(plan: ContainerPlan, state: ContainerState) -> float | None:
    """When the next probe is to be asked."""
    dues = [state.probes[p.kind].due for p in asks(plan, state) if not state.probes[p.kind].in_flight]
    return min(dues, default=None)


def refresh_ready(turn: Turn, plan: ContainerPlan) -> None:
    """A started container without a readiness probe is ready."""
    state = turn.of(plan.name)
    if state.started and not state.ready and plan.probe(ProbeKind.READINESS) is None:
        turn.change(plan.name, ready=True)


def _passed(turn: Turn, plan: ContainerPlan, kind: ProbeKind) -> None:
    if kind is ProbeKind.READINESS:
        turn.change(plan.name, ready=True)
    elif kind is ProbeKind.STARTUP:
        state = turn.change(plan.name, started=True)
        # The startup probe held the others back: they begin now, or after what is left of their own delay.
        restarted = {
            p.kind: _fresh(p, max(turn.now, state.started_at + p.initial_delay_seconds))
            for p in plan.probes
            if p.kind is not ProbeKind.STARTUP
        }
        turn.change(plan.name, probes={**state.probes, **restarted})
        refresh_ready(turn, plan)


def _remember(turn: Turn, plan: ContainerPlan, kind: ProbeKind, known: ProbeState) -> None:
    turn.change(plan.name, probes={**turn.of(plan.name).probes, kind: known})


def _eager(known: ProbeState) -> bool:
    return known.pause_seconds > 0


def _next_due(known: ProbeState, probe: ProbePlan, now: float) -> tuple[float, float]:
    if not _eager(known) or probe.kind is ProbeKind.LIVENESS:
        return now + probe.period_seconds, known.pause_seconds
    pause = min(known.pause_seconds * 1.5, probe.period_seconds, EAGER_MAX_SECONDS)
    return now + pause, pause
