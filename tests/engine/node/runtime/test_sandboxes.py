"""What a pod has to itself besides its processes: volumes in memory, kernel parameters."""

from __future__ import annotations

import os
import signal

import pytest

from argosy.engine.node.runtime.connection import HolderRefused
from argosy.engine.node.runtime.spec import Level, Mount

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _apart(bench):
    if bench.level is Level.L0:
        pytest.skip("at L0 nothing is mounted, and parameters are the machine's")


def test_the_kernel_bounds_a_volume_in_memory(bench):
    volume = bench.home / "memory" / "v"
    volume.mkdir(parents=True)
    volume.chmod(0o2777)
    pod = bench.pod(memory_volumes=((volume, 4 * MIB),))
    mounts = (Mount(volume, "/cache"),)

    async def scenario(runtime):
        await runtime.create_pod(pod)
        await runtime.create_pod(pod)
        program = "stat -c %a /cache; head -c 3M /dev/zero > /cache/a && echo fits; head -c 3M /dev/zero > /cache/b || echo full"
        first = await runtime.start_container(bench.container(pod, "sh", "-c", program, mounts=mounts))
        await runtime.wait(first.id)
        sees = bench.container(pod, "sh", "-c", "stat -c %s /cache/a", name="second", mounts=mounts)
        await runtime.wait((await runtime.start_container(sees)).id)
        await runtime.remove_pod(pod.uid)
        again = bench.pod(memory_volumes=((volume, 4 * MIB),))
        await runtime.create_pod(again)
        empty = bench.container(again, "ls", "/cache", mounts=mounts)
        await runtime.wait((await runtime.start_container(empty)).id)
        return again

    again = bench.run(scenario)
    assert bench.output(pod) == "2777\nfits\nfull\n"
    assert bench.output(pod, "second") == f"{3 * MIB}\n"
    assert bench.output(again) == ""
    assert list(volume.iterdir()) == []  # the host's own directory has seen nothing of it


def test_what_is_in_memory_outlives_the_holder(alone):
    if alone.level is Level.L0:
        pytest.skip("at L0 nothing is mounted")
    volume = alone.home / "memory" / "v"
    volume.mkdir(parents=True)
    pod = alone.pod(memory_volumes=((volume, MIB),))
    mounts = (Mount(volume, "/cache"),)

    async def scenario(runtime):
        await runtime.create_pod(pod)
        keeps = alone.container(pod, "sh", "-c", "echo kept > /cache/file; echo ready; sleep 600", mounts=mounts)
        await runtime.start_container(keeps)
        await alone.until_logged(pod, "ready")
        os.kill((await runtime._main.connection.ask({"op": "hello"}))["pid"], signal.SIGKILL)
        reads = alone.container(pod, "cat", "/cache/file", name="reads", mounts=mounts)
        await runtime.wait((await runtime.start_container(reads)).id)

    alone.run(scenario)
    assert set(alone.output(pod, "reads").split()) == {"kept"}  # it may have been started twice


def test_parameters_are_the_pods_own(bench):
    if bench.level is not Level.L2:
        pytest.skip("pods share the host's network")
    pod = bench.pod(sysctls=(("net.ipv4.tcp_keepalive_time", "77"), ("kernel.shm_rmid_forced", "1")))
    other = bench.pod()

    async def scenario(runtime):
        for each in (pod, other):
            await runtime.create_pod(each)
            paths = "/proc/sys/net/ipv4/tcp_keepalive_time", "/proc/sys/kernel/shm_rmid_forced"
            await runtime.wait((await runtime.start_container(bench.container(each, "cat", *paths))).id)

    bench.run(scenario)
    assert bench.output(pod) == "77\n1\n"
    assert bench.output(other) == "7200\n0\n"


def test_a_parameter_that_cannot_be_is_named(bench):
    if bench.level is not Level.L2:
        pytest.skip("pods share the host's network")
    pod = bench.pod(sysctls=(("net.ipv4.no_such_thing", "1"),))

    async def scenario(runtime):
        with pytest.raises(HolderRefused, match=r"sysctl .*no_such_thing=1"):
            await runtime.create_pod(pod)
        await runtime.remove_pod(pod.uid)

    bench.run(scenario)
