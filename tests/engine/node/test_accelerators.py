"""NVIDIA devices: what the driver's tool says, who gets which, and what a container sees of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from argosy import kinds
from argosy.clock import SystemClock
from argosy.engine.node.accelerators import NVIDIA, Accelerators, Device, discover, labels, mounts, read, share
from argosy.engine.node.profiles import profiles
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.probe import best_level, open_runtime
from argosy.errors import ArgosyError, UserError
from argosy.meta.json import dig

from .agent_world import node_over

SAYS = "0, GPU-aaaa, NVIDIA H100 80GB HBM3, 81559\n1, GPU-bbbb, NVIDIA H100 80GB HBM3, 81559\n"
TWO = read(SAYS)


@pytest.fixture
def home():
    with TemporaryDirectory(prefix="argosy-node-") as directory:
        yield Path(directory)
        remove_memory(Path(directory))


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A machine whose driver's tool tells of two devices."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<END\n{SAYS}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_what_the_tool_says(driver):
    assert discover() == TWO == [Device(n, f"GPU-{c * 4}", "NVIDIA H100 80GB HBM3", 81559) for n, c in enumerate("ab")]
    assert read("No devices were found\n") == []
    assert labels(TWO)["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
    assert labels([]) == {}


def test_a_machine_without_the_tool_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert discover() == []


def test_every_device_has_one_owner():
    assert [share(TWO, n, 2) for n in range(2)] == [[TWO[0]], [TWO[1]]]
    known = Accelerators()
    known.claim("old", "c", ["GPU-aaaa"])
    known.found({"n": TWO})
    assert known.give("n", "new", "c", 1) == [TWO[1]]
    assert known.give("n", "new", "c", 1) == [TWO[1]], "a restart gets what the run before had"
    with pytest.raises(ArgosyError, match="only 0 of 1"):
        known.give("n", "third", "c", 1)
    known.take_back("old")
    assert known.give("n", "third", "c", 1) == [TWO[0]]


def test_only_its_own_device_files(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert [m.target for m in mounts(TWO[1:], tmp_path)] == ["/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm"]
    assert mounts([], tmp_path) == ()


def test_profiles_make_nodes_different(tmp_path):
    assert profiles(tmp_path) == []
    (tmp_path / "nodes.yaml").write_text("nodes:\n- labels: {zone: a}\n  resources: {nvidia.com/gpu: 8}\n-\n")
    first, second = profiles(tmp_path)
    assert (first.labels, first.resources, second.labels) == ({"zone": "a"}, {NVIDIA: "8"}, {})
    (tmp_path / "nodes.yaml").write_text("nodes: 7\n")
    with pytest.raises(UserError, match="description of nodes"):
        profiles(tmp_path)


def test_containers_are_handed_what_they_ask_for(home, driver):
    async def scenario():
        async with node_over(home, open_runtime(home, best_level()[0]), SystemClock()) as world:
            world.extra = {}
            await world.down()
            await world.up(nodes=2)
            told = await world.until(
                "argosy-2", lambda node: dig(node, "status", "capacity", NVIDIA) == "1", kinds.NODE, ""
            )
            assert told["metadata"]["labels"]["nvidia.com/gpu.count"] == "1"
            command = ["sh", "-c", 'echo "[$CUDA_VISIBLE_DEVICES]"']
            limits = {"limits": {NVIDIA: "1"}}
            container = {"name": "c", "image": "busybox", "command": command, "resources": limits}
            await world.create("p", node="argosy-2", restartPolicy="Never", containers=[container])
            await world.create("q", restartPolicy="Never", containers=[{**container, "resources": {}}])
            for name, seen in (("p", "[GPU-bbbb]\n"), ("q", "[]\n")):
                await world.phase(name, "Succeeded")
                assert await world.log(name) == seen

    asyncio.run(scenario())
