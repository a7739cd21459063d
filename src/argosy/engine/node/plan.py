"""What the node reads out of a Pod once, before anything happens: its containers as values.

`machine` decides on these alone and never looks into the Pod object, so a change of the API object cannot change the
rules in the middle of a run, and a test can write a pod in three lines. Pure.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import StrEnum

from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of, namespace_of, uid_of

DEFAULT_GRACE_SECONDS = 30


class Role(StrEnum):
    """What a container is within its pod."""

    INIT = "init"
    SIDECAR = "sidecar"
    """An init container with restartPolicy Always: it starts in its turn and stays."""
    MAIN = "main"
    EPHEMERAL = "ephemeral"
    """Added to a pod that runs, to look into it (`kubectl debug`); its end means nothing to the pod."""


class ProbeKind(StrEnum):
    """The three questions that a kubelet asks a container."""

    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """One probe; times in seconds."""

    kind: ProbeKind
    action: Obj
    """The probe as the API holds it: `exec`, `httpGet`, `tcpSocket` or `grpc`."""
    initial_delay_seconds: float = 0.0
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    grace_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RestartRule:
    """One of `restartPolicyRules`: restart when the exit code is (or is not) among `codes`."""

    codes: frozenset[int]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """One container of a pod."""

    name: str
    role: Role = Role.MAIN
    image: str = ""
    restart_policy: str = "Always"
    """Always, OnFailure or Never: the container's own where it has one, else the pod's."""
    restart_rules: tuple[RestartRule, ...] = ()
    probes: tuple[ProbePlan, ...] = ()
    post_start: Obj | None = None
    pre_stop: Obj | None = None
    stop_signal: int = int(signal.SIGTERM)

    def probe(self, kind: ProbeKind) -> ProbePlan | None:
        """The probe of this kind, if the container has one."""
        for probe in self.probes:
            if probe.kind is kind:
                return probe
        return None


@dataclass(frozen=True, slots=True)
class PodPlan:
    """A pod as the machine sees it.

    `containers` holds init containers and sidecars in order, then the main ones, then the ephemeral ones.
    """

    uid: str
    namespace: str
    name: str
    containers: tuple[ContainerPlan, ...]
    restart_policy: str = "Always"
    grace_seconds: float = DEFAULT_GRACE_SECONDS
    active_deadline_seconds: float | None = None
    generation: int = 0

    @property
    def title(self) -> str:
        """How the kubelet's own messages name a pod: `name_namespace(uid)`."""
        return f"{self.name}_{self.namespace}({self.uid})"


def plan_of(pod: Obj) -> PodPlan:
    """Read a Pod. Missing fields get the API's defaults, so that pods of other engines work too."""
    spec = pod["spec"]
    policy = str(spec.get("restartPolicy") or "Always")
    containers = [_container(c, _init_role(c), policy) for c in spec.get("initContainers") or ()]
    containers += [_container(c, Role.MAIN, policy) for c in spec.get("containers") or ()]
    containers += [_container(c, Role.EPHEMERAL, "Never") for c in spec.get("ephemeralContainers") or ()]
    grace = spec.get("terminationGracePeriodSeconds")
    deadline = spec.get("activeDeadlineSeconds")
    return PodPlan(
        uid=uid_of(pod),
        namespace=namespace_of(pod),
        name=name_of(pod),
        containers=tuple(containers),
        restart_policy=policy,
        grace_seconds=float(DEFAULT_GRACE_SECONDS if grace is None else grace),
        active_deadline_seconds=None if deadline is None else float(deadline),
        generation=int(pod["metadata"].get("generation") or 0),
    )


def _init_role(container: Obj) -> Role:
    return Role.SIDECAR if container.get("restartPolicy") == "Always" else Role.INIT


def _container(container: Obj, role: Role, pod_policy: str) -> ContainerPlan:
    policy = str(container.get("restartPolicy") or pod_policy)
    if role is Role.INIT and policy == "Always":
        policy = "OnFailure"  # an init container that succeeded is done, whatever the pod's policy
    return ContainerPlan(
        name=str(container["name"]),
        role=role,
        image=str(container.get("image") or ""),
        restart_policy="Always" if role is Role.SIDECAR else policy,
        restart_rules=tuple(_rules(container.get("restartPolicyRules") or ())),
        probes=tuple(_probes(container)),
        post_start=dig(container, "lifecycle", "postStart"),
        pre_stop=dig(container, "lifecycle", "preStop"),
        stop_signal=_signal(str(dig(container, "lifecycle", "stopSignal", default="SIGTERM"))),
    )


def _rules(rules: list[Obj] | tuple[Obj, ...]) -> list[RestartRule]:
    found = []
    for rule in rules:
        codes = rule.get("exitCodes") or {}
        if rule.get("action") == "Restart" and codes:
            found.append(RestartRule(frozenset(codes.get("values") or ()), codes.get("operator") == "NotIn"))
    return found


def _probes(container: Obj) -> list[ProbePlan]:
    found = []
    for kind in ProbeKind:
        raw = container.get(f"{kind.value}Probe")
        if raw:
            grace = raw.get("terminationGracePeriodSeconds")
            found.append(
                ProbePlan(
                    kind=kind,
                    action=raw,
                    initial_delay_seconds=float(raw.get("initialDelaySeconds") or 0),
                    period_seconds=float(raw.get("periodSeconds") or 10),
                    timeout_seconds=float(raw.get("timeoutSeconds") or 1),
                    success_threshold=int(raw.get("successThreshold") or 1),
                    failure_threshold=int(raw.get("failureThreshold") or 3),
                    grace_seconds=None if grace is None else float(grace),
                )
            )
    return found


def _signal(name: str) -> int:
    try:
        return int(signal.Signals[name])
    except KeyError:
        return int(signal.SIGTERM)
