"""Deaths: the engine's, the holder's, the shim's; and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from argosy.engine.node.runtime.connection import HolderGone
from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.spec import Level

ENGINE = """
import asyncio, sys
from pathlib import Path
from argosy.engine.node.runtime.limits import NoEnforcer
from argosy.engine.node.runtime.local import LocalRuntime
from argosy.engine.node.runtime.spec import ContainerSpec, Level, PodSpec

async def main(home, level):
    runtime = LocalRuntime(home, Level(level), NoEnforcer())
    await runtime.start()
    directory = home / "pods" / "one"
    directory.mkdir(parents=True)
    for name in ("hosts", "resolv.conf"):
        (directory / name).touch()
    address = "10.64.0.2" if level == "L2" else "127.66.0.2"
    pod = PodSpec("one", "default", "one", "one", address, directory, directory / "hosts", directory / "resolv.conf")
    await runtime.create_pod(pod)
    argv = {
        "stays": ("sleep", "600"), "ends": ("sh", "-c", "exit 42"),
        "waits": ("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"),
    }
    for name, command in argv.items():
        spec = ContainerSpec(pod, name, 0, command, {}, "/", home / "logs" / name)
        run = await runtime.start_container(spec)
        if name == "ends":
            await runtime.wait(run.id)
    while not (home / "logs" / "waits").read_text():
        await asyncio.sleep(0.005)
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def killed_engine(alone) -> None:
    """Start an engine that runs three containers, and kill it."""
    command = [sys.executable, "-c", ENGINE, str(alone.home), alone.level]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "up\n"
        engine.kill()


async def holder_pid(runtime) -> int:
    return (await runtime._main.connection.ask({"op": "hello"}))["pid"]


async def kill_holder(runtime) -> int:
    pid = await holder_pid(runtime)
    watch = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, gone.set)
    await gone.wait()
    asyncio.get_running_loop().remove_reader(watch)
    os.close(watch)
    return pid


def test_containers_outlive_the_engine(alone):
    killed_engine(alone)

    async def scenario(runtime):
        runs = {run.container: run for run in await runtime.adopt()}
        assert runs["ends"].exit is not None
        assert runs["stays"].exit is None
        await runtime.signal(runs["waits"].id, signal.SIGTERM)
        ended = await runtime.wait(runs["waits"].id)
        said = await runtime.exec(runs["stays"].id, ["echo", "still here"])
        return runs["ends"].exit.code, ended.code, said.output

    assert alone.run(scenario) == (42, 9, b"still here\n")
    assert alone.leftovers() == []


def test_containers_outlive_the_holder(alone):
    pod, later, idle = alone.pod(), alone.pod(), alone.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        await runtime.create_pod(idle)
        run = await runtime.start_container(alone.container(pod, "sleep", "600"))
        first = await kill_holder(runtime)
        with pytest.raises(HolderGone):
            await holder_pid(runtime)
        # The next thing that needs a holder brings one up, which takes over the pods that run.
        await runtime.create_pod(later)
        assert await holder_pid(runtime) != first
        said = await runtime.exec(run.id, ["hostname"])
        sidecar = await runtime.start_container(alone.container(pod, "sh", "-c", "hostname", name="sidecar"))
        await runtime.wait(sidecar.id)
        other = await alone.play(runtime, alone.container(later, "echo", "hello"))
        await runtime.start_container(alone.container(idle, "sleep", "600"))  # its sandbox was made anew
        await runtime.signal(run.id, signal.SIGTERM)
        return said.output.decode(), alone.output(pod, "sidecar"), other, (await runtime.wait(run.id)).code

    said, sidecar, other, code = alone.run(scenario)
    if alone.level is not Level.L0:
        assert said == sidecar == f"{pod.hostname}\n"
    assert (other, code) == ("hello\n", 143)
    assert alone.leftovers() == []


def test_containers_outlive_engine_and_holder(alone):
    killed_engine(alone)
    # A runtime that was never started knows the way to the holder all the same.
    asyncio.run(kill_holder(alone.open()))

    async def scenario(runtime):
        runs = {run.container: run for run in await runtime.adopt()}
        return (await runtime.exec(runs["stays"].id, ["echo", "still here"])).output

    assert alone.run(scenario) == b"still here\n"
    assert alone.leftovers() == []


def test_a_killed_shim_is_noticed(alone):
    pod = alone.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(alone.container(pod, "sleep", "600"))
        command = runtime._runs[run.id].state.command_pid
        os.kill(run.pid, signal.SIGKILL)
        return await runtime.wait(run.id), command

    ended, command = alone.run(scenario)
    assert (ended.code, ended.signal) == (137, 9)
    assert not processes.start_time(command)


def test_runs_of_another_boot_have_ended(alone):
    killed_engine(alone)
    state = alone.home / "pods" / "one" / "runtime" / "stays-0.json"
    text = state.read_text()
    boot = processes.boot_id()
    assert boot in text
    pid = next(int(part.split(":")[1]) for part in text.split(",") if part.startswith('"pid"'))
    state.write_text(text.replace(boot, "another-boot"))

    async def scenario(runtime):
        runs = {run.container: run for run in await runtime.adopt()}
        os.kill(pid, signal.SIGKILL)  # the test's doing: on a real new boot there is no such process
        return runs["stays"].exit, runs["ends"].exit

    lost, ended = alone.run(scenario)
    assert (lost.code, lost.signal) == (137, 9)
    assert ended.code == 42


def test_nothing_is_left(alone):
    pods = [alone.pod() for _ in range(3)]

    async def scenario(runtime):
        for pod in pods:
            await runtime.create_pod(pod)
            program = "mkdir -p deep/er && touch deep/er/file && chmod 0 deep/er deep; setsid sleep 600 & sleep 600"
            await runtime.start_container(alone.container(pod, "sh", "-c", program))
        await runtime.start_container(alone.container(pods[0], "true", name="second"))
        await runtime.remove_pod(pods[0].uid)
        await runtime.remove_pod(pods[0].uid)  # idempotent
        assert not (pods[0].directory / "runtime").exists()
        await runtime.create_pod(pods[0])  # the same uid may come again
        await runtime.start_container(alone.container(pods[0], "sleep", "600"))

    alone.run(scenario)
    assert alone.leftovers() == []
    for pod in pods:
        assert not (pod.directory / "runtime").exists()
    assert [str(path) for path in (alone.home / "run").rglob("*")] == []
    assert str(alone.home) not in Path("/proc/self/mountinfo").read_text()


def test_an_engine_that_lets_go_leaves_its_pods(alone):
    pod = alone.pod()

    async def first():
        runtime = alone.open()
        await runtime.start()
        await runtime.create_pod(pod)
        run = await runtime.start_container(alone.container(pod, "sleep", "600"))
        await runtime.close(kill=False)
        return run

    run = asyncio.run(first())

    async def scenario(runtime):
        (found,) = await runtime.adopt()
        assert (await runtime.start_container(alone.container(pod, "sleep", "600"))) == found, "it runs already"
        return found

    assert alone.run(scenario) == run


def test_the_order_of_an_engine_that_died_meanwhile_is_not_carried_out(alone):
    """Nobody would know of the sandbox, since the next engine has compared its pods with the holder's already."""

    async def scenario(runtime):
        pid = await holder_pid(runtime)
        os.kill(pid, signal.SIGSTOP)
        order = {"op": "pod", "uid": "late", "hostname": "late", "address": "10.64.0.9", "tmpfs": [], "sysctls": []}
        runtime._main.connection.open(order).close()
        os.kill(pid, signal.SIGCONT)
        return (await runtime._main.ask({"op": "hello"}))["pods"]

    assert alone.run(scenario) == []


def test_the_holder_stays_small_and_light():
    """What it imports, every shim carries: no asyncio, json, typing, pathlib, dataclasses, re."""
    program = "import sys; from argosy.engine.node.runtime.holder import server; print(*sys.modules)"
    source = Path(processes.__file__).parents[5]
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(source)!r}); {program}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    modules = set(found.stdout.split())
    heavy = {"asyncio", "json", "typing", "pathlib", "dataclasses", "re", "inspect", "subprocess", "msgspec", "logging"}
    assert modules & heavy == set()
    assert "argosy.engine.node.agent" not in modules
