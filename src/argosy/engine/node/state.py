"""The values that the pod machine passes around: a pod's state, the events that change it, the instructions that follow.

All are frozen; `machine.handle` makes new ones. Times are seconds since the epoch. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from argosy.engine.node.plan import ContainerPlan, PodPlan, ProbeKind, Role
from argosy.intent import Reason


class Stage(Enum):
    """Where a container's present attempt stands."""

    WAITING = auto()
    """Not begun: its turn has not come, or it sits out a back-off."""
    STARTING = auto()
    """The agent was told to start it."""
    RUNNING = auto()
    EXITED = auto()


class StopStage(Enum):
    """How far the ending of a container has come."""

    HOOK = auto()
    TERM = auto()
    KILL = auto()


@dataclass(frozen=True, slots=True)
class Termination:
    """How a run ended, as `state.terminated` will say."""

    exit_code: int
    reason: str = ""
    message: str = ""
    signal: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What a probe has found out about the present attempt."""

    due: float
    """When it is to be asked next."""
    pause_seconds: float
    """The eager interval before the first success; grows to the period."""
    counted_at: float
    """When a failure was last counted: eager questions in between cost nothing."""
    in_flight: bool = False
    successes: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """A container that is being ended."""

    stage: StopStage
    kill_at: float
    """When the next harder step is due."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One container: its present attempt, and what remains of the one before."""

    stage: Stage = Stage.WAITING
    attempt: int = 0
    run_id: str = ""
    image_id: str = ""
    started_at: float = 0.0
    wait_reason: str = ""
    """Why it waits, when that is not simply its turn: CrashLoopBackOff, ErrImagePull …"""
    wait_message: str = ""
    not_before: float = 0.0
    start_failures: int = 0
    """Starts in a row that did not come to a run."""
    start_failed_at: float = 0.0
    back_off_seconds: float = 0.0
    """How long a crash now would have to wait; 0 before the first."""
    back_off_since: float = 0.0
    """When the back-off last grew."""
    started: bool = False
    """Startup probe passed and postStart done."""
    ready: bool = False
    probes: Mapping[ProbeKind, ProbeState] = field(default_factory=dict)
    stop: Stop | None = None
    changed: bool = False
    """Its image is another now: the present attempt gives way to one of that."""
    exit: Termination | None = None
    """Of the present attempt, in stage EXITED."""
    last: Termination | None = None
    """Of the attempt before (`lastState`)."""

    @property
    def alive(self) -> bool:
        """Whether a process exists or may come to exist without another instruction."""
        return self.stage in {Stage.STARTING, Stage.RUNNING}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a whole pod failed, as `status.reason` and `status.message` say; a disruption is no fault of the pod's own."""

    reason: str
    message: str
    disruption: bool = False


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod on this node."""

    plan: PodPlan
    containers: Mapping[str, ContainerState]
    begun_at: float
    """When the node first saw the pod: `status.startTime`."""
    address: str = ""
    preparing: bool = False
    prepared: bool = False
    """Volumes are mounted and the sandbox stands."""
    initialized: bool = False
    """Every init container has succeeded and every sidecar has started once."""
    deleting: bool = False
    stop_by: float | None = None
    """When what is left of a pod that is being ended is killed; None while it may live."""
    failure: Failure | None = None
    finished: bool = False
    """Nothing runs and nothing will: the phase is final."""
    removing: bool = False
    removed: bool = False
    forgotten: bool = False
    """The agent was told to delete the API object."""

    def of_role(self, *roles: Role) -> list[tuple[ContainerPlan, ContainerState]]:
        """The containers of some roles, in their order."""
        return [(c, self.containers[c.name]) for c in self.plan.containers if c.role in roles]


# Events: what happened.


@dataclass(frozen=True, slots=True)
class Prepared:
    """Volumes and sandbox are there."""

    address: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The node will not run this pod."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Started:
    """A run began."""

    container: str
    attempt: int
    at: float
    run_id: str
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A run could not begin: image, configuration or sandbox."""

    container: str
    attempt: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Exited:
    """A run ended."""

    container: str
    attempt: int
    exit: Termination


@dataclass(frozen=True, slots=True)
class HookDone:
    """A lifecycle hook ended; `error` is empty when it went well."""

    container: str
    attempt: int
    hook: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe has its answer."""

    container: str
    attempt: int
    kind: ProbeKind
    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class DeleteRequested:
    """The API object is being deleted, with this much grace left."""

    grace_seconds: float


@dataclass(frozen=True, slots=True)
class Evicted:
    """The node must get rid of the pod: a disruption where the node is short, and none where the pod broke a limit of its own."""

    reason: str
    message: str
    disruption: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """The sandbox is gone."""


@dataclass(frozen=True, slots=True)
class RetryNow:
    """What a container waited for has appeared."""

    container: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


PodEvent: TypeAlias = (
    Prepared
    | Rejected
    | Started
    | StartFailed
    | Exited
    | HookDone
    | Probed
    | DeleteRequested
    | Evicted
    | Removed
    | RetryNow
    | Tick
)


# Instructions: what the agent must do.


@dataclass(frozen=True, slots=True)
class Prepare:
    """Mount the volumes, make the sandbox; answer Prepared or Rejected."""


@dataclass(frozen=True, slots=True)
class Start:
    """Get the image and start a run; answer Started and later Exited, or StartFailed."""

    container: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """Give up a start that still waits for its image; answer StartFailed (or Started, where it was too late)."""

    container: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RunHook:
    """Run postStart or preStop; answer HookDone."""

    container: str
    attempt: int
    hook: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class RunProbe:
    """Ask once; answer Probed."""

    container: str
    attempt: int
    kind: ProbeKind


@dataclass(frozen=True, slots=True)
class Signal:
    """Signal the run."""

    container: str
    attempt: int
    number: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Give up preparing, take the sandbox down; answer Removed."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete the API object for good: nothing of the pod is left."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the user why."""

    reason: Reason


Instruction: TypeAlias = Prepare | Start | Abandon | RunHook | RunProbe | Signal | Remove | Forget | Say
