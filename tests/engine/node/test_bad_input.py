"""Pods that misbehave: contained, told, and cleared away, over the real runtime at every level that the machine allows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from argosy import kinds
from argosy.clock import SystemClock
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime import cgroups
from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.local import LocalRuntime
from argosy.engine.node.runtime.probe import best_level
from argosy.engine.node.runtime.spec import Level
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key

from .agent_world import Node, node_over

BEST, REASONS = best_level()
LEVELS = [
    pytest.param(level, marks=pytest.mark.skipif(level in REASONS, reason=REASONS.get(level, ""))) for level in Level
]
every_level = pytest.mark.parametrize("level", LEVELS)
apart = pytest.mark.skipif(BEST is Level.L0, reason="no namespaces here")


@pytest.fixture
def home():
    with TemporaryDirectory(prefix="argosy-node-") as directory:
        yield Path(directory)
        remove_memory(Path(directory))


@contextlib.asynccontextmanager
async def engine(home: Path, level: Level) -> AsyncIterator[Node]:
    """A node whose pods have left no process, layer or directory behind at the end."""
    runtime = LocalRuntime(home, level, cgroups.find(home))
    async with node_over(home, runtime, SystemClock()) as world:
        yield world
        for pod in (await world.client.list(kinds.POD, "default")).items:
            with contextlib.suppress(Exception):
                await world.client.delete(kinds.POD, Key("default", pod["metadata"]["name"]), grace_seconds=1)
            await world.gone(pod["metadata"]["name"])
        async with asyncio.timeout(10):
            while await runtime.adopt() or list((home / "run" / "pods").iterdir()):  # noqa: ASYNC110 (files tell nobody)
                await asyncio.sleep(0.01)


async def create(world: Node, script: str, *, name: str = "p", **more: object) -> None:
    container: Obj = {"name": "c", "image": "busybox", "command": ["sh", "-c", script]}
    container |= more.pop("container", {})
    await world.create(name, restartPolicy="Never", containers=[container], **more)


def terminated(pod: Obj) -> Obj:
    return dig(pod, "status", "containerStatuses", 0, "state", "terminated", default={})


@apart
def test_a_fork_bomb_hurts_nobody_else(home):
    async def scenario():
        async with engine(home, BEST) as world:
            if "pids" not in world.runtime.enforces:
                pytest.skip("processes are not limited here")
            bomb = "while :; do sleep 600 & done 2>/dev/null"
            await create(world, bomb, name="bomb")
            await world.phase("bomb", "Running")
            await create(world, "for i in 1 2 3 4 5; do (true) || exit 1; done", name="neighbour")
            await world.phase("neighbour", "Succeeded")

    asyncio.run(scenario())


@every_level
def test_a_memory_hog_is_killed_and_called_by_its_name(home, level):
    async def scenario():
        async with engine(home, level) as world:
            hog = "import signal; x = bytearray(200 << 20); x[::4096] = bytes(len(x[::4096])); signal.pause()"
            container = {"image": "argosy/runtime", "command": ["python", "-c", hog]}
            await create(world, "", container={**container, "resources": {"limits": {"memory": "60Mi"}}})
            pod = await world.phase("p", "Failed")
            assert (terminated(pod)["reason"], terminated(pod)["exitCode"]) == ("OOMKilled", 137)

    asyncio.run(scenario())


@every_level
def test_who_ignores_every_signal_ends_all_the_same(home, level):
    async def scenario():
        async with engine(home, level) as world:
            await create(world, "trap '' TERM INT HUP; while :; do sleep 1; done", terminationGracePeriodSeconds=1)
            await world.phase("p", "Running")
            await world.client.delete(kinds.POD, Key("default", "p"))
            await world.gone("p")

    asyncio.run(scenario())


@every_level
def test_who_forks_away_is_ended_with_the_container(home, level):
    async def scenario():
        async with engine(home, level) as world:
            mark = f"4242{level[1]}"
            await create(world, f"setsid sleep {mark} & (setsid setsid sleep {mark} &) ; sleep 0.2; echo away")
            await world.phase("p", "Succeeded")
            lines = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if _readable(p)]
            assert not [line for line in lines if line == f"sleep\0{mark}\0".encode()]

    asyncio.run(scenario())


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return processes.start_time(path.parent.name) != 0


@every_level
def test_a_flood_of_output_is_rotated_and_the_end_is_kept(home, level):
    async def scenario():
        async with engine(home, level) as world:
            await create(world, "yes 0123456789012345678901234567890123456789 | head -c 40000000; echo; echo the end")
            pod = await world.phase("p", "Succeeded")
            logs = list((home / "pods" / pod["metadata"]["uid"]).glob("c-0.log*"))
            assert sum(path.stat().st_size for path in logs) < 21 << 20
            assert (await world.log("p", tailLines="1")) == "the end\n"

    asyncio.run(scenario())


@every_level
def test_closed_output_and_input_end_nothing(home, level):
    async def scenario():
        async with engine(home, level) as world:
            await create(world, "exec <&- >&- 2>&-; sleep 0.2; exit 7")
            pod = await world.phase("p", "Failed")
            assert terminated(pod)["exitCode"] == 7

    asyncio.run(scenario())


@every_level
def test_ten_thousand_variables(home, level):
    async def scenario():
        async with engine(home, level) as world:
            env = [{"name": f"V{n}", "value": "x" * 20} for n in range(10_000)]
            await create(world, "env | grep -c ^V", container={"env": env})
            await world.phase("p", "Succeeded")
            assert await world.log("p") == "10000\n"

    asyncio.run(scenario())


@every_level
def test_an_environment_that_no_kernel_takes_says_so(home, level):
    async def scenario():
        async with engine(home, level) as world:
            await create(world, "true", container={"env": [{"name": "V", "value": "x" * 200_000}]})
            pod = await world.phase("p", "Failed")
            assert terminated(pod)["reason"] == "StartError"
            assert "argument list too long" in terminated(pod)["message"]

    asyncio.run(scenario())


@every_level
def test_a_secret_deleted_under_a_pod_is_told_and_the_pod_runs_on(home, level):
    async def scenario():
        async with engine(home, level) as world:
            secret = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"key": "value"}}
            await world.client.create(kinds.SECRET, {"apiVersion": "v1", "kind": "Secret", **secret})
            volumes = [{"name": "s", "secret": {"secretName": "s"}}]
            mounts = [{"name": "s", "mountPath": "/argosy-secret"}]
            await create(world, "sleep 600", volumes=volumes, container={"volumeMounts": mounts})
            await world.phase("p", "Running")
            await world.client.delete(kinds.SECRET, Key("default", "s"))
            told = await world.event("FailedMount")
            assert 'secret "s" not found' in told["message"]
            assert (await world.client.get(kinds.POD, "p", "default"))["status"]["phase"] == "Running"

    asyncio.run(scenario())
