"""What is added to a pod that runs: ephemeral containers, and conditions of others that its readiness waits for."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from argosy import kinds
from argosy.engine.node import machine
from argosy.engine.node.plan import Role, plan_of
from argosy.engine.node.records import remove_memory
from argosy.engine.node.state import Tick
from argosy.meta.conditions import find
from argosy.meta.json import dig
from argosy.meta.objects import Key
from argosy.testing.sim_runtime import Life as SimLife
from argosy.testing.simloop import run

from .agent_world import node
from .pods import Life, World, pod_of

POD = Key("default", "p")
GUEST = {"name": "look", "image": "busybox", "command": ["sh"]}


@pytest.fixture
def home():
    with TemporaryDirectory(prefix="argosy-node-") as directory:
        yield Path(directory)
        remove_memory(Path(directory))


def guest_status(pod):
    return dig(pod, "status", "ephemeralContainerStatuses", 0, default={})


def test_a_guest_comes_and_goes_and_means_nothing_to_the_pod(home):
    def lives(spec):
        return SimLife(seconds=5.0, code=3) if spec.name == "look" else SimLife()

    async def scenario():
        async with node(home, lives) as world:
            await world.create("p")
            await world.phase("p", "Running")
            patch = {"spec": {"ephemeralContainers": [GUEST]}}
            await world.client.patch(kinds.POD, POD, patch, subresource="ephemeralcontainers")
            await world.until("p", lambda pod: bool(dig(guest_status(pod), "state", "running")))
            pod = await world.until("p", lambda pod: bool(dig(guest_status(pod), "state", "terminated")))
            assert guest_status(pod)["state"]["terminated"]["exitCode"] == 3
            assert pod["status"]["phase"] == "Running"
            assert find(pod, "Ready")["status"] == "True"
            await world.down()
            await world.up()
            pod = await world.client.get(kinds.POD, "p", "default")
            assert guest_status(pod)["state"]["terminated"]["exitCode"] == 3
            await world.client.delete(kinds.POD, POD)
            await world.gone("p")

    run(scenario())


def test_a_guest_ends_with_its_pod():
    world = World(pod_of([{"name": "c"}], ephemeralContainers=[GUEST]), {"c": [], "look": []})
    world.run(1)
    assert [plan.role for plan in world.plan.containers] == [Role.MAIN, Role.EPHEMERAL]
    assert world.status["phase"] == "Running"
    world.delete(grace=1).run(10)
    assert "signal look#0 15" in [what for _, what in world.story]
    assert world.forgotten


def test_readiness_follows_a_gate(home):
    async def scenario():
        async with node(home) as world:
            await world.create("p", readinessGates=[{"conditionType": "example.com/loaded"}])
            pod = await world.phase("p", "Running")
            assert find(pod, "Ready")["reason"] == "ReadinessGatesNotReady"
            gate = {"type": "example.com/loaded", "status": "True"}
            await world.client.patch(kinds.POD, POD, {"status": {"conditions": [gate]}}, subresource="status",
                                     content_type="application/strategic-merge-patch+json")  # fmt: skip
            await world.until("p", lambda pod: find(pod, "Ready")["status"] == "True")

    run(scenario())


def test_another_image_replaces_the_run_whatever_the_policy():
    world = World(pod_of([{"name": "c", "image": "a"}], restartPolicy="Never"), {"c": [Life(), Life()]})
    world.run(1)
    changed = {**world.pod, "spec": {**world.pod["spec"], "containers": [{"name": "c", "image": "b"}]}}
    world.state, world.pod = machine.joined(world.state, plan_of(changed)), changed
    world.feed(Tick())
    world.run(5)
    assert world.said("Killing") == ["Container c definition changed, will be restarted"]
    status = world.status["containerStatuses"][0]
    assert (status["image"], status["restartCount"], world.status["phase"]) == ("b", 1, "Running")
    assert "running" in status["state"]


def test_another_image_ends_the_wait_for_one_that_cannot_be_had():
    lives = {"c": [Life(fail=("ErrImagePull", "no")), Life(fail=("ErrImagePull", "no")), Life()]}
    world = World(pod_of([{"name": "c", "image": "a"}]), lives)
    world.run(12)
    assert len(world.starts("c")) == 2
    changed = {**world.pod, "spec": {**world.pod["spec"], "containers": [{"name": "c", "image": "b"}]}}
    world.state, world.pod = machine.joined(world.state, plan_of(changed)), changed
    world.feed(Tick())
    world.run(1)
    assert world.status["phase"] == "Running"
