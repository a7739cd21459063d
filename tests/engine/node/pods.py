"""A pod on simulated time: scripted containers around the pure machine. Nothing here waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from argosy.engine.node import machine
from argosy.engine.node.plan import ContainerPlan, PodPlan, plan_of
from argosy.engine.node.state import (
    Abandon,
    DeleteRequested,
    Exited,
    Forget,
    HookDone,
    Instruction,
    PodEvent,
    PodState,
    Prepare,
    Prepared,
    Probed,
    Remove,
    Removed,
    RunHook,
    RunProbe,
    Say,
    Signal,
    Stage,
    Start,
    Started,
    StartFailed,
    Termination,
    Tick,
)
from argosy.engine.node.status import Where, render
from argosy.meta.json import Obj

START = 1_000_000.0


@dataclass
class Life:
    """One run: it ends by itself after `seconds` (None: never) with `code`; on SIGTERM after `dies_in`."""

    seconds: float | None = None
    code: int = 0
    dies_in: float | None = 0.0
    reason: str = ""
    fail: tuple[str, str] | None = None


def pod_of(containers: Sequence[Obj], **spec: object) -> Obj:
    inits = spec.pop("init", [])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u", "generation": 1},
        "spec": {"containers": list(containers), "initContainers": inits, **spec},
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


@dataclass
class World:
    """Plays the agent: performs instructions on a virtual clock and keeps the story."""

    pod: Obj
    lives: dict[str, list[Life]]
    probe: Callable[[RunProbe, float], bool] = lambda ask, now: True
    hook_seconds: float = 0.0
    prepare_seconds: float = 0.0
    now: float = START
    story: list[tuple[float, str]] = field(default_factory=list)
    pending: list[tuple[float, int, PodEvent]] = field(default_factory=list)
    history: list[Obj] = field(default_factory=list)
    forgotten: bool = False

    def __post_init__(self) -> None:
        self.plan: PodPlan = plan_of(self.pod)
        self.state: PodState = machine.begin(self.plan, self.now)
        self._number = 0
        self.ended: set[tuple[str, int]] = set()
        self.feed(Tick())

    @property
    def status(self) -> Obj:
        return render(self.state, self.pod, Where("127.0.0.1"), self.now)

    def later(self, seconds: float, event: PodEvent) -> None:
        self._number += 1
        heapq.heappush(self.pending, (self.now + seconds, self._number, event))

    def feed(self, event: PodEvent) -> None:
        if isinstance(event, Exited):
            run = (event.container, event.attempt)
            if run in self.ended:
                return
            self.ended.add(run)
        self.state, instructions = machine.handle(self.state, event, self.now)
        again, nothing = machine.handle(self.state, Tick(), self.now)
        assert not [i for i in nothing if not isinstance(i, Say)], f"a second look decides again: {nothing}"
        assert again.plan is self.state.plan
        self.check()
        status = self.status
        self.pod = {**self.pod, "status": status}
        if not self.history or self.history[-1] != status:
            self.history.append(status)
        for instruction in instructions:
            self.perform(instruction)

    def perform(self, instruction: Instruction) -> None:
        at = self.now - START
        match instruction:
            case Prepare():
                self.later(self.prepare_seconds, Prepared("10.0.0.1"))
            case Start(name, attempt):
                self.story.append((at, f"start {name}#{attempt}"))
                lives = self.lives.get(name, [])
                life = lives[min(attempt, len(lives) - 1)] if lives else Life()
                if life.fail:
                    self.later(0, StartFailed(name, attempt, *life.fail))
                    lives.pop(0)
                    return
                self.later(0, Started(name, attempt, self.now, f"u/{name}/{attempt}", "sha256:i"))
                if life.seconds is not None:
                    self.end(name, attempt, life, life.seconds, life.code)
            case Signal(name, attempt, number):
                self.story.append((at, f"signal {name}#{attempt} {number}"))
                lives = self.lives.get(name, [])
                life = lives[min(attempt, len(lives) - 1)] if lives else Life()
                if number == 9:
                    self.end(name, attempt, Life(), 0, 137)
                elif life.dies_in is not None:
                    self.end(name, attempt, life, life.dies_in, life.code or 143)
            case RunHook(name, attempt, hook, limit):
                self.story.append((at, f"{hook} {name}#{attempt}"))
                self.later(min(self.hook_seconds, limit), HookDone(name, attempt, hook))
            case RunProbe(name, attempt, kind):
                self.later(0.01, Probed(name, attempt, kind, self.probe(instruction, at), "no"))
            case Abandon(name, attempt):
                self.later(0, StartFailed(name, attempt, "", ""))
            case Remove():
                self.story.append((at, "remove"))
                self.later(0, Removed())
            case Forget():
                self.story.append((at, "forget"))
                self.forgotten = True
            case Say(reason):
                self.story.append((at, f"say {reason.code}: {reason.message}"))

    def end(self, name: str, attempt: int, life: Life, seconds: float, code: int) -> None:
        started = self.now
        self.later(
            seconds,
            Exited(name, attempt, Termination(code, life.reason, "", 0, started, started + seconds, f"u/{name}")),
        )

    def run(self, seconds: float = 3600.0) -> World:
        """Go on until that much more time has passed, or nothing is left to happen."""
        until = self.now + seconds
        while True:
            wake = machine.next_wake(self.state, self.now)
            event_at = self.pending[0][0] if self.pending else None
            times = [t for t in (wake, event_at) if t is not None]
            if not times or min(times) > until:
                self.now = until
                return self
            self.now = max(self.now, min(times))
            if event_at is not None and event_at <= self.now:
                self.feed(heapq.heappop(self.pending)[2])
            else:
                self.feed(Tick())

    def delete(self, grace: float = 30.0) -> World:
        self.feed(DeleteRequested(grace))
        return self

    def starts(self, name: str) -> list[float]:
        return [at for at, what in self.story if what.startswith(f"start {name}#")]

    def said(self, code: str) -> list[str]:
        return [what.split(": ", 1)[1] for _, what in self.story if what.startswith(f"say {code}:")]

    def check(self) -> None:
        """What holds at every step, whatever happens."""
        state = self.state
        assert not (state.finished and any(c.alive for c in state.containers.values())), "finished while alive"
        assert not state.forgotten or (state.removed and state.deleting), "forgotten too early"
        order: list[ContainerPlan] = list(state.plan.containers)
        mains_ran = any(
            c.stage is not Stage.WAITING or c.last or c.wait_reason for _, c in state.of_role(order[-1].role)
        )
        assert not mains_ran or state.initialized, "a main container before its init containers"
