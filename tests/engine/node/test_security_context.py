"""A pod's securityContext and what a pod can reach, over the real runtime at the strongest level that the machine allows.

`runtime/test_escapes` lists what a container's processes may not do; here a pod tries to get at what belongs to the engine,
to its user and to other pods.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from argosy import kinds
from argosy.clock import SystemClock
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.probe import best_level, open_runtime
from argosy.engine.node.runtime.spec import Level

from .agent_world import Node, node_over

BEST, _ = best_level()
apart = pytest.mark.skipif(BEST is Level.L0, reason="no namespaces here")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's containers have several users")


@pytest.fixture
def home():
    with TemporaryDirectory(prefix="argosy-node-") as directory:
        yield Path(directory)
        remove_memory(Path(directory))


async def said(world: Node, name: str, script: str, *, context=None, **spec: object) -> str:
    """What a pod that runs a script says, once it has ended."""
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script], "securityContext": context or {}}
    container["volumeMounts"] = spec.pop("mounts", [])
    await world.create(name, restartPolicy="Never", containers=[container], **spec)
    await world.until(name, lambda pod: pod.get("status", {}).get("phase") in {"Succeeded", "Failed"})
    return await world.log(name)


@apart
@as_root
def test_users_groups_and_what_they_own(home):
    async def scenario():
        async with node_over(home, open_runtime(home, BEST), SystemClock()) as world:
            secret = {"metadata": {"name": "s", "namespace": "default"}, "data": {"key": "dmFsdWU="}}
            await world.client.create(kinds.SECRET, {"apiVersion": "v1", "kind": "Secret", **secret})
            script = (
                "id -u; id -g; id -G; touch /data/x && stat -c %g /data/x; cat /secret/key; echo;"
                "touch /x 2>/dev/null || echo read-only; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status"
            )
            volumes = [
                {"name": "d", "emptyDir": {}},
                {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}},
            ]
            mounts = [{"name": "d", "mountPath": "/data"}, {"name": "s", "mountPath": "/secret"}]
            shared = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000]}
            text = await said(
                world, "p", script, context={"readOnlyRootFilesystem": True}, securityContext=shared, volumes=volumes,
                mounts=mounts,
            )  # fmt: skip
            assert text.splitlines() == [
                "1000", "3000", "3000 2000 4000", "2000", "value", "read-only", "CapEff:\t0000000000000000", "NoNewPrivs:\t1",
            ]  # fmt: skip

    asyncio.run(scenario())


@apart
def test_a_pod_gets_at_nothing_that_is_not_its_own(home):
    async def scenario():
        async with node_over(home, open_runtime(home, BEST), SystemClock()) as world:
            keys = home / "pki"
            keys.mkdir()
            (keys / "ca.key").write_text("the engine's key")
            secret = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"key": "value"}}
            await world.client.create(kinds.SECRET, {"apiVersion": "v1", "kind": "Secret", **secret})
            volumes = [{"name": "s", "secret": {"secretName": "s"}}]
            other = {"name": "c", "image": "busybox", "command": ["sleep", "600"]}
            other["volumeMounts"] = [{"name": "s", "mountPath": "/secret"}]
            await world.create("other", containers=[other], volumes=volumes)
            pod = await world.phase("other", "Running")
            uid = pod["metadata"]["uid"]
            attempts = {
                "the user's home": f"ls {Path.home()}/.ssh {Path.home()}/.argosy {Path.home()}/.bashrc",
                "the engine's keys": f"cat {keys}/ca.key",
                "the engine's store": f"ls {home}",
                "the other pod's files": f"ls {home}/pods/{uid}",
                "secrets in memory": "ls /dev/shm/argosy-*",
                "the host's processes": f"ls /proc/{os.getpid()}/environ",
                "the engine's memory": f"cat /proc/{os.getpid()}/maps",
                "to kill the engine": f"kill -0 {os.getpid()}",
                "to kill everybody": "kill -9 -1; ls /proc | grep -c '^[0-9]*$' | grep -v '^[1-9]$'",
                "passwords": "cat /etc/shadow",
                "the host's root": "cat /proc/1/root/etc/shadow",
                "the disk": "cat /dev/sda /dev/vda",
                "a mount": "mount -t tmpfs none /mnt",
                "another namespace": "unshare -r true",
            }
            script = "".join(f'if {{ {c}; }} >/dev/null 2>&1; then echo "{what}"; fi\n' for what, c in attempts.items())
            text = await said(world, "thief", f"trap '' TERM\n{script}echo tried")
            assert text == "tried\n"
            assert (await world.client.get(kinds.POD, "other", "default"))["status"]["phase"] == "Running"

    asyncio.run(scenario())


@apart
def test_a_demand_that_cannot_be_met_holds_the_pod_back(home):
    async def scenario():
        async with node_over(home, open_runtime(home, BEST), SystemClock()) as world:
            container = {"name": "c", "image": "busybox", "command": ["x"], "securityContext": {"privileged": True}}
            await world.create("p", containers=[container])
            waiting = await world.waiting("p", "CreateContainerConfigError")
            assert "ARGOSY_ALLOW=privileged" in waiting["message"]

    asyncio.run(scenario())
