"""The vocabulary of decisions.

A reconciler is a function from what was seen (`Observed`) to what should happen (`Plan`). It performs nothing:
`argosy.control.runner` observes, asks, carries the plan out, writes the status and emits the reasons as Events. The
engine's own controllers and the ecosystem's operators are both written in these words, so both run under simulated time
and against any API server.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is as it is. Becomes an Event about the subject (or about `about`), and a line of `argosy why`."""

    code: str
    """CamelCase, e.g. `FailedScheduling`: the Event's `reason`."""
    message: str
    """One sentence; for a Warning it ends in the next step."""
    warning: bool = False
    about: tuple[Kind, Obj] | None = None
    """Another object than the subject, when the reason is about that one."""


@dataclass(frozen=True, slots=True)
class Create:
    """Make this object. An object of that name with the same controlling owner counts as made."""

    kind: Kind
    obj: Obj


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge-patch (RFC 7386) an object; `uid`, where given, guards against acting on a namesake."""

    kind: Kind
    key: Key
    patch: Obj
    subresource: str = ""
    uid: str = ""
    optional: bool = False
    """Whether the plan's further actions may go on where this one is forbidden."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object; one that is already gone counts as deleted."""

    kind: Kind
    key: Key
    uid: str = ""
    grace_seconds: int | None = None
    propagation: str = "Background"


@dataclass(frozen=True, slots=True)
class Call:
    """Send a request to a program, through the proxy of its Service or pod in the API server. What the operator's probe
    found before is then out of date: the next plan sees None until it has been asked again.
    """

    kind: Kind
    key: Key
    """The Service or pod, with its port: `name:8265`."""
    method: str
    path: str
    body: Obj | None = None
    optional: bool = False
    """Whether the plan's further actions may go on where nobody answers."""


Action: TypeAlias = Create | Patch | Delete | Call


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the cluster at hand can do: discovered once from its API groups, never from what the cluster is."""

    resources: frozenset[str] = frozenset()
    """Every served resource with its version, `podgroups.v1alpha2.scheduling.k8s.io` or `pods.v1`."""

    def serves(self, kind: Kind) -> bool:
        """Whether the cluster serves this kind in this version."""
        suffix = f".{kind.group}" if kind.group else ""
        return f"{kind.plural}.{kind.version}{suffix}" in self.resources


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything a plan may look at. Objects are shared: a plan never changes them in place."""

    subject: Obj
    now: datetime
    children: Mapping[Kind, Sequence[Obj]] = field(default_factory=dict)
    """Per owned kind, the objects whose controlling owner is the subject, ordered by name."""
    related: Mapping[Kind, Sequence[Obj]] = field(default_factory=dict)
    """Per related kind, the objects that the operator's `related` picks for the subject."""
    capabilities: Capabilities = Capabilities()
    probed: Obj | None = None
    """What the operator's `probe` or `follow` last found out, None before the first answer or without either."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """What came of the paths that the last plan asks for; empty of one that could not be had."""

    def of(self, kind: Kind) -> Sequence[Obj]:
        """The subject's children of a kind."""
        return self.children.get(kind, ())


@dataclass(frozen=True, slots=True)
class Plan:
    """What should happen now, and what the subject's status should say."""

    actions: tuple[Action, ...] = ()
    status: Obj | None = None
    """The whole desired `.status`; None leaves it alone."""
    reasons: tuple[Reason, ...] = ()
    again_in_seconds: float | None = None
    """Plan again after this time even if nothing changes (deadlines, TTLs, back-offs)."""
    asks: tuple[str, ...] = ()
    """API paths to GET (the end of a log, say) before the next plan, which finds their text in `Observed.answers`. An
    answer is kept for as long as each plan asks for it again, and is empty where it cannot be had within seconds.
    """


@dataclass(frozen=True, slots=True)
class Related:
    """A kind that a plan reads without owning it."""

    kind: Kind
    wants: Callable[[Obj, Obj], bool]
    """(subject, object) -> whether the plan sees it."""
    subject_keys: Callable[[Obj], Iterable[str]] | None = None
    object_keys: Callable[[Obj], Iterable[str]] | None = None
    """Where both are given, `wants` is asked only about pairs that share a key: the runner finds them through indexes
    instead of comparing every subject with every object. A subject or object without keys has no pairs."""


class Fetch(Protocol):
    """How a probe asks: through the API server, so that it works wherever a kubeconfig does."""

    async def __call__(self, path: str, query: Obj | None = None) -> bytes:
        """GET an API path (a Service's proxy, say) and return the body; POST it where a program takes its questions so, with
        the `query` as JSON. Raises ApiError, ConnectionError.
        """
        ...

    def stream(self, path: str) -> AsyncGenerator[bytes, None]:
        """GET an API path and yield the body as it comes (a log that is followed, say). Raises as above."""
        ...

    async def execute(self, pod: Key, container: str, command: Sequence[str]) -> bytes:
        """Run a command in a container and return what it said, whatever its exit code. Raises ApiError, ConnectionError."""
        ...


Probe: TypeAlias = Callable[[Fetch, Obj], Awaitable[Obj]]
"""Ask the outside about a subject, in turns; its result is one more field of `Observed`. With `Follow` the only I/O that an
operator has.
"""

Follow: TypeAlias = Callable[[Fetch, Any], AsyncGenerator[Obj, None]]
"""Hear from the outside as it happens: (fetch, source) -> what has been found out so far, each time that there is news. Ends
when the source has told everything; what it raises, or a lost connection, begins it again.
"""


@dataclass(frozen=True, slots=True)
class Operator:
    """One reconciled kind."""

    kind: Kind
    plan: Callable[[Observed], Plan]
    owns: tuple[Kind, ...] = ()
    related: tuple[Related, ...] = ()
    probe: Probe | None = None
    probe_every_seconds: float = 1.0
    probed: Callable[[Obj], bool] = lambda _: True
    """Which subjects the probe is for; the others cost nothing."""
    follow: Follow | None = None
    """In place of a probe, where the outside can tell by itself."""
    source: Callable[[Observed], Hashable | None] = lambda _: None
    """What to follow for a subject, from what was seen; None: nothing (any more)."""
    name: str = ""
    """Names the component in Events and the fieldManager; default: the kind in lower case plus `-controller`."""

    @property
    def component(self) -> str:
        """The name under which it acts."""
        return self.name or f"{self.kind.singular}-controller"


@dataclass(frozen=True, slots=True)
class Asleep:
    """Operators that nobody needs before the first object of a kind exists: until then only that kind is watched.

    An operator is code, a queue, and a copy of every kind that it looks at; most clusters use few of the kinds they know.
    """

    kinds: tuple[Kind, ...]
    """The kind, in each of the versions that a cluster may serve; the first that this one serves is watched."""
    wake: Callable[[], Sequence[Operator]]
    """Makes them; called once, in a thread, since it imports their code."""
