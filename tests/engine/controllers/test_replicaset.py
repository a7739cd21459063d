"""ReplicaSet: counts, adoption, victims."""

from __future__ import annotations

from controller_world import World
from hypothesis import given
from hypothesis import strategies as st

from argosy.engine.controllers import replicaset
from argosy.engine.controllers.replicaset.plan import victims
from argosy.intent import Create, Delete, Patch
from argosy.kinds import POD, REPLICA_SET
from argosy.meta.json import Obj
from argosy.meta.objects import controller_of, name_of

RS = replicaset.OPERATOR


def replica_set(replicas: int = 2) -> Obj:
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main"}]}},
        },
    }


def test_makes_what_is_missing_and_counts_it() -> None:
    world = World()
    world.put(REPLICA_SET, replica_set(3))
    plan = world.step(RS, "web")
    assert [type(a) for a in plan.actions] == [Create] * 3
    assert [r.code for r in plan.reasons] == ["SuccessfulCreate"] * 3
    pods = world.all(POD)
    assert len({name_of(p) for p in pods}) == 3
    assert all(name_of(p).startswith("web-") and controller_of(p) for p in pods)
    for pod in pods[:2]:
        world.run_pod(pod)
    plan = world.step(RS, "web")
    assert plan.actions == ()
    assert plan.status == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": 1,
    }
    assert world.step(RS, "web").status == plan.status


def test_min_ready_seconds_delay_availability() -> None:
    world = World()
    subject = replica_set(1)
    subject["spec"]["minReadySeconds"] = 10
    world.put(REPLICA_SET, subject)
    world.settle((RS, "web"))
    world.run_pod(world.all(POD)[0])
    world.later(4)
    plan = world.step(RS, "web")
    assert plan.status is not None
    assert plan.status["readyReplicas"] == 1
    assert "availableReplicas" not in plan.status
    assert plan.again_in_seconds == 6
    world.later(6)
    assert (world.step(RS, "web").status or {})["availableReplicas"] == 1


def test_adopts_orphans_and_releases_strangers() -> None:
    world = World()
    world.put(REPLICA_SET, replica_set(2))
    for name in ("lone", "other"):
        labels = {"app": "web"} if name == "lone" else {"app": "x"}
        world.put(POD, {"metadata": {"name": name, "namespace": "default", "labels": labels}, "spec": {}})
    world.settle((RS, "web"))
    assert controller_of(world.get(POD, "lone")) is not None
    assert controller_of(world.get(POD, "other")) is None
    assert len(world.all(POD)) == 3
    world.change(POD, world.get(POD, "lone"), {"metadata": {"labels": {"app": "y"}}})
    plan = world.step(RS, "web")
    assert any(isinstance(a, Patch) for a in plan.actions)
    assert controller_of(world.get(POD, "lone")) is None
    world.settle((RS, "web"))
    assert len(world.all(POD)) == 4


def test_failed_pods_are_replaced_and_deleting_ones_do_not_count() -> None:
    world = World()
    world.put(REPLICA_SET, replica_set(2))
    world.settle((RS, "web"))
    first, second = world.all(POD)
    world.end_pod(first, code=1)
    world.run_pod(second)
    world.delete(POD, ("default", name_of(second)))  # type: ignore[arg-type]
    plan = world.step(RS, "web")
    assert sum(isinstance(a, Create) for a in plan.actions) == 2
    assert (plan.status or {})["terminatingReplicas"] == 1


def test_a_deleted_set_does_nothing() -> None:
    world = World()
    subject = replica_set(2)
    subject["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.put(REPLICA_SET, subject)
    assert world.step(RS, "web").actions == ()


def pod(name: str, **facts: object) -> Obj:
    ready = facts.get("ready", True)
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "creationTimestamp": facts.get("created", "2026-01-01T00:00:00Z"),
            "annotations": {"controller.kubernetes.io/pod-deletion-cost": str(facts.get("cost", 0))},
        },
        "spec": {"nodeName": facts.get("node", "n1")},
        "status": {
            "phase": facts.get("phase", "Running"),
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if ready else "False",
                    "lastTransitionTime": facts.get("since", "2026-01-01T00:00:00Z"),
                }
            ],
        },
    }


def test_victims_in_kubernetes_order() -> None:
    order = [
        pod("unassigned", node="", phase="Pending", ready=False),
        pod("pending", node="n9", phase="Pending", ready=False),
        pod("unready", node="n8", ready=False),
        pod("cheap", node="n7", cost=-5),
        pod("crowded-a", node="n1"),
        pod("crowded-b", node="n1"),
        pod("late", node="n2", since="2026-01-02T00:00:00Z"),
        pod("old", node="n3"),
        pod("dear", node="n4", cost=7),
    ]
    assert [name_of(p) for p in victims(list(reversed(order)), 8)] == [name_of(p) for p in order[:8]]


@given(st.integers(0, 12), st.integers(0, 12))
def test_scaling_always_comes_to_rest(first: int, then: int) -> None:
    world = World()
    subject = world.put(REPLICA_SET, replica_set(first))
    world.settle((RS, "web"))
    assert len(world.all(POD)) == first
    world.change(REPLICA_SET, subject, {"spec": {"replicas": then}})
    plan = world.step(RS, "web")
    assert sum(isinstance(a, Delete) for a in plan.actions) == max(0, first - then)
    world.settle((RS, "web"))
    assert len(world.all(POD)) == then
