"""Random lives of a job: whatever happens, in whatever order, some things always hold."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from operator_world import World

from argosy import kinds
from argosy.meta.json import Obj
from argosy.operators.gang.conditions import is_finished
from argosy.operators.pytorchjob.operator import operator
from argosy.operators.settings import OperatorSettings

CONTAINERS = [{"name": "pytorch", "image": "x"}]
events = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(0, 3)),
        st.tuples(st.just("exit"), st.integers(0, 3), st.sampled_from([0, 1, 134, 137, 143])),
        st.tuples(st.just("evict"), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.integers(0, 3)),
        st.tuples(st.just("vanish"), st.integers(0, 3)),
        st.tuples(st.just("bury")),
        st.tuples(st.just("suspend"), st.booleans()),
        st.tuples(st.just("scale"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.sampled_from([1, 11, 700])),
    ),
    max_size=20,
)
jobs = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(["Always", "OnFailure", "Never", "ExitCode"]),
        "master": st.booleans(),
        "workers": st.integers(1, 3),
        "limit": st.sampled_from([None, 0, 2]),
        "clean": st.sampled_from(["All", "Running", "None"]),
        "scope": st.sampled_from(["gang", "pod"]),
        "elastic": st.booleans(),
        "slow": st.booleans(),
    }
)


def subject(job: Obj) -> Obj:
    replica = {"restartPolicy": job["policy"], "template": {"spec": {"containers": CONTAINERS}}}
    replicas = {"Worker": {**replica, "replicas": job["workers"]}} | ({"Master": replica} if job["master"] else {})
    policy: Obj = {"cleanPodPolicy": job["clean"]}
    if job["limit"] is not None:
        policy["backoffLimit"] = job["limit"]
    elastic = {"elasticPolicy": {"minReplicas": 1, "maxReplicas": 3}} if job["elastic"] else {}
    return {
        "metadata": {"name": "ddp", "annotations": {"argosy.dev/restart-scope": job["scope"]}},
        "spec": {"pytorchReplicaSpecs": replicas, "runPolicy": policy, **elastic},
    }


def happen(w: World, event: tuple) -> None:
    names = w.names(kinds.POD)
    match event:
        case ("wait", seconds):
            w.wait(seconds)
        case ("bury",):
            w.bury()
        case ("suspend", value):
            w.edit({"spec": {"runPolicy": {"suspend": value}}})
        case ("scale", count):
            w.edit({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": count}}}})
        case (_, number, *_) if number >= len(names):
            return
        case ("run", number):
            if w.get(kinds.POD, names[number])["status"]["phase"] == "Pending":
                w.pods("Running", names[number])
        case ("exit", number, code):
            if w.get(kinds.POD, names[number])["status"]["phase"] == "Running":
                w.exit(names[number], code)
        case ("evict", number):
            w.change(kinds.POD, names[number], {"status": {"phase": "Failed", "reason": "Evicted", "message": "disk"}})
        case ("delete", number):
            w.change(kinds.POD, names[number], {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
        case ("vanish", number):
            w.remove(kinds.POD, names[number])


def check(w: World, job: Obj, before: tuple[int, bool]) -> tuple[int, bool]:
    assert w.subject is not None
    epoch = int(w.subject["metadata"]["annotations"].get("argosy.dev/restart-epoch", 0))
    was_epoch, was_finished = before
    assert epoch >= was_epoch
    if job["limit"] is not None:
        excused = int(w.subject["metadata"]["annotations"].get("argosy.dev/restarts-excused", 0))
        assert epoch - excused <= job["limit"], "no more restarts than allowed"
    finished = is_finished(w.status["conditions"])
    assert finished or not was_finished, "nothing leads out of the end"
    assert not (was_finished and epoch > was_epoch)
    types = [c["type"] for c in w.status["conditions"]]
    assert len(types) == len(set(types))
    assert not {"Running", "Restarting"} <= set(types), "they replace each other"
    if finished:
        assert types[-1] in ("Succeeded", "Failed")
        assert ("Running", "True") not in w.conditions()
        assert "completionTime" in w.status
    alive = [p for p in w.of(kinds.POD) if not p["metadata"].get("deletionTimestamp")]
    if job["scope"] == "gang" and not finished:
        assert len({p["metadata"]["labels"]["argosy.dev/restart-epoch"] for p in alive}) <= 1, "one epoch at a time"
        assert not [p for p in alive if p["status"]["phase"] == "Failed" and job["policy"] == "OnFailure"]
    if w.subject["spec"]["runPolicy"].get("suspend") and not finished:
        assert alive == []
    return epoch, finished


@settings(max_examples=200, deadline=None)
@given(jobs, events)
def test_whatever_happens(job: Obj, happenings: list[tuple]) -> None:
    w = World(operator(OperatorSettings()), subject(job), slow_deletes=job["slow"])
    state = (0, False)
    w.settle()
    for event in happenings:
        happen(w, event)
        w.settle()
        state = check(w, job, state)
    if not state[1] and not w.subject["spec"]["runPolicy"].get("suspend"):  # left in peace, it goes on
        for _ in range(3):
            w.bury()
            w.wait(301)
            w.settle()
        if not is_finished(w.status["conditions"]):
            wanted = sum(r.get("replicas", 1) for r in w.subject["spec"]["pytorchReplicaSpecs"].values())
            assert len(w.of(kinds.POD)) == wanted, "every slot has its pod in the end"
