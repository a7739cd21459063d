"""A node that keeps ending a job's pods is cordoned, where that may be, and how to undo it is said."""

from __future__ import annotations

from operator_world import World
from training_jobs import running

from argosy import kinds
from argosy.meta.json import Obj, encode
from argosy.meta.objects import Key
from argosy.operators.pytorchjob.operator import PYTORCH

OWN, ALL = "/api/v1/nodes/n1", "/api/v1/nodes"


def node(name: str, **spec: object) -> Obj:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": f"of-{name}"}, "spec": spec}


def world_of(*nodes: Obj) -> World:
    world = running(PYTORCH, {"Master": 1, "Worker": 1})
    for each in nodes:
        name = each["metadata"]["name"]
        world.objects[kinds.NODE, Key("", name)] = each
        world.readable[f"/api/v1/nodes/{name}"] = encode(each).decode()
    free = [each for each in nodes if not each["spec"].get("unschedulable")]
    world.readable[ALL] = encode({"items": free}).decode()
    return world


def strike(world: World, times: int = 3, code: int = 137) -> None:
    for _ in range(times):
        world.wait(max(world.again or 0, 60))
        world.settle()
        world.pods("Running")
        world.change(kinds.POD, "job-worker-0", {"spec": {"nodeName": "n1"}})
        world.settle()
        world.exit("job-worker-0", code)
        world.settle()


def cordoned(world: World) -> bool:
    return bool(world.objects[kinds.NODE, Key("", "n1")]["spec"].get("unschedulable"))


def test_the_third_time_is_enough() -> None:
    world = world_of(node("n1"), node("n2"))
    strike(world, 2)
    assert not cordoned(world)
    strike(world, 1)
    assert cordoned(world)
    said = world.told("NodeCordoned")
    assert len(set(said)) == 1
    assert said[0].startswith(
        "node n1 ended pods of PyTorchJob job 3 times (at last pod job-worker-0 was killed by signal 9"
    )
    assert said[0].endswith("and takes no more; to undo that: kubectl uncordon n1")
    assert {reason.about[0].kind for reason in world.reasons if reason.about} == {"Node"}
    assert "argosy.dev/node-strikes" not in world.subject["metadata"]["annotations"], "it begins to count anew"


def test_the_last_node_stays_in_use() -> None:
    world = world_of(node("n1"), node("n2", unschedulable=True))
    strike(world)
    assert not cordoned(world)
    assert "no other node takes pods" in world.told("NodeNotCordoned")[0]


def test_who_may_not_look_at_nodes_says_what_to_do() -> None:
    world = world_of(node("n1"), node("n2"))
    world.readable.clear()
    strike(world)
    assert not cordoned(world)
    assert "kubectl cordon n1" in world.told("NodeNotCordoned")[0]


def test_a_job_may_forbid_it_and_programs_are_to_blame_for_themselves() -> None:
    world = world_of(node("n1"), node("n2"))
    world.edit({"metadata": {"annotations": {"argosy.dev/cordon": "never"}}})
    strike(world, 4)
    assert not cordoned(world)
    world = world_of(node("n1"), node("n2"))
    world.edit({"metadata": {"annotations": {"argosy.dev/user-errors": "retry"}}})
    strike(world, 4, code=1)
    assert not cordoned(world)
