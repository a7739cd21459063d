"""Pods whose images are themselves, from a layout and from a registry, at the levels that have mounts."""

from __future__ import annotations

import asyncio
import json
import os
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
from .oci.making import Entry, directory, layout, runnable, symlink
from .oci.serving import serving

BEST, REASONS = best_level()
LEVELS = [
    pytest.param(level, marks=pytest.mark.skipif(level in REASONS, reason=REASONS.get(level, "")))
    for level in (Level.L1, Level.L2)
]
ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def made():
    """An image in which a shell runs: made once."""
    return runnable(
        Entry("app.sh", "#!/bin/sh\necho app $* $GREETING; pwd; cat /hello; id -u; id -g; echo $HOME $PATH\n", mode=0o755),
        Entry("hello", "from the image\n"), directory("work", uid=1234, gid=5678),
        Entry("usr/share/inside", "1"), symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
        Entrypoint=["/app.sh"], Cmd=["one", "$(HOME)"], Env=["GREETING=hi", "PATH=/bin"], WorkingDir="/work", User="app",
        ExposedPorts={"80/tcp": {}},
    )  # fmt: skip


@pytest.fixture
def home(made):
    with TemporaryDirectory(prefix="argosy-oci-") as directory:  # short: Unix sockets lie in it
        path = Path(directory)
        layout(path / "layout", v1=made)
        (path / "images.yaml").write_text(f"images: [{{match: me/app, oci: 'oci:{path}/layout:v1'}}]\n")
        yield path
        remove_memory(path)


def play(home, level, scenario):
    async def run():
        async with node_over(home, open_runtime(home, level), SystemClock()) as world:
            await scenario(world)

    asyncio.run(run())


async def ended(world, name, **spec):
    """The log of a pod that runs to its end, and how it ended."""
    await world.create(name, restartPolicy="Never", **spec)
    pod = await world.until(name, lambda p: dig(p, "status", "phase") in {"Succeeded", "Failed"})
    return await world.log(name), dig(pod, "status", "containerStatuses", 0, "state", "terminated"), pod


def sh(script, **more):
    return [{"name": "c", "image": "me/app", "command": ["sh", "-c", script], **more}]


@pytest.mark.parametrize("level", LEVELS)
def test_an_image_runs_as_it_says(home, made, level):
    async def scenario(world):
        log, end, pod = await ended(world, "p", containers=[{"name": "c", "image": "me/app"}])
        assert end["exitCode"] == 0, end
        assert log.splitlines() == [
            "app one $(HOME) hi", "/work", "from the image", "1234", "5678", "/home/app /bin",
        ]  # fmt: skip
        assert dig(pod, "status", "containerStatuses", 0, "imageID") == made.digest
        assert (await world.event("Pulled"))["message"].startswith('Successfully pulled image "me/app" in ')
        log, _, _ = await ended(
            world, "q", containers=[{"name": "c", "image": "me/app", "args": ["$(GREETING)", "two"]}]
        )
        assert log.splitlines()[0] == "app hi two hi"

    play(home, level, scenario)


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_of_this_machine_is_seen(home, level):
    async def scenario(world):
        script = "ls / /usr /usr/share; cat /proc/1/comm; ls /dev/null /etc/hosts /etc/hostname; cat /etc/passwd"
        log, end, _ = await ended(world, "p", containers=sh(script))
        assert end["exitCode"] == 0, log
        assert "python" not in log
        assert "inside" in log
        assert "app:x:1234" in log
        assert "doc\n" not in log

    play(home, level, scenario)


@pytest.mark.parametrize("level", LEVELS)
def test_volumes_and_what_a_container_writes(home, level):
    async def scenario(world):
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
        await world.client.create(kinds.CONFIG_MAP, {**config, "data": {"k": "configured"}})
        mounts = [
            {"name": "c", "mountPath": "/usr/share/config"}, {"name": "e", "mountPath": "/work/empty"},
            {"name": "c", "mountPath": "/etc/app/one.txt", "subPath": "k"},
        ]  # fmt: skip
        volumes = [{"name": "c", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}]
        script = "cat /usr/share/config/k /etc/app/one.txt; echo x > /work/empty/f; echo y > /hello; cat /hello /work/empty/f"
        context = {"runAsUser": 0}
        log, end, _ = await ended(
            world, "p", volumes=volumes, containers=sh(script, volumeMounts=mounts, securityContext=context)
        )
        assert end["exitCode"] == 0, log
        assert log == "configuredconfiguredy\nx\n"
        log, _, _ = await ended(world, "q", containers=sh("cat /hello"))
        assert log == "from the image\n"  # what one container wrote is its own

    play(home, level, scenario)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("context", "script", "says"),
    [
        ({"runAsUser": 0}, "id -u; echo $HOME", "0\n/root\n"),
        ({"runAsUser": 99, "runAsGroup": 98}, "id -u; id -g; echo $HOME", "99\n98\n/\n"),
        ({"runAsNonRoot": True, "runAsUser": 1234}, "id -u", "1234\n"),
        ({"readOnlyRootFilesystem": True, "runAsUser": 0}, "echo x > /hello || echo refused", "refused\n"),
        ({"runAsUser": 0}, "echo x > /root/f && stat -c %a /root", "700\n"),
    ],
)
def test_what_a_pod_says_of_its_user_counts(home, level, context, script, says):
    async def scenario(world):
        log, _, _ = await ended(world, "p", containers=sh(script, securityContext=context))
        assert log.replace("sh: 1: cannot create /hello: Read-only file system\n", "") == says

    play(home, level, scenario)


@pytest.mark.skipif(not ROOT, reason="an ordinary user's containers have one user")
def test_owners_and_the_capabilities_of_root(home):
    async def scenario(world):
        script = "stat -c %u:%g /work; id -G; echo x > /work/f"
        log, end, _ = await ended(world, "p", containers=sh(script))
        assert (log, end["exitCode"]) == ("1234:5678\n5678 77\n", 0)
        container = sh("cat /proc/self/status", securityContext={"runAsUser": 0})
        log, _, _ = await ended(world, "q", containers=container)
        assert "CapEff:\t00000000000005fb" in log
        container[0]["securityContext"]["capabilities"] = {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
        log, _, _ = await ended(world, "r", containers=container)
        assert "CapEff:\t0000000000000400" in log
        log, _, _ = await ended(world, "s", containers=sh("cat /proc/self/status"))
        assert "CapEff:\t0000000000000000" in log

    play(home, BEST, scenario)


@pytest.mark.parametrize("level", LEVELS)
def test_root_of_an_image_reaches_nothing_of_this_machine(home, level):
    """What it may do more than others ends at its own mounts."""
    script = """
    for path in /proc/1/root/ /proc/1/cwd/; do ls $path >/dev/null 2>&1 && echo reached $path; done
    for path in /proc/1/fd/* /proc/1/environ /proc/1/mem; do (: < $path) 2>/dev/null && cat $path && echo reached $path; done
    for path in /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger /sys/power/state; do
      echo x 2>/dev/null > $path && echo wrote $path
    done
    exit 0
    """

    async def scenario(world):
        log, end, _ = await ended(world, "p", containers=sh(script, securityContext={"runAsUser": 0}))
        assert end["exitCode"] == 0
        assert "reached" not in log
        assert "wrote" not in log

    play(home, level, scenario)


def test_the_root_directory_is_the_images(home):
    made = runnable(directory(".", 0o1711, uid=7, gid=8), Cmd=["stat", "-c", "%a %u:%g", "/"], Env=["PATH=/bin"])
    layout(home / "layout", v1=made)

    async def scenario(world):
        log, _, _ = await ended(world, "p", containers=[{"name": "c", "image": "me/app"}])
        assert log == ("1711 7:8\n" if ROOT else "1711 0:0\n")

    play(home, BEST, scenario)


def test_users_that_cannot_be_verified(home):
    async def scenario(world):
        context = {"runAsNonRoot": True}
        await world.create("p", containers=[{"name": "c", "image": "me/app", "securityContext": context}])
        waiting = await world.waiting("p", "CreateContainerConfigError")
        assert "image has non-numeric user (app), cannot verify user is non-root" in waiting["message"]

    play(home, BEST, scenario)


@pytest.mark.parametrize("level", LEVELS)
def test_another_engine_takes_over_and_the_image_stays(home, level):
    async def scenario(world):
        script = "trap 'echo got it; exit 0' QUIT; echo up > /tmp/up; while :; do sleep 0.05; done"
        probe = {"exec": {"command": ["cat", "/tmp/up"]}}
        lifecycle = {"stopSignal": "SIGQUIT"}
        await world.create("p", containers=sh(script, readinessProbe=probe, lifecycle=lifecycle))
        pod = await world.until("p", lambda p: dig(p, "status", "containerStatuses", 0, "ready"))
        await world.down()
        await world.up()
        assert world.agent.images
        puller = world.agent._shared.puller
        assert puller.oci.prune(everything=True) == []
        result = await world.runtime.exec(f"{pod['metadata']['uid']}/c/0", ["cat", "/hello"])
        assert (result.code, result.output) == (0, b"from the image\n")
        await world.client.delete(kinds.POD, Key("default", "p"))
        await world.gone("p")
        assert len(puller.oci.prune(everything=True)) == 1

    play(home, level, scenario)


def test_the_images_own_stop_signal(home):
    stopping = runnable(
        Entry("run.sh", "#!/bin/sh\ntrap 'echo quit > /seen/how; exit 0' QUIT\ntrap 'echo term > /seen/how; exit 0' TERM\n"
              "echo > /seen/up\nwhile :; do sleep 0.05; done\n", mode=0o755),
        Entrypoint=["/run.sh"], StopSignal="SIGQUIT",
    )  # fmt: skip
    layout(home / "layout", v1=stopping)

    async def scenario(world):
        (home / "seen").mkdir()
        (home / "seen").chmod(0o777)
        volume = {"name": "s", "hostPath": {"path": str(home / "seen")}}
        container = {"name": "c", "image": "me/app", "volumeMounts": [{"name": "s", "mountPath": "/seen"}]}
        container["readinessProbe"] = {"exec": {"command": ["cat", "/seen/up"]}}
        await world.create("p", volumes=[volume], containers=[container])
        await world.until("p", lambda p: dig(p, "status", "containerStatuses", 0, "ready"))
        await world.client.delete(kinds.POD, Key("default", "p"))
        await world.gone("p")
        assert (home / "seen/how").read_text() == "quit\n"

    play(home, BEST, scenario)


@pytest.mark.parametrize("level", LEVELS)
def test_images_that_would_lead_mounts_astray(home, level):
    for name in ("proc", "dev", "sys"):
        evil = runnable(symlink(name, "/tmp"), Cmd=["/bin/sh"])
        layout(home / "layout", v1=evil)

        async def scenario(world, name=name):
            _, end, _ = await ended(world, f"p-{name}", containers=sh("exit 0"))
            assert end["reason"] == "StartError"
            assert f"the image's /{name} is no directory" in end["message"]

        play(home, level, scenario)


def test_a_program_that_is_not_in_the_image(home):
    async def scenario(world):
        _, end, _ = await ended(world, "p", containers=[{"name": "c", "image": "me/app", "command": ["python3"]}])
        assert (end["exitCode"], end["reason"]) == (128, "StartError")
        assert end["message"] == 'exec: "python3": executable file not found in $PATH'

    play(home, BEST, scenario)


def test_images_of_a_private_registry(home, made):
    async def scenario(world):
        with serving() as registry:
            reference = registry.push("team/app", "1", made)
            registry.login = ("me", "secret")
            (home / "images.yaml").write_text("images: [{match: '127.0.0.1:*/*', oci: true}]\n")
            container = {"name": "c", "image": reference}
            await world.create("p", restartPolicy="Never", imagePullSecrets=[{"name": "pull"}], containers=[container])
            waiting = await world.waiting("p", "ErrImagePull")
            assert "401 Unauthorized" in waiting["message"]
            assert (
                "(pull): there is none of that name"
                in (await world.event("FailedToRetrieveImagePullSecret"))["message"]
            )
            auths = {"auths": {registry.host: {"username": "me", "password": "secret"}}}
            secret = {"metadata": {"name": "pull", "namespace": "default"}, "type": "kubernetes.io/dockerconfigjson"}
            secret |= {"apiVersion": "v1", "kind": "Secret", "stringData": {".dockerconfigjson": json.dumps(auths)}}
            await world.client.create(kinds.SECRET, secret)
            _, end, pod = await ended(world, "q", imagePullSecrets=[{"name": "pull"}], containers=[container])
            assert end["exitCode"] == 0
            image_id = dig(pod, "status", "containerStatuses", 0, "imageID")
            assert image_id == f"{registry.host}/team/app@{made.digest}"
            registry.status = {"": 500}
            _, end, _ = await ended(world, "r", containers=[{**container, "imagePullPolicy": "IfNotPresent"}])
            assert end["exitCode"] == 0
            await world.create("s", containers=[{**container, "imagePullPolicy": "Always"}])
            assert "answers 500" in (await world.waiting("s", "ErrImagePull"))["message"]
            never = {"name": "c", "image": f"{registry.host}/team/other", "imagePullPolicy": "Never"}
            await world.create("t", containers=[never])
            await world.waiting("t", "ErrImageNeverPull")

    play(home, BEST, scenario)


@pytest.mark.parametrize("whose", ["pod", "namespace", "node"])
def test_isolation_l3_takes_the_image_itself(home, made, whose):
    if BEST is not Level.L2:
        pytest.skip(f"L3 needs L2: {REASONS.get(Level.L2)}")
    (home / "images.yaml").write_text(
        f"images: [{{match: busybox, environment: host}}, {{match: busybox, oci: 'oci:{home}/layout'}}]\n"
    )
    demand = {"argosy.dev/isolation": "L3"}

    async def scenario(world):
        body = {"metadata": {"labels": demand}}
        if whose == "namespace":
            await world.client.patch(kinds.NAMESPACE, Key("", "default"), body)
        if whose == "node":
            await world.client.patch(kinds.NODE, Key("", "argosy-1"), body)
        container = {"name": "c", "image": "busybox:v1", "command": ["cat", "/hello"]}
        meta = {"annotations": demand} if whose == "pod" else {}
        await world.create("p", restartPolicy="Never", containers=[container], meta=meta)
        await world.phase("p", "Succeeded")
        assert await world.log("p") == "from the image\n"

    play(home, BEST, scenario)


def test_at_l0_an_image_cannot_be_itself(home):
    async def scenario(world):
        await world.create("p", containers=[{"name": "c", "image": "me/app"}])
        assert "at isolation L0 there are none" in (await world.waiting("p", "ErrImagePull"))["message"]
        refused = {"annotations": {"argosy.dev/isolation": "L3"}}
        await world.create("q", containers=[{"name": "c", "image": "busybox", "command": ["sh"]}], meta=refused)
        assert (await world.phase("q", "Failed"))["status"]["reason"] == "IsolationUnavailable"

    play(home, Level.L0, scenario)


@pytest.mark.parametrize("level", [*LEVELS, Level.L0])
def test_volumes_that_are_images(home, level):
    async def scenario(world):
        volume = {"name": "v", "image": {"reference": "me/app", "pullPolicy": "IfNotPresent"}}
        mounts = [{"name": "v", "mountPath": "/model"}, {"name": "v", "mountPath": "/one", "subPath": "usr/share"}]
        script = "cat /model/hello; ls /one; echo x > /model/hello || echo refused"
        container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script], "volumeMounts": mounts}
        log, _, _ = await ended(world, "p", volumes=[volume], containers=[container])
        lines = log.splitlines()
        assert {"from the image", "inside"} <= set(lines)
        assert "refused" in lines or level is Level.L0  # where Landlock is not there
        assert world.agent._shared.puller.oci.prune(everything=True) == []
        mounts[1]["subPath"] = "none"
        await world.create("q", volumes=[volume], containers=[container])
        assert 'has no "none"' in (await world.waiting("q", "CreateContainerConfigError"))["message"]
        await world.create(
            "r", volumes=[{"name": "v", "image": {"reference": "localhost:1/x"}}], containers=[container]
        )
        assert 'failed to pull image "localhost:1/x"' in (await world.event("FailedMount"))["message"]
        for name in ("p", "q", "r"):
            await world.client.delete(kinds.POD, Key("default", name), grace_seconds=0)
            await world.gone(name)
        async with asyncio.timeout(10):
            while list((home / "pods").glob("*/volumes/*")):  # noqa: ASYNC110 (directories go in a thread)
                await asyncio.sleep(0.01)
        assert len(world.agent._shared.puller.oci.prune(everything=True)) == 1

    play(home, level, scenario)
