"""The node agent over the real runtime, at every level that this machine allows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from argosy import kinds
from argosy.clock import SystemClock
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.probe import best_level, open_runtime
from argosy.engine.node.runtime.spec import Level
from argosy.meta.json import dig
from argosy.meta.objects import Key

from .agent_world import node_over

BEST, REASONS = best_level()
LEVELS = [
    pytest.param(level, marks=pytest.mark.skipif(level in REASONS, reason=REASONS.get(level, ""))) for level in Level
]
SCRIPT = 'echo "$GREETING $POD_IP"; cat /argosy-test-config/name; echo said > /dev/termination-log; exit 3'


@pytest.fixture
def home():
    with TemporaryDirectory(prefix="argosy-node-") as directory:  # short: Unix sockets lie in it
        yield Path(directory)
        remove_memory(Path(directory))


@pytest.mark.parametrize("level", LEVELS)
def test_a_pod_becomes_processes(home, level):
    async def scenario():
        async with node_over(home, open_runtime(home, level), SystemClock()) as world:
            config = {"metadata": {"name": "c", "namespace": "default"}, "data": {"name": "from a config map\n"}}
            await world.client.create(kinds.CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", **config})
            container = {
                "name": "c", "image": "busybox", "command": ["sh", "-c", SCRIPT],
                "env": [{"name": "GREETING", "value": "hello"}],
                "volumeMounts": [{"name": "v", "mountPath": "/argosy-test-config"}],
            }  # fmt: skip
            volume = {"name": "v", "configMap": {"name": "c"}}
            await world.create("p", restartPolicy="Never", containers=[container], volumes=[volume])
            pod = await world.phase("p", "Failed")
            assert await world.log("p") == f"hello {pod['status']['podIP']}\nfrom a config map\n"
            end = pod["status"]["containerStatuses"][0]["state"]["terminated"]
            assert (end["exitCode"], end["reason"], end["message"]) == (3, "Error", "said\n")
            missing = {"name": "c", "image": "busybox", "command": ["no-such-program"]}
            await world.create("q", restartPolicy="Never", containers=[missing])
            pod = await world.phase("q", "Failed")
            end = pod["status"]["containerStatuses"][0]["state"]["terminated"]
            assert (end["exitCode"], end["reason"]) == (128, "StartError")
            assert "install the program there, or map the image" in end["message"]

    asyncio.run(scenario())


@pytest.mark.parametrize("level", LEVELS)
def test_probes_restarts_and_another_engine(home, level):
    async def scenario():
        async with node_over(home, open_runtime(home, level), SystemClock()) as world:
            probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}}
            command = ["sh", "-c", "touch /tmp/ready; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
            container = {"name": "c", "image": "busybox", "command": command, "readinessProbe": probe}
            await world.create("p", containers=[container])
            pod = await world.until("p", lambda p: dig(p, "status", "containerStatuses", 0, "ready"))
            await world.down()
            await world.up()
            again = await world.client.get(kinds.POD, "p", "default")
            assert again["status"]["containerStatuses"] == pod["status"]["containerStatuses"]
            run_id = f"{pod['metadata']['uid']}/c/0"
            await world.runtime.signal(run_id, 9)
            pod = await world.until("p", lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1)
            assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
            await world.client.delete(kinds.POD, Key("default", "p"))
            await world.gone("p")

    asyncio.run(scenario())
