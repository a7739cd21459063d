"""Looking after a job: what is asked of the cluster, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from argosy.clock import rfc3339, rfc3339_micro
from argosy.errors import NotFound
from argosy.meta.json import Obj, encode
from argosy.meta.objects import Key
from argosy.operators.watching.watch import Watch

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Hand:
    """A clock that is set."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@dataclass
class Cluster:
    """Answers a probe; everything it is asked for is written down."""

    pods: list[Obj]
    logs: dict[str, list[str]]
    stacks: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, path: str, query: Obj | None = None) -> bytes:
        self.asked.append(path)
        if path.endswith("/pods?labelSelector=training.kubeflow.org/job-name%3Dddp"):
            return encode({"items": self.pods})
        assert path.endswith("/log?container=pytorch&tailLines=200&timestamps=true")
        return "\n".join(self.logs[path.split("/")[-2]]).encode()

    async def execute(self, pod: Key, container: str, command: Sequence[str]) -> bytes:
        assert (container, command[0]) == ("pytorch", "sh")
        if pod.name not in self.stacks:
            raise NotFound("there is no such pod")
        return self.stacks[pod.name].encode()


def pod(name: str, phase: str = "Running") -> Obj:
    state = {"running": {"startedAt": rfc3339(START)}}
    status = {"phase": phase, "containerStatuses": [{"name": "pytorch", "state": state}]}
    return {"metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}"}, "status": status}


def subject(after: str = "20s", **status: object) -> Obj:
    annotations = {"argosy.dev/hang-after": after} if after else {}
    return {"metadata": {"name": "ddp", "namespace": "team", "annotations": annotations}, "status": status}


def steps(*seconds: float) -> list[str]:
    return [f"{rfc3339_micro(START + timedelta(seconds=s))} step={n}" for n, s in enumerate(seconds, 1)]


def probe(cluster: Cluster, job: Obj, now: float) -> Obj:
    return asyncio.run(Watch("pytorch", Hand(now), "training.kubeflow.org/job-name")(cluster, job))


def test_only_who_asks_is_watched() -> None:
    cluster = Cluster([pod("a")], {"a": []})
    assert probe(cluster, subject(after=""), 100) == {}
    assert probe(cluster, subject(after="soon"), 100) == {}
    assert probe(cluster, subject(conditions=[{"type": "Succeeded", "status": "True"}]), 100) == {}
    assert cluster.asked == []


def test_a_job_that_gets_on_or_forms_is_left_alone() -> None:
    assert probe(Cluster([pod("a"), pod("b")], {"a": steps(1, 2, 3, 4), "b": []}), subject(), 20) == {}
    assert probe(Cluster([pod("a"), pod("b", "Pending")], {"a": [], "b": []}), subject(), 100) == {}


def test_a_stall_is_told_with_everybodys_stacks() -> None:
    cluster = Cluster([pod("a"), pod("b")], {"a": steps(1, 2, 3, 4), "b": []}, {"a": "process 1 S: python"})
    assert probe(cluster, subject(), 30)["stall"] == {
        "seconds": 26.0,
        "usual": 1.0,
        "pods": {"uid-a": "a", "uid-b": "b"},
        "steps": {"a": "4", "b": ""},
        "stacks": {"a": "process 1 S: python", "b": "its processes could not be asked: there is no such pod"},
    }
