"""PodDisruptionBudgets; nodes that fall silent."""

from __future__ import annotations

import pytest
from controller_world import World

from argosy.clock import rfc3339, rfc3339_micro
from argosy.engine.controllers import budget, node
from argosy.engine.controllers.node.plan import evictions
from argosy.kinds import LEASE, NODE, POD, POD_DISRUPTION_BUDGET, REPLICA_SET
from argosy.meta.conditions import find
from argosy.meta.json import Obj

B, N = budget.OPERATOR, node.OPERATOR


def budget_world(ready: int, unready: int = 0, replicas: int | None = None, **spec: object) -> World:
    world = World()
    labels = {"app": "web"}
    subject = {"selector": {"matchLabels": labels}, **spec}
    world.put(POD_DISRUPTION_BUDGET, {"metadata": {"name": "b", "namespace": "default"}, "spec": subject})
    owner: Obj = {}
    if replicas is not None:
        template = {"metadata": {"labels": labels}}
        rs = world.put(
            REPLICA_SET,
            {"metadata": {"name": "rs", "namespace": "default"}, "spec": {"replicas": replicas, "template": template}},
        )
        reference = {"uid": rs["metadata"]["uid"], "kind": "ReplicaSet", "name": "rs", "controller": True}
        owner = {"ownerReferences": [reference]}
    for number in range(ready + unready):
        meta = {"name": f"p{number}", "namespace": "default", "labels": labels, **owner}
        world.run_pod(world.put(POD, {"metadata": meta, "spec": {}}), ready=number < ready)
    return world


@pytest.mark.parametrize(
    ("ready", "unready", "replicas", "spec", "expected"),
    [
        (3, 0, None, {"minAvailable": 2}, (1, 2, 3)),
        (2, 1, None, {"minAvailable": 2}, (0, 2, 3)),
        (3, 0, 4, {"minAvailable": "50%"}, (1, 2, 4)),
        (3, 0, 3, {"maxUnavailable": 1}, (1, 2, 3)),
        (2, 0, 3, {"maxUnavailable": 1}, (0, 2, 3)),
        (4, 0, 4, {"maxUnavailable": "30%"}, (2, 2, 4)),
        (0, 0, None, {"minAvailable": 0}, (0, 0, 0)),
    ],
)
def test_how_many_may_go(
    ready: int, unready: int, replicas: int | None, spec: Obj, expected: tuple[int, int, int]
) -> None:
    world = budget_world(ready, unready, replicas, **spec)
    status = world.step(B, "b").status or {}
    assert (status["disruptionsAllowed"], status["desiredHealthy"], status["expectedPods"]) == expected
    assert status["currentHealthy"] == ready
    assert world.step(B, "b").status == status


def test_an_eviction_that_was_granted_counts_until_it_happens() -> None:
    world = budget_world(3, minAvailable=2)
    world.step(B, "b")
    subject = world.get(POD_DISRUPTION_BUDGET, "b")
    world.change(POD_DISRUPTION_BUDGET, subject, {"status": {"disruptedPods": {"p0": rfc3339(world.now)}}})
    plan = world.step(B, "b")
    assert (plan.status or {})["disruptionsAllowed"] == 0
    assert plan.again_in_seconds == 120
    world.later(121)
    assert (world.step(B, "b").status or {})["disruptionsAllowed"] == 1


def node_world(**facts: object) -> World:
    world = World()
    stamp = rfc3339(world.now)
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
    subject = {"metadata": {"name": "n", **facts}, "spec": {}, "status": {"conditions": [ready]}}
    world.put(NODE, subject)
    lease = {"metadata": {"name": "n", "namespace": "kube-node-lease"}, "spec": {"renewTime": rfc3339_micro(world.now)}}
    world.put(LEASE, lease)
    return world


def taints(world: World) -> list[tuple[str, str]]:
    return [(t["key"].rpartition("/")[2], t["effect"]) for t in world.get(NODE, "n")["spec"].get("taints") or ()]


def test_a_node_that_falls_silent() -> None:
    world = node_world()
    assert world.step(N, "n").again_in_seconds == 40
    world.later(30)
    world.change(LEASE, world.get(LEASE, "n", "kube-node-lease"), {"spec": {"renewTime": rfc3339_micro(world.now)}})
    world.later(30)
    assert world.step(N, "n").actions == ()
    world.later(11)
    plan = world.step(N, "n")
    assert [r.code for r in plan.reasons] == ["NodeNotReady"]
    ready = find(world.get(NODE, "n"), "Ready") or {}
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert taints(world) == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert world.step(N, "n").actions == ()
    world.change(NODE, world.get(NODE, "n"), {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    world.change(LEASE, world.get(LEASE, "n", "kube-node-lease"), {"spec": {"renewTime": rfc3339_micro(world.now)}})
    world.step(N, "n")
    assert taints(world) == []


def test_a_node_counts_as_dead_when_its_own_lease_has_run_out() -> None:
    world = node_world()
    world.change(LEASE, world.get(LEASE, "n", "kube-node-lease"), {"spec": {"leaseDurationSeconds": 3}})
    assert world.step(N, "n").again_in_seconds == 3
    world.later(3.5)
    assert [r.code for r in world.step(N, "n").reasons] == ["NodeNotReady"]


def test_pretended_nodes_never_fall_silent() -> None:
    world = node_world(annotations={"kwok.x-k8s.io/node": "fake"})
    world.later(1000)
    assert world.step(N, "n").actions == ()
    assert (find(world.get(NODE, "n"), "Ready") or {})["status"] == "True"


def test_taints_follow_conditions_and_keep_those_of_others() -> None:
    world = node_world()
    conditions = [{"type": "Ready", "status": "False"}, {"type": "MemoryPressure", "status": "True"}]
    mine = {"key": "gpu", "effect": "NoSchedule"}
    world.change(
        NODE,
        world.get(NODE, "n"),
        {"spec": {"unschedulable": True, "taints": [mine]}, "status": {"conditions": conditions}},
    )
    world.step(N, "n")
    assert set(taints(world)) == {
        ("gpu", "NoSchedule"),
        ("not-ready", "NoSchedule"),
        ("not-ready", "NoExecute"),
        ("unschedulable", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
    }


def test_who_leaves_a_tainted_node() -> None:
    world = node_world()
    stamp = rfc3339(world.now)
    tainted = {"metadata": {"name": "n"}, "spec": {"taints": [{"key": "x", "effect": "NoExecute", "timeAdded": stamp}]}}

    def pod(name: str, *tolerations: Obj) -> Obj:
        return {"metadata": {"name": name, "namespace": "d"}, "spec": {"tolerations": list(tolerations)}}

    pods = [
        pod("none"),
        pod("ever", {"key": "x", "operator": "Exists"}),
        pod("while", {"key": "x", "operator": "Exists", "tolerationSeconds": 300}),
    ]
    world.later(100)
    found = {e.pod["metadata"]["name"]: e.in_seconds for e in evictions(tainted, pods, world.now)}
    assert found == {"none": 0.0, "while": 200.0}
