"""Simulated: the goodput of a job over thousands of nodes, with the interruptions that were published for Llama 3.

Time is virtual, machines and training are arithmetic; what happens after each fault is not: the PyTorchJob operator's own plan
sees the pods, reads what they said, counts, pauses, deletes and makes them again, exactly as in a cluster. What is assumed of
the rest is in `Assumed` and printed with the figure.

The rate is that of Llama 3 405B: 419 unexpected interruptions in 54 days on 16,384 GPUs (arXiv 2407.21783, table 5), a fifth of
which took a host or its network away.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from argosy import kinds
from argosy.clock import rfc3339
from argosy.intent import Create, Delete, Observed, Patch
from argosy.meta.json import Obj, thaw
from argosy.meta.objects import key_of
from argosy.operators.gang.operator import operator
from argosy.operators.pytorchjob.operator import PYTORCH
from argosy.operators.settings import OperatorSettings
from benchmarks.figures import Figure

_GPUS_OF_A_NODE = 8
_RATE = 419 / (54 * 86400 * 16384)
"""Interruptions a second and GPU."""
_HOST_SHARE = 0.2
_DAYS_WHOLE, _DAYS = 1, 7
"""As long as a measurement may take; the rate is that of all 54 days."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the operator does not decide, in seconds."""

    seen: float = 1.0
    """From the death of a process to its pod's end in the API."""
    lost: float = 40.0
    """From the death of a host to its pods' end: Kubernetes' own grace period for nodes."""
    starts: float = 5.0
    """From the making of the last pod to its process: the scheduler, the node, the image that is there."""
    meets: float = 30.0
    """Imports, meeting, reading the checkpoint back."""
    every: float = 20.0
    """Between two checkpoints, which are taken beside training."""
    held_up: float = 0.05
    """For which a checkpoint holds training up."""

    def __str__(self) -> str:
        return (
            f"assumed: a death is seen after {self.seen:g} s, a host's after {self.lost:g} s; pods start in {self.starts:g} s, "
            f"ranks meet and read back in {self.meets:g} s; a checkpoint every {self.every:g} s holds up {self.held_up:g} s"
        )


@dataclass(slots=True)
class Life:
    """One job, its pods, and the clock."""

    nodes: int
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    pods: dict[str, Obj] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    subject: Obj = field(default_factory=dict)
    plans: int = 0

    def __post_init__(self) -> None:
        template = {"spec": {"containers": [{"name": "pytorch", "image": "x"}]}}
        replica = {"restartPolicy": "OnFailure", "template": template}
        replicas = {"Master": {**replica, "replicas": 1}, "Worker": {**replica, "replicas": self.nodes - 1}}
        self.subject = {
            "metadata": {"name": "job", "namespace": "default", "uid": "u", "creationTimestamp": rfc3339(self.now)},
            "spec": {"pytorchReplicaSpecs": replicas, "runPolicy": {"backoffLimit": 10}},
        }

    def settle(self) -> None:
        """Plan and carry out until the gang is whole and nothing more happens; pauses pass."""
        plan = operator(PYTORCH, OperatorSettings(cordon=False)).plan
        while True:
            self.plans += 1
            decided = plan(
                Observed(self.subject, self.now, {kinds.POD: list(self.pods.values())}, answers=self.answers)
            )
            asked = any(path not in self.answers for path in decided.asks)
            self.answers = dict.fromkeys(decided.asks, "")
            acted = [self._carry_out(action) for action in decided.actions]
            if decided.status is not None:
                self.subject = {**self.subject, "status": thaw(decided.status)}
            if (decided.status or {}).get("completionTime"):
                raise RuntimeError(f"the job gave up: {decided.status}")
            if not asked and not any(acted):
                if len(self.pods) == self.nodes:
                    return
                self.now += timedelta(seconds=max(decided.again_in_seconds or 1.0, 0.1))

    def _carry_out(self, action: object) -> bool:
        match action:
            case Create(kind=kinds.POD, obj=obj):
                obj = thaw(obj)
                name = obj["metadata"]["name"]
                obj["metadata"] |= {"uid": f"{name}-{self.plans}", "creationTimestamp": rfc3339(self.now)}
                obj["status"] = {"phase": "Running"}
                obj["spec"]["nodeName"] = f"of-{name}"
                self.pods[name] = obj
            case Delete(kind=kinds.POD, key=key):
                del self.pods[key.name]
            case Patch(key=key, patch=patch) if key == key_of(self.subject):
                before = self.subject["metadata"].get("annotations") or {}
                after = before | patch["metadata"]["annotations"]
                kept = {name: value for name, value in after.items() if value is not None}
                self.subject = {**self.subject, "metadata": {**self.subject["metadata"], "annotations": kept}}
            case _:
                return False
        return True

    def end(self, name: str, *, host: bool) -> None:
        """A pod's process was killed, or its host is gone."""
        pod = self.pods[name]
        if host:
            status: Obj = {"phase": "Failed", "reason": "NodeLost", "message": "the node does not answer"}
        else:
            ended = {"exitCode": 137, "signal": 9, "finishedAt": rfc3339(self.now)}
            status = {"phase": "Failed", "containerStatuses": [{"name": "pytorch", "state": {"terminated": ended}}]}
        self.pods[name] = {**pod, "status": status}


def goodput(nodes: int, days: float, assumed: Assumed, seed: int = 1) -> tuple[float, int]:
    """(useful time / wall time, interruptions) of a job over so many nodes. The same seed gives the same life."""
    draw = random.Random(seed)
    life = Life(nodes)
    rate = _RATE * nodes * _GPUS_OF_A_NODE
    began, useful, faults = life.now, 0.0, 0
    end = began + timedelta(days=days)
    life.settle()
    trains = life.now + timedelta(seconds=assumed.starts + assumed.meets)
    while True:
        strikes = life.now + timedelta(seconds=draw.expovariate(rate))
        until = min(strikes, end)
        ran = max((until - trains).total_seconds(), 0.0)
        saved = ran // assumed.every
        useful += (ran if until == end else saved * assumed.every) - saved * assumed.held_up
        if until == end:
            return useful / (end - began).total_seconds(), faults
        faults += 1
        host = draw.random() < _HOST_SHARE
        life.now = strikes + timedelta(seconds=assumed.lost if host else assumed.seen)
        life.end(draw.choice(list(life.pods)), host=host)
        life.settle()
        trains = life.now + timedelta(seconds=assumed.starts + assumed.meets)


async def outages() -> list[Figure]:
    """Two lives: a job over all of 7,500 nodes, and one of Llama 3's own size."""
    assumed = Assumed()
    whole, faults = await asyncio.to_thread(goodput, 7500, _DAYS_WHOLE, assumed)
    llama, theirs = await asyncio.to_thread(goodput, 2048, _DAYS, assumed)
    return [
        Figure(
            "SIMULATED goodput, one job over 7,500 nodes, a day",
            f"{whole:.1%}",
            "98%",
            f"{faults} interruptions at Llama 3's rate a GPU, answered by the operator's own plan in virtual time; {assumed}",
        ),
        Figure(
            f"SIMULATED goodput, 16,384 GPUs, {_DAYS} days",
            f"{llama:.1%}",
            "98%",
            f"{theirs} interruptions; Llama 3 405B itself reported over 90%",
        ),
    ]
