"""HorizontalPodAutoscaler: the algebra, and what the plan makes of it."""

from __future__ import annotations

import asyncio

import pytest
from controller_world import World
from hypothesis import given
from hypothesis import strategies as st

from argosy.clock import SystemClock, rfc3339_micro
from argosy.engine.controllers import autoscaler
from argosy.engine.controllers.autoscaler.algebra import (
    DOWN,
    UP,
    Bounds,
    Past,
    Policy,
    Rules,
    Usage,
    by_average,
    by_utilization,
    desired_replicas,
)
from argosy.engine.controllers.autoscaler.metrics import recommend
from argosy.errors import NotFound
from argosy.intent import Plan
from argosy.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER
from argosy.meta.conditions import find
from argosy.meta.json import Obj, encode

H = autoscaler.operator(SystemClock())


def usage(used: list[float | None], request: float = 1.0, unready: int = 0) -> Usage:
    names = [f"p{i}" for i in range(len(used))]
    return Usage(
        {n: u for n, u in zip(names, used, strict=True) if u is not None},
        dict.fromkeys(names, request),
        frozenset(names[len(names) - unready :]) if unready else frozenset(),
    )


@pytest.mark.parametrize(
    ("used", "target", "expected"),
    [
        ([0.9, 0.9, 0.9], 30, 9),
        ([0.5, 0.5], 50, 2),
        ([0.54, 0.54], 50, 2),
        ([0.56, 0.56], 50, 3),
        ([0.1, 0.1, 0.1], 50, 1),
        ([1.0, None], 50, 2),
        ([0.1, None], 50, 2),
        ([0.0, 0.0], 50, 0),
    ],
)
def test_utilization(used: list[float | None], target: float, expected: int) -> None:
    assert by_utilization(usage(used), len(used), target, 0.1).replicas == expected


def test_unready_pods_count_as_idle_when_going_up() -> None:
    assert by_utilization(usage([2.0, 0.0], unready=1), 2, 50, 0.1).replicas == 4
    assert by_average(usage([30.0, 30.0]), 2, 10, 0.1).replicas == 6
    with pytest.raises(ValueError, match="request"):
        by_utilization(Usage({"a": 1.0}, {}), 1, 50, 0.1)
    with pytest.raises(ValueError, match="reports"):
        by_average(Usage({}, {"a": 1.0}), 1, 50, 0.1)


def test_default_speed_limits() -> None:
    bounds = Bounds(2, 1, 100)
    assert desired_replicas(50, bounds, Past()).replicas == 6
    assert desired_replicas(50, bounds, Past()).limited == "ScaleUpLimit"
    assert desired_replicas(50, Bounds(10, 1, 100), Past()).replicas == 20
    assert desired_replicas(50, Bounds(10, 1, 100), Past(changes=[(5, 4)])).replicas == 12
    assert desired_replicas(50, Bounds(10, 1, 100), Past(changes=[(16, 4)])).replicas == 20


def test_going_down_waits_for_the_window() -> None:
    bounds = Bounds(10, 1, 100)
    recent = Past(recommendations=[(10, 8), (200, 9), (400, 10)])
    held = desired_replicas(2, bounds, recent)
    assert (held.replicas, held.able) == (9, "ScaleDownStabilized")
    assert desired_replicas(2, bounds, Past()).replicas == 2
    quick = Rules(0, DOWN.policies)
    assert desired_replicas(2, bounds, recent, UP, quick).replicas == 2
    slow = Rules(0, (Policy(False, 1, 60), Policy(True, 10, 60)), "Min")
    assert desired_replicas(2, bounds, Past(), UP, slow).replicas == 9
    assert desired_replicas(2, bounds, Past(), UP, Rules(0, (), "Disabled")).replicas == 10


@given(
    st.integers(0, 50),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(0, 20),
    st.lists(st.tuples(st.floats(0, 600), st.integers(0, 50)), max_size=5),
)
def test_always_within_bounds(proposed: int, current: int, low: int, span: int, past: list[tuple[float, int]]) -> None:
    bounds = Bounds(current, low, low + span)
    found = desired_replicas(proposed, bounds, Past(recommendations=past)).replicas
    assert low <= found <= low + span
    if low <= current <= low + span and not past:
        assert min(current, proposed, low) <= found <= max(current, proposed, low)


def make(**spec: object) -> Obj:
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "metadata": {"name": "h", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, "metrics": metrics, **spec},
    }


def pods(count: int, cpu: str = "100m") -> list[Obj]:
    return [{"name": f"p{i}", "ready": True, "requests": {"m": {"cpu": cpu}}} for i in range(count)]


def use(*amounts: str) -> list[Obj]:
    return [
        {"metadata": {"name": f"p{i}"}, "containers": [{"name": "m", "usage": {"cpu": amount}}]}
        for i, amount in enumerate(amounts)
    ]


def probed(replicas: int, answer: Obj, **past: object) -> Obj:
    return {
        "scale": {"spec": {"replicas": replicas}, "status": {"replicas": replicas}},
        "plural": "deployments",
        "answer": answer,
        "past": {"recommendations": [], "changes": [], **past},
    }


def world(replicas: int) -> World:
    made = World()
    made.put(HORIZONTAL_POD_AUTOSCALER, make())
    made.put(DEPLOYMENT, {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": replicas}})
    return made


def reason(made: World, type: str) -> tuple[str, str]:
    found = find(made.get(HORIZONTAL_POD_AUTOSCALER, "h"), type) or {}
    return str(found.get("status")), str(found.get("reason"))


def test_recommendations_from_metrics() -> None:
    answer = recommend(make(), {"pods": pods(2), "use": use("100m", "100m")}, 2)
    assert answer["replicas"] == 4
    assert answer["current"] == [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "current": {"averageUtilization": 100, "averageValue": "100m"}},
        }
    ]
    none = recommend(make(), {"pods": pods(2), "use": []}, 2)
    assert none["reason"] == "FailedGetResourceMetric"
    unknown = make(metrics=[{"type": "Stars", "stars": {}}])
    assert recommend(unknown, {}, 2)["reason"] == "InvalidMetricSourceType"


def served(type: str, target: Obj, **more: object) -> Obj:
    source = {"metric": {"name": "requests"}, "target": target, **more}
    return make(metrics=[{"type": type, type.lower(): source}])


QUEUE = {"apiVersion": "example.com/v1", "kind": "Queue", "name": "work"}


@pytest.mark.parametrize(
    ("autoscaler", "values", "expected", "current"),
    [
        (served("Pods", {"type": "AverageValue", "averageValue": "10"}), {"p0": 30.0, "p1": 10.0}, 4, {"averageValue": "20"}),
        (served("Object", {"type": "Value", "value": "100"}, describedObject=QUEUE), {"work": 250.0}, 5, {"value": "250"}),
        (served("Object", {"type": "AverageValue", "averageValue": "50"}, describedObject=QUEUE), {"work": 250.0}, 5,
         {"averageValue": "125"}),
        (served("External", {"type": "Value", "value": "10"}), {"0": 4.0, "1": 6.4}, 2, {"value": "10400m"}),
        (served("External", {"type": "AverageValue", "averageValue": "5"}), {"0": 14.0}, 3, {"averageValue": "7"}),
    ],
)  # fmt: skip
def test_metrics_that_an_adapter_serves(autoscaler: Obj, values: Obj, expected: int, current: Obj) -> None:
    answer = recommend(autoscaler, {"pods": pods(2), "served": {"0": {"values": values}}}, 2)
    assert answer["replicas"] == expected
    (seen,) = answer["current"]
    assert seen[seen["type"].lower()]["current"] == current


def test_the_metric_that_asks_for_most_is_named() -> None:
    target = {"type": "AverageValue", "averageValue": "1"}
    autoscaler = make()
    autoscaler["spec"]["metrics"] += served("External", target)["spec"]["metrics"]
    autoscaler["spec"]["metrics"] += served("Object", target, describedObject=QUEUE)["spec"]["metrics"]
    found = {"pods": pods(2), "use": use("50m", "50m")}
    for external, about, by in (
        (1.0, 1.0, "cpu resource utilization (percentage of request)"),
        (7.0, 1.0, "external metric requests()"),
        (7.0, 8.0, "Queue metric requests"),
    ):
        told = {"1": {"values": {"0": external}}, "2": {"values": {"work": about}}}
        assert recommend(autoscaler, {**found, "served": told}, 2)["by"] == by


def test_where_no_adapter_serves_them_the_condition_says_so() -> None:
    asked: list[str] = []

    async def fetch(path: str) -> bytes:
        asked.append(path)
        if path.endswith("/scale"):
            return encode({"spec": {"replicas": 2}, "status": {"replicas": 2, "selector": "app=web"}})
        if "metrics" in path:
            raise NotFound("the server could not find the requested resource")
        return encode({"items": [], "resources": [{"name": "queues", "kind": "Queue"}]})

    custom = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default"
    wanted = {
        "Pods": f"{custom}/pods/*/requests?labelSelector=app%3Dweb",
        "Object": f"{custom}/queues.example.com/work/requests",
        "External": "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/requests",
    }
    for type, path in wanted.items():
        more = {"describedObject": QUEUE} if type == "Object" else {}
        assert H.probe is not None
        target = {"type": "AverageValue", "averageValue": "1"}
        found = asyncio.run(H.probe(fetch, served(type, target, **more)))  # type: ignore[arg-type]
        assert path in asked
        assert found["answer"]["reason"] == f"FailedGet{type}Metric"
        assert "metrics API: the server could not find" in found["answer"]["error"]


def test_scales_and_says_so() -> None:
    made = world(2)
    by = "cpu resource utilization (percentage of request)"
    plan = made.step(H, "h", probed=probed(2, {"replicas": 4, "by": by, "current": []}))
    assert made.get(DEPLOYMENT, "web")["spec"]["replicas"] == 4
    assert [(r.code, r.message) for r in plan.reasons] == [
        ("SuccessfulRescale", f"New size: 4; reason: {by} above target")
    ]
    assert reason(made, "AbleToScale") == ("True", "SucceededRescale")
    assert reason(made, "ScalingActive") == ("True", "ValidMetricFound")
    status = made.get(HORIZONTAL_POD_AUTOSCALER, "h")["status"]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 4)
    assert status["lastScaleTime"]
    assert made.step(H, "h", probed=probed(4, {"replicas": 4, "current": []})).actions == ()
    assert reason(made, "ScalingLimited") == ("False", "DesiredWithinRange")
    made.step(H, "h", probed=probed(4, {"replicas": 9, "current": []}))
    assert made.get(DEPLOYMENT, "web")["spec"]["replicas"] == 5
    assert reason(made, "ScalingLimited") == ("True", "TooManyReplicas")


def test_it_does_not_act_twice_on_one_look() -> None:
    made = world(2)
    look = probed(2, {"replicas": 4, "current": []}) | {"at": rfc3339_micro(made.now)}
    assert made.step(H, "h", probed=look).actions
    for seconds in (0, 3):
        made.later(seconds)
        assert made.step(H, "h", probed=look) == Plan()
    again = probed(4, {"replicas": 5, "current": []}) | {"at": rfc3339_micro(made.now)}
    assert made.step(H, "h", probed=again).actions


def test_bounds_hold_without_metrics() -> None:
    made = world(9)
    made.step(H, "h", probed=probed(9, {"error": "none"}))
    assert made.get(DEPLOYMENT, "web")["spec"]["replicas"] == 5


def test_failures_are_told() -> None:
    made = world(2)
    assert made.step(H, "h").status is None
    made.step(H, "h", probed={"error": "not found", "reason": "FailedGetScale"})
    assert reason(made, "AbleToScale") == ("False", "FailedGetScale")
    made.step(H, "h", probed=probed(2, {"reason": "FailedGetResourceMetric", "error": "no metrics"}))
    assert reason(made, "ScalingActive") == ("False", "FailedGetResourceMetric")
    made.step(H, "h", probed=probed(0, {}))
    assert reason(made, "ScalingActive") == ("False", "ScalingDisabled")
