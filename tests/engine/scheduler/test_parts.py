"""What decisions are made of: requests, terms, counts, groups of waiting pods."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduler_world import info, node, pod, snapshot

from argosy.engine.scheduler.messages import Unfit, readable
from argosy.engine.scheduler.podinfo import read, requests_of
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.engine.scheduler.terms import fits_node_labels, matches_term, tolerates, untolerated
from argosy.engine.scheduler.waiting import Waiting
from argosy.meta.json import Obj


def container(cpu: str, restart: str = "") -> Obj:
    made: Obj = {"resources": {"requests": {"cpu": cpu}}}
    return made | ({"restartPolicy": restart} if restart else {})


@pytest.mark.parametrize(
    ("spec", "millis"),
    [
        ({"containers": [container("1"), container("500m")]}, 1500),
        ({"containers": [container("1")], "initContainers": [container("3")]}, 3000),
        ({"containers": [container("1")], "initContainers": [container("1", "Always"), container("3")]}, 4000),
        ({"containers": [container("1")], "initContainers": [container("3"), container("1", "Always")]}, 3000),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "4"}}}, 4000),
        ({"containers": [{}]}, None),
    ],
)
def test_requests(spec: Obj, millis: int | None) -> None:
    assert requests_of(spec).get("cpu") == millis


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "a", "operator": "In", "values": ["1", "2"]}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "NotIn", "values": ["1"]}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "b", "operator": "DoesNotExist"}, True),
        ({"key": "a", "operator": "Gt", "values": ["0"]}, True),
        ({"key": "a", "operator": "Lt", "values": ["1"]}, False),
        ({"key": "b", "operator": "Gt", "values": ["0"]}, False),
    ],
)
def test_terms(expression: Obj, fits: bool) -> None:
    assert matches_term({"matchExpressions": [expression]}, {"a": "1"}, "n") is fits
    assert not matches_term({}, {"a": "1"}, "n")
    assert matches_term({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}, {}, "n")
    assert fits_node_labels({"nodeSelector": {"a": "1"}}, {"a": "1"}, "n")


def test_tolerations() -> None:
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    assert tolerates({"operator": "Exists"}, taint)
    assert tolerates({"key": "k", "value": "v"}, taint)
    assert not tolerates({"key": "k", "value": "w"}, taint)
    assert not tolerates({"key": "k", "operator": "Exists", "effect": "NoExecute"}, taint)
    assert untolerated([], [{**taint, "effect": "PreferNoSchedule"}]) is None


def test_amounts_for_people() -> None:
    assert [readable("cpu", 1500), readable("cpu", 64000), readable("memory", 3 * 2**29 * 1000)] == [
        "1500m",
        "64",
        "1.5Gi",
    ]


def spread(labels: dict[str, str]) -> Obj:
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": "zone"}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def recounted(state: Snapshot) -> Snapshot:
    """The same state, added up from the beginning."""
    fresh = Snapshot()
    for each in state.nodes.values():
        assert each.obj is not None
        fresh.set_node(each.obj)
    for name, each in state._known.items():
        for placed in each.pods.values():
            fresh.assume(placed, name)
    return fresh


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_counts_are_what_counting_anew_would_give(seed: int) -> None:
    chance = random.Random(seed)
    state = snapshot(node("a", labels={"zone": "x"}))
    pods = [info(f"p{i}", "1", labels={"app": chance.choice("st")}, affinity=spread({"app": "s"})) for i in range(6)]
    term = pods[0].anti[0]
    state.matching(term)
    for _ in range(30):
        match chance.randrange(5):
            case 0:
                state.set_node(node(chance.choice("abc"), labels={"zone": chance.choice("xy")}))
            case 1:
                state.drop_node(chance.choice("abc"))
            case 2 | 3:
                state.assume(chance.choice(pods), chance.choice("abc"))
            case _:
                with state.trial():
                    state.forget(chance.choice(pods).uid)
                    state.assume(chance.choice(pods), chance.choice("abc"))
                if chance.random() < 0.5:
                    state.forget(chance.choice(pods).uid)
        fresh = recounted(state)
        assert state.matching(term) == fresh.matching(term)
        assert state.repelled() == fresh.repelled()
        assert state.priorities == fresh.priorities
        assert {n: {k: v for k, v in i.used.items() if v} for n, i in state.nodes.items()} == {
            n: i.used for n, i in fresh.nodes.items()
        }


def test_those_who_cannot_be_placed_rest_until_something_changes() -> None:
    state = snapshot(node("a"))
    waiting = Waiting()
    pods = [info(f"p{i}", "9") for i in range(100)]
    for each in pods:
        waiting.add(each)
    assert len(waiting.candidates(state, 500)) == 100
    waiting.failed(pods[0], state)
    assert waiting.candidates(state, 500) == []
    newcomer = info("q", "9")
    waiting.add(newcomer)
    assert waiting.candidates(state, 500) == [], "its kin have just failed"
    assert len(waiting.fellows(newcomer)) == 101
    state.set_node(node("b", cpu="99"))
    assert len(waiting.candidates(state, 500)) == 32, "a few are tried first"
    waiting.placed(pods[0])
    assert len(waiting.candidates(state, 500)) == 101
    for each in [*pods, newcomer]:
        waiting.remove(each.uid)
    assert len(waiting) == 0


def test_who_joins_a_group_that_rests_is_told_its_reason_once() -> None:
    state, waiting, why = snapshot(node("a")), Waiting(), Unfit("0/1 nodes are available")
    first, second, third = info("p0", "9"), info("p1", "9"), info("p2", "9")
    waiting.add(first)
    assert waiting.newcomers() == [], "it is tried itself"
    waiting.failed(first, state, why)
    waiting.add(second)
    waiting.add(second)
    assert waiting.newcomers() == [(second, why)]
    waiting.add(second)
    assert waiting.newcomers() == [], "it changed, and has heard"
    waiting.failed(first, state)
    waiting.add(third)
    assert waiting.newcomers() == [], "its kin wait for moments only"
    waiting.add(info("p3", "9"))
    waiting.remove(info("p3", "9").uid)
    waiting.placed(first)
    assert waiting.newcomers() == []


def test_a_gang_that_gains_a_member_is_tried_again() -> None:
    state = snapshot(node("a"))
    waiting = Waiting()
    labels = {"scheduling.x-k8s.io/pod-group": "g", "argosy.dev/gang-size": "2"}
    first = info("g0", labels=labels)
    waiting.add(first)
    waiting.failed(first, state)
    assert waiting.candidates(state, 10) == []
    waiting.add(info("g1", labels=labels))
    assert len(waiting.candidates(state, 10)) == 2


def test_signatures() -> None:
    plain = pod("a", "1", "1Gi")
    assert read(plain).signature == read(pod("b", "1", "1Gi", labels={"x": "y"})).signature
    assert read(plain).signature != read(pod("c", "2", "1Gi")).signature
    assert read(plain).signature != read(pod("d", "1", "1Gi", nodeSelector={"a": "b"})).signature
