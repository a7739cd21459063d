"""What a pod may write: the rules, the adding up, and the eviction."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from argosy.clock import SystemClock
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.probe import best_level, open_runtime
from argosy.engine.node.runtime.spec import Level
from argosy.engine.node.state import Evicted
from argosy.engine.node.storage import Written, excess, limits_of, measure
from argosy.meta.conditions import find

from .agent_world import node_over
from .pods import World, pod_of

MI = 1 << 20


def pod(limit: str | None = "1Mi", size: str | None = None, medium: str = "") -> dict:
    resources = {"limits": {"ephemeral-storage": limit}} if limit else {}
    empty = {"sizeLimit": size, "medium": medium} if size else {"medium": medium}
    return {
        "spec": {"containers": [{"name": "c", "resources": resources}], "volumes": [{"name": "v", "emptyDir": empty}]}
    }


def test_the_rules():
    assert limits_of(pod(None)) is None
    limits = limits_of(pod("1Mi", "2Mi"))
    assert limits is not None
    assert (limits.containers, limits.volumes, limits.total) == ({"c": MI}, {"v": 2 * MI}, MI)
    assert excess(limits, Written({"c": MI}, {"v": 0}, MI)) == ""
    assert 'EmptyDir volume "v" exceeds the limit "2Mi"' in excess(limits, Written({}, {"v": 3 * MI}, 0))
    assert "total limit of containers 1Mi" in excess(limits, Written({"c": 0}, {"v": 0}, 2 * MI))
    only = limits_of({"spec": {"containers": [{"name": "a"}, *pod("1Mi")["spec"]["containers"]]}})
    assert only is not None
    assert 'Container c exceeded its local ephemeral storage limit "1Mi"' in excess(
        only, Written({"c": MI + 1}, {}, 9 * MI)
    )


def test_what_was_written_is_added_up(tmp_path):
    layer = tmp_path / "runtime" / "my-c-0.root" / "deep"
    layer.mkdir(parents=True)
    (layer / "file").write_bytes(bytes(MI))
    (tmp_path / "my-c-0.log").write_bytes(bytes(MI))
    (tmp_path / "my-c-0.log.1").write_bytes(bytes(MI))
    volume = tmp_path / "volumes" / "v"
    volume.mkdir(parents=True)
    (volume / "file").write_bytes(bytes(MI))
    written = measure(pod(), tmp_path, {"v": volume})
    assert 3 * MI <= written.containers["my-c"] < 3.5 * MI
    assert MI <= written.volumes["v"] < 1.5 * MI
    assert 4 * MI <= written.on_disk < 5 * MI
    assert measure(pod(medium="Memory"), tmp_path, {"v": volume}).on_disk < 3.5 * MI


@pytest.mark.parametrize("short", [True, False])
def test_an_evicted_pod_fails_at_once_and_says_why(short):
    world = World(pod_of([{"name": "c"}], terminationGracePeriodSeconds=600), {"c": []})
    world.run(1)
    world.feed(Evicted("Evicted", "too much. ", disruption=short))
    world.run(5)
    assert (world.status["phase"], world.status["reason"], world.status["message"]) == (
        "Failed",
        "Evicted",
        "too much. ",
    )
    disrupted = find(world.pod, "DisruptionTarget")
    assert (disrupted["reason"] == "TerminationByKubelet") if short else disrupted is None


@pytest.fixture
def home():
    with TemporaryDirectory(prefix="argosy-node-") as directory:
        yield Path(directory)
        remove_memory(Path(directory))


# Where it can be bounded nobody has to be evicted: what lies in memory at L1 and L2 is full when it is full.
@pytest.mark.parametrize(("medium", "level"), [("", best_level()[0]), ("Memory", Level.L0)])
def test_a_pod_that_fills_its_volume_is_evicted(home, medium, level):
    async def scenario():
        async with node_over(home, open_runtime(home, level), SystemClock()) as world:
            script = "dd if=/dev/zero of=/data/x bs=1M count=4; sleep 600"
            container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script]}
            container["volumeMounts"] = [{"name": "v", "mountPath": "/data"}]
            volumes = [{"name": "v", "emptyDir": {"sizeLimit": "1Mi", "medium": medium}}]
            await world.create("p", containers=[container], volumes=volumes)
            found = await world.phase("p", "Failed")
            assert found["status"]["reason"] == "Evicted"
            assert 'EmptyDir volume "v"' in found["status"]["message"]

    asyncio.run(scenario())


@pytest.mark.skipif(best_level()[0] is Level.L0, reason="nothing can be mounted here")
def test_a_volume_in_memory_takes_what_it_may_and_no_more(home):
    async def scenario():
        async with node_over(home, open_runtime(home, best_level()[0]), SystemClock()) as world:
            script = "dd if=/dev/zero of=/data/x bs=1M count=4 2>/dev/null; exit $(stat -c %s /data/x | cut -c1-2)"
            container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script]}
            container["volumeMounts"] = [{"name": "v", "mountPath": "/data"}]
            volumes = [{"name": "v", "emptyDir": {"sizeLimit": "1Mi", "medium": "Memory"}}]
            await world.create("p", containers=[container], volumes=volumes, restartPolicy="Never")
            found = await world.phase("p", "Failed")
            (status,) = found["status"]["containerStatuses"]
            assert status["state"]["terminated"]["exitCode"] == 10  # of 1048576 bytes

    asyncio.run(scenario())
