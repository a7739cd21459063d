"""A disk that is nearly full: who goes, why, and when nobody has to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from argosy import kinds
from argosy.clock import SystemClock
from argosy.engine.node.hardware import Room
from argosy.engine.node.pressure import Means, Use, explain, ranked, watch
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.probe import best_level, open_runtime
from argosy.meta.conditions import find

from .agent_world import node_over

MI = 1 << 20


def use(name: str, mebibytes: int, requested: str = "", priority: int = 0) -> Use:
    resources = {"requests": {"ephemeral-storage": requested}} if requested else {}
    spec = {"containers": [{"name": "c", "resources": resources}], "priority": priority}
    return Use({"metadata": {"name": name}, "spec": spec}, mebibytes * MI)


def names(*uses: Use) -> list[str]:
    return [each.pod["metadata"]["name"] for each in ranked(uses)]


def test_who_goes_first():
    within, beyond = use("within", 900, "1Gi"), use("beyond", 20, "10Mi")
    assert names(within, beyond) == ["beyond", "within"]
    assert names(use("much", 50), use("more", 60)) == ["more", "much"]
    assert names(use("dear", 90, priority=1000), use("cheap", 10)) == ["cheap", "dear"]
    assert names(use("system", 90, priority=2_000_000_000), use("nothing", 0)) == []


def test_why_is_said_as_the_kubelet_says_it():
    assert explain(use("p", 20), Room(1000 * MI, 2 * MI)) == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 31457280, available: 2048Ki. "
        "Container c was using 20480Ki, request is 0, has larger consumption of ephemeral-storage. "
    )
    assert not Room(1000, 30).full
    assert Room(1000, 29).full


class Disk:
    """A disk whose room depends on who is still there."""

    def __init__(self, *uses: Use, unused_images: int = 0) -> None:
        self.uses = {each.pod["metadata"]["name"]: each for each in uses}
        self.images = unused_images * MI
        self.said: list[str] = []
        self.settled = asyncio.Event()

    def room(self) -> Room:
        held = sum(use.bytes for use in self.uses.values()) + self.images
        found = Room(1000 * MI, 100 * MI - held)
        if not found.full:
            self.settled.set()
        return found

    async def used(self) -> list[Use]:
        return list(self.uses.values())

    async def prune(self) -> None:
        self.images = 0

    async def evict(self, pod: dict, why: str) -> None:
        self.said.append(pod["metadata"]["name"])
        del self.uses[pod["metadata"]["name"]]

    async def watched(self) -> list[str]:
        means = Means(self.room, self.used, self.prune, lambda: self.said.append("told"), self.evict)
        watching = asyncio.create_task(watch(means, pause_seconds=0.0))
        await asyncio.wait_for(self.settled.wait(), 10)
        watching.cancel()
        return self.said


@pytest.mark.parametrize(
    ("uses", "images", "expected"),
    [
        ((use("a", 20), use("b", 30)), 0, []),
        ((use("a", 20), use("b", 30)), 40, ["told"]),
        ((use("a", 20), use("b", 80)), 40, ["told", "b"]),
        ((use("a", 40), use("b", 50), use("c", 60)), 0, ["told", "c", "b"]),
    ],
)
def test_images_go_first_and_then_as_few_pods_as_will_do(uses, images, expected):
    assert asyncio.run(Disk(*uses, unused_images=images).watched()) == expected


@pytest.fixture
def home():
    with TemporaryDirectory(prefix="argosy-node-") as directory:
        yield Path(directory)
        remove_memory(Path(directory))


@pytest.mark.slow
def test_one_pod_goes_and_the_others_stay_once_there_is_room(home):
    async def scenario():
        async with node_over(home, open_runtime(home, best_level()[0]), SystemClock()) as world:
            await world.down()

            def room(_: Path) -> Room:
                files = list(home.glob("pods/*/volumes/v/data"))
                return Room(1000 * MI, 10 * MI if len(files) > 1 else 500 * MI)

            world.disk_room = room
            await world.up()
            for name, size in (("large", 8), ("small", 3)):
                command = ["sh", "-c", f"head -c {size}M /dev/zero > /v/.data; mv /v/.data /v/data; sleep 600"]
                mounts = [{"name": "v", "mountPath": "/v"}]
                container = {"name": "c", "image": "busybox", "command": command, "volumeMounts": mounts}
                await world.create(name, containers=[container], volumes=[{"name": "v", "emptyDir": {}}])
            found = await world.phase("large", "Failed")
            assert found["status"]["reason"] == "Evicted"
            assert find(found, "DisruptionTarget")["reason"] == "TerminationByKubelet"
            assert "The node was low on resource: ephemeral-storage" in found["status"]["message"]
            assert "Attempting to reclaim" in (await world.event("EvictionThresholdMet"))["message"]
            assert (await world.client.get(kinds.POD, "small", "default"))["status"]["phase"] == "Running"

    asyncio.run(scenario())
