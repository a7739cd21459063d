"""The node agent as a whole: real API server, simulated containers, virtual time."""

from __future__ import annotations

import asyncio
import os

import pytest

from argosy import kinds
from argosy.engine.apiserver.backends import LogOptions
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.spec import ExecResult, Level
from argosy.errors import BadRequest
from argosy.meta.conditions import is_true
from argosy.meta.objects import Key
from argosy.meta.quantity import parse
from argosy.testing.sim_runtime import Life
from argosy.testing.simloop import run

from .agent_world import node


@pytest.fixture
def home(tmp_path):
    yield tmp_path
    remove_memory(tmp_path)


def config_map(name, **data):
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data,
    }  # fmt: skip


def test_the_machine_is_a_node_with_a_lease(home):
    async def scenario():
        async with node(home) as world:
            found = await world.client.get(kinds.NODE, "argosy-1")
            assert found["metadata"]["labels"]["argosy.dev/isolation"] == "L2"
            assert found["status"]["capacity"]["pods"] == "1k"
            ready = next(c for c in found["status"]["conditions"] if c["type"] == "Ready")
            assert ready["status"] == "True"
            first = await world.client.get(kinds.LEASE, "argosy-1", "kube-node-lease")
            await asyncio.sleep(25)
            second = await world.client.get(kinds.LEASE, "argosy-1", "kube-node-lease")
            assert second["spec"]["renewTime"] > first["spec"]["renewTime"]

    run(scenario())


def test_a_node_among_others_is_silent_when_told_and_comes_back(home):
    async def scenario():
        async with node(home) as world:
            await world.down()
            await world.up(nodes=2)

            async def renewed(name):
                lease = await world.client.get(kinds.LEASE, name, "kube-node-lease")
                assert lease["spec"]["leaseDurationSeconds"] == 3
                return lease["spec"]["renewTime"]

            async def annotate(value):
                patch = {"metadata": {"annotations": {"argosy.dev/silent": value}}}
                await world.client.patch(kinds.NODE, Key("", "argosy-2"), patch)

            await annotate("true")
            await asyncio.sleep(2)
            before = [await renewed(name) for name in ("argosy-1", "argosy-2")]
            await asyncio.sleep(5)
            after = [await renewed(name) for name in ("argosy-1", "argosy-2")]
            assert after[0] > before[0]
            assert after[1] == before[1]
            lost = [{"type": "Ready", "status": "Unknown"}]  # as the lifecycle controller says of it
            patch = {"status": {"conditions": lost}}
            await world.client.patch(kinds.NODE, Key("", "argosy-2"), patch, subresource="status")
            await annotate(None)
            await asyncio.sleep(3)
            assert is_true(await world.client.get(kinds.NODE, "argosy-2"), "Ready")

    run(scenario())


def test_one_machine_as_several_nodes(home):
    async def scenario():
        async with node(home) as world:
            await world.down()
            await world.up(nodes=3)
            names = [n["metadata"]["name"] for n in (await world.client.list(kinds.NODE)).items]
            assert names == ["argosy-1", "argosy-2", "argosy-3"]
            third = await world.client.get(kinds.NODE, "argosy-3")
            assert third["status"]["allocatable"]["nvidia.com/gpu"] == "2"
            milli = parse(third["status"]["capacity"]["cpu"]).millis
            assert milli == len(os.sched_getaffinity(0)) * 1000 // 3, "each has its share of the machine"
            await world.create("p", node="argosy-3")
            await world.phase("p", "Running")
            await world.down()
            world.extra = {}
            (home / "nodes.yaml").write_text(
                "nodes: [{}, {taints: [{key: k, effect: NoSchedule}], resources: {tpu: 4}}]"
            )
            await world.up(nodes=3)
            second = await world.client.get(kinds.NODE, "argosy-2")
            assert second["spec"]["taints"] == [{"key": "k", "effect": "NoSchedule"}]
            assert second["status"]["capacity"]["tpu"] == "4"
            assert "nvidia.com/gpu" not in second["status"]["capacity"], "what is pretended no more is gone"
            await world.create("q", node="elsewhere")
            await world.down()
            await world.up(nodes=2)
            names = [n["metadata"]["name"] for n in (await world.client.list(kinds.NODE)).items]
            assert names == ["argosy-1", "argosy-2"]
            assert world.runtime.pods == {}, "the third node's pod is nobody's any more"

    run(scenario())


def test_a_pod_runs_ends_and_is_deleted(home):
    async def scenario():
        async with node(home, lambda spec: Life(30, says=[(0, "one"), (5, "two")], termination="done")) as world:
            await world.create("p", restartPolicy="Never")
            pod = await world.phase("p", "Running")
            assert pod["status"]["podIP"] == "10.64.0.10"
            assert pod["status"]["containerStatuses"][0]["ready"] is True
            pod = await world.phase("p", "Succeeded")
            assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == "done"
            assert await world.log("p") == "one\ntwo\n"
            assert await world.log("p", tailLines="1") == "two\n"
            await world.client.delete(kinds.POD, Key("default", "p"))
            await world.gone("p")
            assert world.runtime.pods == {}

    run(scenario())


def test_running_is_one_write(home):
    async def scenario():
        async with node(home) as world:
            before = world.app.api.store.revision
            created = await world.create("p")
            pod = await world.phase("p", "Running")
            await asyncio.sleep(5)
            again = await world.client.get(kinds.POD, "p", "default")
            assert again["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"]
            writes = int(pod["metadata"]["resourceVersion"]) - int(created["metadata"]["resourceVersion"])
            assert writes == 1, "one status write, before any event"
            assert before < writes + int(created["metadata"]["resourceVersion"])

    run(scenario())


def test_deletion_waits_for_the_process(home):
    async def scenario():
        async with node(home, lambda spec: Life(dies_in=7)) as world:
            await world.create("p")
            await world.phase("p", "Running")
            began = asyncio.get_running_loop().time()
            await world.client.delete(kinds.POD, Key("default", "p"))
            await world.gone("p")
            assert asyncio.get_running_loop().time() - began == pytest.approx(7, abs=1)
            assert [number for _, number in world.runtime.signals] == [15]

    run(scenario())


def test_a_forced_deletion_leaves_nothing(home):
    async def scenario():
        async with node(home, lambda spec: Life(dies_in=None)) as world:
            await world.create("p")
            await world.phase("p", "Running")
            await world.client.delete(kinds.POD, Key("default", "p"), grace_seconds=0)
            await world.gone("p")
            await asyncio.sleep(5)
            assert world.runtime.pods == {}
            assert not list(world.agent._workers)

    run(scenario())


def test_a_missing_config_map_is_told_and_waited_for(home):
    async def scenario():
        async with node(home) as world:
            volume = {"name": "v", "configMap": {"name": "late"}}
            mount = {"name": "v", "mountPath": "/v"}
            container = {"name": "c", "image": "busybox", "command": ["x"], "volumeMounts": [mount]}
            await world.create("p", volumes=[volume], containers=[container])
            event = await world.event("FailedMount")
            assert event["message"] == 'MountVolume.SetUp failed for volume "v" : configmap "late" not found'
            await world.client.create(kinds.CONFIG_MAP, config_map("late", x="1"))
            began = asyncio.get_running_loop().time()
            await world.phase("p", "Running")
            assert asyncio.get_running_loop().time() - began < 0.1
            source = world.runtime.specs[next(iter(world.runtime.specs))].mounts[0].source
            assert (source / "x").read_text() == "1"
            changed = config_map("late", x="2")
            await world.client.update(kinds.CONFIG_MAP, changed)
            await asyncio.sleep(0.5)
            assert (source / "x").read_text() == "2"

    run(scenario())


def test_a_missing_key_in_the_environment(home):
    async def scenario():
        async with node(home) as world:
            reference = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "x"}}}
            container = {"name": "c", "image": "busybox", "command": ["x"], "env": [reference]}
            await world.create("p", containers=[container])
            waiting = await world.waiting("p", "CreateContainerConfigError")
            assert waiting["message"] == 'configmap "late" not found'
            await world.client.create(kinds.CONFIG_MAP, config_map("late", x="1"))
            await world.phase("p", "Running")
            assert world.command_env("p")["A"] == "1"

    run(scenario())


def test_an_unmapped_image_says_how_to_map_it(home):
    async def scenario():
        async with node(home) as world:
            await world.create("p", containers=[{"name": "c", "image": "example.com/mine:1"}])
            waiting = await world.waiting("p", "ErrImagePull")
            assert f"{home}/images.yaml" in waiting["message"]
            assert "{match: example.com/mine, environment: torch}" in waiting["message"]
            await world.waiting("p", "ImagePullBackOff")
            with pytest.raises(BadRequest, match="is waiting to start: ImagePullBackOff"):
                world.agent.logs(await world.client.get(kinds.POD, "p", "default"), "c", LogOptions(follow=True))
            (home / "images.yaml").write_text("images: [{match: example.com/mine, environment: host, command: [x]}]")
            await world.phase("p", "Running")
            assert (await world.event("Failed"))["message"].startswith('Failed to pull image "example.com/mine:1"')

    run(scenario())


def test_probes_make_ready_and_restart(home):
    healthy = {"ready": False, "alive": True}

    def ran(argv):
        return ExecResult(0 if healthy[argv[0]] else 1, b"not yet")

    async def scenario():
        async with node(home, lambda spec: Life(ran=ran)) as world:
            container = {
                "name": "c", "image": "busybox", "command": ["x"],
                "readinessProbe": {"exec": {"command": ["ready"]}, "periodSeconds": 5},
                "livenessProbe": {"exec": {"command": ["alive"]}, "periodSeconds": 5, "failureThreshold": 2},
            }  # fmt: skip
            await world.create("p", containers=[container])
            pod = await world.phase("p", "Running")
            assert pod["status"]["containerStatuses"][0]["ready"] is False
            healthy["ready"] = True
            await world.until("p", lambda p: p["status"]["containerStatuses"][0]["ready"])
            healthy["alive"] = False
            await world.until("p", lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1)
            healthy["alive"] = True
            assert (await world.event("Unhealthy"))["message"] == "Liveness probe failed: not yet"
            await world.until("p", lambda p: p["status"]["containerStatuses"][0]["ready"])

    run(scenario())


def test_an_engine_that_comes_back_adopts(home):
    async def scenario():
        async with node(home) as world:
            await world.create("stays")
            await world.create("ends")
            await world.create("goes")
            for name in ("stays", "ends", "goes"):
                await world.phase(name, "Running")
            uids = {spec.name: uid for uid, spec in world.runtime.pods.items()}
            await world.down()
            world.runtime.kill(f"{uids['ends']}/c/0", 3)
            await world.client.delete(kinds.POD, Key("default", "goes"), grace_seconds=0)
            before = await world.client.get(kinds.POD, "stays", "default")
            await asyncio.sleep(60)
            await world.up()
            restarted = await world.until("ends", lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1)
            last = restarted["status"]["containerStatuses"][0]["lastState"]["terminated"]
            assert last["exitCode"] == 3
            assert restarted["status"]["podIP"] == "10.64.0.11"
            await asyncio.sleep(5)
            assert "goes" not in {spec.name for spec in world.runtime.pods.values()}
            after = await world.client.get(kinds.POD, "stays", "default")
            assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
            assert f"{uids['stays']}/c/1" not in world.runtime.specs
            await world.client.delete(kinds.POD, Key("default", "stays"))
            await world.gone("stays")

    run(scenario())


def test_a_finished_pod_is_left_alone_by_an_engine_that_comes_back(home):
    async def scenario():
        async with node(home, lambda spec: Life(1, says=[(0, "said")])) as world:
            await world.create("p", restartPolicy="Never")
            before = await world.phase("p", "Succeeded")
            await world.down()
            await world.up()
            await asyncio.sleep(60)
            after = await world.client.get(kinds.POD, "p", "default")
            assert after == before
            assert await world.log("p") == "said\n"
            await world.client.delete(kinds.POD, Key("default", "p"))
            await world.gone("p")

    run(scenario())


def test_isolation_that_the_machine_lacks_is_refused(home):
    async def scenario():
        async with node(home, level=Level.L1) as world:
            await world.create("p", meta={"annotations": {"argosy.dev/isolation": "L2"}})
            pod = await world.phase("p", "Failed")
            assert pod["status"]["reason"] == "IsolationUnavailable"
            assert world.runtime.specs == {}

    run(scenario())


def test_names_are_addresses_at_l0(home):
    async def scenario():
        async with node(home, level=Level.L0) as world:
            service = {
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "job-master-0", "namespace": "default"},
                "spec": {"clusterIP": "None", "selector": {"r": "m"}, "ports": [{"port": 23456}]},
            }  # fmt: skip
            await world.client.create(kinds.SERVICE, service)
            env = [{"name": "MASTER_ADDR", "value": "job-master-0"}]
            worker = {"name": "c", "image": "busybox", "command": ["x", "--at=job-master-0:23456"], "env": env}
            await world.create("worker", containers=[worker])
            await asyncio.sleep(1)
            assert not world.runtime.specs, "it waits for the master's address"
            master = await world.create("master", meta={"labels": {"r": "m"}})
            await world.phase("worker", "Running")
            address = (await world.phase("master", "Running"))["status"]["podIP"]
            assert master["metadata"]["name"] == "master"
            spec = next(s for s in world.runtime.specs.values() if s.pod.name == "worker")
            assert spec.env["MASTER_ADDR"] == address
            assert spec.argv == ("x", f"--at={address}:23456")
            assert spec.env["GLOO_SOCKET_IFNAME"] == "lo"

    run(scenario())


def test_hosts_files_follow_the_services_at_l1(home):
    async def scenario():
        async with node(home, level=Level.L1) as world:
            await world.create("p")
            await world.phase("p", "Running")
            hosts = next(iter(world.runtime.pods.values())).etc_hosts
            assert "127.79.0.10\tp\n" in hosts.read_text()
            inode = hosts.stat().st_ino
            service = {
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
                "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]},
            }  # fmt: skip
            address = (await world.client.create(kinds.SERVICE, service))["spec"]["clusterIP"]
            await asyncio.sleep(0.5)
            text = hosts.read_text()
            assert f"{address}\t" in text
            assert "web.default.svc.cluster.local" in text
            assert hosts.stat().st_ino == inode

    run(scenario())


def test_logs_of_the_run_before(home):
    def lives(spec):
        return Life(1, code=1, says=[(0, f"run {spec.attempt}")])

    async def scenario():
        async with node(home, lives) as world:
            await world.create("p")
            await world.phase("p", "Running")
            with pytest.raises(BadRequest, match="previous terminated container"):
                await world.log("p", previous="true")
            await world.waiting("p", "CrashLoopBackOff")
            assert await world.log("p") == "run 1\n"
            assert await world.log("p", previous="true") == "run 0\n"

    run(scenario())


def test_usage(home):
    async def scenario():
        async with node(home) as world:
            await world.create("p")
            await world.phase("p", "Running")
            await asyncio.sleep(10)
            await world.agent.usage()
            await asyncio.sleep(10)
            (pod,) = await world.agent.usage()
            assert (pod.namespace, pod.name, pod.containers[0].memory) == ("default", "p", 10 << 20)
            assert pod.containers[0].cpu == pytest.approx(0.1)

    run(scenario())
