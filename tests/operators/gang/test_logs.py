"""Logs outlive their pods: kept when a gang restarts, is cleaned up or suspended, within bounds, and read again."""

from __future__ import annotations

import base64
import hashlib

from operator_world import World
from training_jobs import running

from argosy import kinds
from argosy.meta.json import Obj
from argosy.operators.pytorchjob.operator import PYTORCH
from argosy.operators.watching import keeping
from argosy.sdk import kept

LOGS = "/api/v1/namespaces/default/pods/{}/log"


def says(world: World, *texts: str) -> None:
    for name, text in zip(sorted(world.names(kinds.POD)), texts, strict=True):
        world.readable[LOGS.format(name)] = f"2026-01-01T00:00:01Z {text}\n"


def read(world: World) -> list[keeping.Kept]:
    return keeping.read(world.of(kinds.CONFIG_MAP), {"subject-uid"})


def restart(world: World, *texts: str) -> None:
    says(world, *texts)
    world.exit("job-master-0", 137, at=60)
    world.settle()
    world.wait(world.again or 0)
    world.settle()
    world.pods("Running")
    world.settle()


def test_a_restart_keeps_what_every_rank_said() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 1})
    restart(world, "master, first try", "worker, first try")
    (one,) = read(world)
    assert (one.number, one.epoch) == (0, 0)
    assert one.texts == {
        "job-master-0": b"2026-01-01T00:00:01Z master, first try\n",
        "job-worker-0": b"2026-01-01T00:00:01Z worker, first try\n",
    }
    live = world.of(kinds.POD)
    assert kept.gang(live, [one]).texts == {}
    before = kept.gang(live, [one], 0)
    assert before is not None
    assert before.epochs == (0, 1)
    assert [pod["metadata"]["name"] for pod in before.pods] == ["job-master-0", "job-worker-0"]
    assert len(before.texts) == 2
    assert kept.gang(live, [one], 7) is None


def test_only_the_last_gangs_are_kept() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0})
    for number in range(keeping.GANGS_MAX + 3):
        world.wait(700)
        restart(world, f"try {number}")
    assert [one.epoch for one in read(world)] == list(range(3, keeping.GANGS_MAX + 3))


def test_cleaning_up_keeps_the_logs_of_what_goes_and_of_nothing_else() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 1}, runPolicy={"cleanPodPolicy": "Running"})
    says(world, "done", "still there")
    world.exit("job-master-0", 0)
    world.settle()
    assert world.names(kinds.POD) == ["job-master-0"]
    assert world.conditions()[-1] == ("Succeeded", "True")
    (one,) = read(world)
    assert set(one.texts) == {"job-worker-0"}
    whole = kept.gang(world.of(kinds.POD), [one])
    assert whole is not None
    assert len(whole.pods) == 2


def test_a_suspension_keeps_them_too() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0})
    says(world, "before the pause")
    world.edit({"spec": {"runPolicy": {"suspend": True}}})
    world.settle()
    assert world.names(kinds.POD) == []
    assert [b"before the pause" in one.texts["job-master-0"] for one in read(world)] == [True]


def test_who_wants_nothing_kept_has_nothing_kept() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0}, runPolicy={"cleanPodPolicy": "All"})
    world.edit({"metadata": {"annotations": {keeping.KEEP: "none"}}})
    says(world, "secret")
    world.exit("job-master-0", 0)
    world.settle()
    assert world.names(kinds.POD) == []
    assert read(world) == []


def test_a_job_whose_time_is_over_goes_at_once() -> None:
    world = running(
        PYTORCH, {"Master": 1, "Worker": 0}, runPolicy={"cleanPodPolicy": "All", "ttlSecondsAfterFinished": 0}
    )
    says(world, "done")
    world.exit("job-master-0", 0)
    world.settle()
    assert world.subject is None


def test_what_is_too_long_keeps_its_end() -> None:
    pods: list[Obj] = [
        {"metadata": {"name": f"p-{n}", "namespace": "default", "uid": f"u{n}"}, "status": {"phase": "Running"},
         "spec": {"containers": [{"name": "c", "env": [{"name": "RANK", "value": str(n)}]}]}}
        for n in range(70)
    ]  # fmt: skip
    asked = keeping.paths(pods, "")
    assert len(asked) == keeping.PODS_MAX
    noise = "".join(f"2026-01-01T00:00:00Z {hashlib.sha256(str(n).encode()).hexdigest()}\n" for n in range(9000))
    subject = {"metadata": {"name": "job", "namespace": "default", "uid": "job-uid-1"}}
    texts = dict.fromkeys(asked, f"{noise}2026-01-01T00:00:01Z the end\n")
    made = keeping.record(PYTORCH.kind, subject, (0, 0), pods, texts)
    assert made is not None
    assert sum(len(base64.b64decode(value)) for value in made["binaryData"].values()) <= 700_000
    (one,) = keeping.read([made, {"metadata": {"ownerReferences": [{"uid": "job-uid-1"}]}}], {"job-uid-1"})
    assert all(text.endswith(b"Z the end\n") and text.startswith(b"2026-") for text in one.texts.values())


def test_a_kept_log_is_shown_as_the_api_shows_one() -> None:
    text = b"2026-01-01T00:00:01Z one\n2026-01-01T00:00:02Z two words\n"
    assert kept.shown(text, tail=None, timestamps=False) == b"one\ntwo words\n"
    assert kept.shown(text, tail=1, timestamps=True) == b"2026-01-01T00:00:02Z two words\n"
    assert kept.shown(text, tail=0, timestamps=True) == b""
