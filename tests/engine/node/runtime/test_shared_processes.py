"""Containers that live among each other's processes, or the host's."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from argosy.engine.node.runtime import pauses
from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.spec import Level, Limits
from argosy.errors import NotFound

SLEEP = ("sleep", "600")
NAMES = "cat /proc/[0-9]*/comm | sort | tr '\\n' ' '"


@pytest.fixture(autouse=True)
def _apart(bench):
    if bench.level is Level.L0:
        pytest.skip("at L0 every container sees the host's processes")


async def names(runtime, run) -> set[str]:
    result = await runtime.exec(run.id, ["sh", "-c", NAMES])
    return set(result.output.decode().split())


async def pause_of(pod) -> int:
    pid, started = pauses.recorded(pod.directory / "runtime")
    assert processes.is_alive(pid, started)
    return pid


def test_a_pod_that_shares_its_processes(bench):
    pod = bench.pod(share_processes=True)

    async def scenario(runtime):
        await runtime.create_pod(pod)
        first = await runtime.start_container(bench.container(pod, *SLEEP, name="first"))
        second = await runtime.start_container(bench.container(pod, "tail", "-f", "/dev/null", name="second"))
        assert {"sleep", "tail"} <= await names(runtime, second)
        result = await runtime.exec(second.id, ["sh", "-c", "cat /proc/1/comm; kill -9 1; ps -e | grep -c argosy-shim"])
        assert result.output.decode().split()[0] == "sleep"  # nobody's own, and it cannot be killed from within
        killed = await runtime.exec(second.id, ["pkill", "-TERM", "-f", "sleep 600"])
        assert killed.code == 0
        ended = await runtime.wait(first.id)
        again = await runtime.start_container(bench.container(pod, *SLEEP, name="first", attempt=1))
        assert {"sleep", "tail"} <= await names(runtime, again)
        pause = await pause_of(pod)
        await runtime.remove_pod(pod.uid)
        return ended, pause

    ended, pause = bench.run(scenario)
    assert (ended.code, ended.signal) == (143, 15)
    assert not processes.start_time(pause)


def test_a_container_of_such_a_pod_ends_with_all_that_it_started_and_nothing_else(bench):
    pod = bench.pod(share_processes=True)

    async def scenario(runtime):
        await runtime.create_pod(pod)
        other = await runtime.start_container(bench.container(pod, *SLEEP, name="other"))
        program = "(setsid tail -f /dev/null &) ; echo ready; sleep 600"
        run = await runtime.start_container(bench.container(pod, "sh", "-c", program))
        await bench.until_logged(pod, "ready")
        assert "tail" in await names(runtime, other)
        await runtime.signal(run.id, signal.SIGKILL)
        await runtime.wait(run.id)
        left = await names(runtime, other)
        assert "sleep" in left
        assert "tail" not in left
        usage = await runtime.usage(other.id)
        assert usage is not None
        return left

    bench.run(scenario)


def test_a_killed_shim_leaves_nothing_of_its_container(bench):
    pod = bench.pod(share_processes=True)

    async def scenario(runtime):
        await runtime.create_pod(pod)
        other = await runtime.start_container(bench.container(pod, *SLEEP, name="other"))
        program = "(setsid tail -f /dev/null &) ; echo ready; sleep 600"
        run = await runtime.start_container(bench.container(pod, "sh", "-c", program))
        await bench.until_logged(pod, "ready")
        os.kill(run.pid, signal.SIGKILL)
        ended = await runtime.wait(run.id)
        async with asyncio.timeout(10):
            while "tail" in await names(runtime, other):  # noqa: ASYNC110 (nobody tells of a process's end)
                await asyncio.sleep(0.01)
        return ended

    assert bench.run(scenario).code == 137


def test_a_pod_whose_first_process_died_goes_on_with_another(bench):
    pod = bench.pod(share_processes=True)

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(bench.container(pod, *SLEEP))
        before = await pause_of(pod)
        os.kill(before, signal.SIGKILL)
        ended = await runtime.wait(run.id)
        again = await runtime.start_container(bench.container(pod, *SLEEP, attempt=1))
        assert await pause_of(pod) != before
        assert "sleep" in await names(runtime, again)
        return ended

    assert bench.run(scenario).code == 137


def test_a_guest_lives_among_the_processes_of_its_target(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        target = await runtime.start_container(bench.container(pod, *SLEEP, name="target"))
        await runtime.start_container(bench.container(pod, "tail", "-f", "/dev/null", name="other"))
        guest = bench.container(pod, "sh", "-c", f"{NAMES}; echo; exec sleep 500", name="guest", joins="target")
        run = await runtime.start_container(guest)
        await bench.until_logged(pod, "sleep", "guest")
        seen = await names(runtime, run)
        assert "sleep" in seen
        assert "tail" not in seen
        gone = await runtime.start_container(bench.container(pod, "true", name="short", joins="target"))
        assert (await runtime.wait(gone.id)).code == 0
        assert "sleep" in await names(runtime, target)  # who looks in leaves without taking anything along
        await runtime.signal(target.id, signal.SIGKILL)
        await runtime.wait(target.id)
        assert (await runtime.wait(run.id)).code == 137
        with pytest.raises(NotFound):
            await runtime.start_container(bench.container(pod, "true", name="late", joins="target"))

    bench.run(scenario)


def test_who_lives_among_others_cannot_look_out(bench):
    """The shim is out of sight, or out of reach."""
    pod = bench.pod()
    look = "ls /proc/1/root/ ; cat /proc/1/environ; readlink /proc/1/fd/4; true"

    async def scenario(runtime):
        await runtime.create_pod(pod)
        await runtime.start_container(bench.container(pod, *SLEEP, name="target"))
        run = await runtime.start_container(bench.container(pod, "sh", "-c", look, name="guest", joins="target"))
        await runtime.wait(run.id)

    bench.run(scenario)
    assert bench.output(pod, "guest") == ""


def test_memory_of_a_container_that_shares_is_its_own(bench):
    pod = bench.pod(share_processes=True)
    hog = "held = bytearray(96 << 20)\nimport time\nprint('ready', flush=True)\ntime.sleep(600)"

    async def scenario(runtime):
        await runtime.create_pod(pod)
        await runtime.start_container(bench.python(pod, hog, name="hog"))
        await bench.until_logged(pod, "ready", "hog")
        limited = bench.container(pod, *SLEEP, name="small", limits=Limits(memory_bytes=32 << 20))
        run = await runtime.start_container(limited)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(runtime.wait(run.id), 1.2)

    bench.run(scenario)


def test_the_hosts_processes_where_that_is_allowed(bench):
    pod = bench.pod(host_processes=True)

    async def scenario(runtime):
        await runtime.create_pod(pod)
        program = f"test -d /proc/{os.getpid()} && echo seen; setsid sleep 444 & echo $!; sleep 600"
        run = await runtime.start_container(bench.container(pod, "sh", "-c", program))
        await bench.until_logged(pod, "\n", "main")
        result = await runtime.exec(run.id, ["sh", "-c", f"test -d /proc/{os.getpid()} && echo $$"])
        assert processes.start_time(int(result.output)) == 0
        await runtime.signal(run.id, signal.SIGKILL)
        await runtime.wait(run.id)
        return int(bench.output(pod).split()[1])

    left = bench.run(scenario)
    assert not processes.start_time(left)
