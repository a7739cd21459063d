"""exec, attach, run -i, cp, port-forward, logs, debug and create, by kubectl itself."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil

import aiohttp
import pytest

from argosy import kinds
from argosy.meta.conditions import is_true
from conformance.manifests import PYTHON_IMAGE, SHELL_IMAGE, pod_spec, shell, sleeper
from conformance.town import Town

pytestmark = pytest.mark.needs("pods", "kubectl")


async def _fails(namespace, *arguments):
    """The exit code and complaint of a kubectl that must fail."""
    try:
        await namespace.kubectl(*arguments)
    except AssertionError as error:
        return str(error)
    raise AssertionError(f"kubectl {arguments} should have failed")


async def test_exec_runs_with_input_and_tells_how_it_ended(namespace):
    await namespace.pod("p", pod_spec(sleeper("first"), sleeper("second")))
    await namespace.ready("p")
    assert await namespace.kubectl("exec", "p", "-c", "second", "--", "sh", "-c", "echo out; echo err >&2") == "out\n"
    assert await namespace.kubectl("exec", "-i", "p", "-c", "first", "--", "cat", input=b"some words") == "some words"
    assert "exit code 7" in await _fails(namespace, "exec", "p", "-c", "first", "--", "sh", "-c", "exit 7")
    assert "not found" in await _fails(namespace, "exec", "nobody", "--", "true")


async def test_files_are_copied_both_ways(namespace, tmp_path):
    await namespace.pod("p", pod_spec(sleeper()))
    await namespace.ready("p")
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_bytes(os.urandom(300_000))
    await namespace.kubectl("cp", f"{tmp_path}/tree", "p:/tmp/tree")
    digest = hashlib.sha256((tmp_path / "tree" / "deep" / "file").read_bytes()).hexdigest()
    assert (await namespace.says("p", "sha256sum", "/tmp/tree/deep/file")).split()[0] == digest
    await namespace.kubectl("cp", "p:/tmp/tree", f"{tmp_path}/back")
    assert hashlib.sha256((tmp_path / "back" / "deep" / "file").read_bytes()).hexdigest() == digest


async def test_attach_speaks_with_the_containers_own_process(namespace):
    reads = shell(
        "while read line; do echo you said $line; [ $line = end ] && exit 0; done", stdin=True, stdinOnce=True
    )
    await namespace.pod("p", pod_spec(reads, restartPolicy="Never"))
    await namespace.ready("p")
    said = await namespace.kubectl("attach", "-i", "p", input=b"hello\nend\n")
    assert "you said end" in said
    await namespace.ended("p")
    assert await namespace.log("p") == "you said hello\nyou said end\n"


async def test_run_gives_its_input_to_a_pod_and_removes_it(namespace):
    said = await namespace.kubectl(
        "run",
        "once",
        "-i",
        "--rm",
        "--restart=Never",
        f"--image={SHELL_IMAGE}",
        "--",
        "sh",
        "-c",
        "cat; echo done",
        input=b"words\n",
    )
    assert "done" in said
    await namespace.until_gone(kinds.POD, "once")


@contextlib.asynccontextmanager
async def _forwarded(namespace, *what):
    """The local port of a `kubectl port-forward`."""
    process = await asyncio.create_subprocess_exec(
        shutil.which("kubectl") or "kubectl", "--kubeconfig", str(namespace.cluster.kubeconfig), "-n", namespace.name,
        "port-forward", *what, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        yield int(re.search(r"127\.0\.0\.1:(\d+) ->", line).group(1))
    finally:
        process.kill()
        await process.wait()


async def test_ports_are_forwarded_to_a_pod_and_through_a_service(town: Town):
    await town.server("web")
    await town.service("web")
    await town.namespace.observe(
        kinds.ENDPOINT_SLICE, lambda found: any(each.get("endpoints") for each in found.values())
    )
    for what in ("pod/web", "8080"), ("service/web", "80"):
        async with _forwarded(town.namespace, what[0], f":{what[1]}") as port, aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.get(f"http://127.0.0.1:{port}/here") as answer:
                    assert (await answer.json(content_type=None))["name"] == "web"


async def test_logs_by_tail_container_label_and_time(namespace):
    await namespace.pod(
        "p", pod_spec(shell("seq 5", "a"), shell("echo b", "b"), restartPolicy="Never"), labels={"app": "x"}
    )
    await namespace.ended("p")
    assert await namespace.kubectl("logs", "p", "-c", "a", "--tail=2") == "4\n5\n"
    assert sorted((await namespace.kubectl("logs", "-l", "app=x", "--all-containers", "--tail=1")).split()) == [
        "5",
        "b",
    ]
    stamped = await namespace.kubectl("logs", "p", "-c", "b", "--timestamps")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) b\n", stamped)
    assert (await namespace.kubectl("logs", "p", "-c", "a", "--limit-bytes=3")) == "1\n2"


async def test_logs_are_followed_to_their_end(namespace):
    await namespace.pod(
        "p", pod_spec(shell("echo one; while ! [ -e /tmp/go ]; do sleep 0.1; done; echo two"), restartPolicy="Never")
    )
    await namespace.ready("p")
    following = asyncio.ensure_future(namespace.kubectl("logs", "-f", "p"))
    await namespace.says("p", "touch", "/tmp/go")
    assert await following == "one\ntwo\n"


async def test_a_pod_is_debugged_by_a_container_or_a_copy(namespace):
    await namespace.pod("p", pod_spec(sleeper()))
    await namespace.ready("p")
    await namespace.kubectl(
        "debug", "p", f"--image={SHELL_IMAGE}", "--container=dbg", "--profile=general", "--", "sh", "-c", "echo looked"
    )

    def looked(pod):
        return any("terminated" in each["state"] for each in pod["status"].get("ephemeralContainerStatuses") or ())

    await namespace.until(kinds.POD, "p", looked)
    assert await namespace.log("p", "dbg") == "looked\n"


async def test_objects_are_created_by_protobuf_and_by_hand(namespace, tmp_path):
    (tmp_path / "file.txt").write_text("content")
    await namespace.kubectl("create", "configmap", "c", f"--from-file={tmp_path}/file.txt", "--from-literal=a=b")
    await namespace.kubectl("create", "secret", "generic", "s", "--from-literal=word=sesame")
    await namespace.kubectl(
        "create", "deployment", "d", f"--image={SHELL_IMAGE}", "--replicas=1", "--", "sleep", "3600"
    )
    await namespace.kubectl("create", "job", "j", f"--image={PYTHON_IMAGE}", "--", "python3", "-c", "print(6 * 7)")
    assert (await namespace.get(kinds.CONFIG_MAP, "c"))["data"] == {"a": "b", "file.txt": "content"}
    assert (await namespace.get(kinds.SECRET, "s"))["type"] == "Opaque"
    await namespace.kubectl("rollout", "status", "deployment/d", "--timeout=120s")
    await namespace.kubectl("wait", "--for=condition=Complete", "job/j", "--timeout=120s")
    assert is_true(await namespace.get(kinds.JOB, "j"), "Complete")
    assert await namespace.kubectl("logs", "job/j") == "42\n"
    assert "scaled" in await namespace.kubectl("scale", "deployment/d", "--replicas=0")


@pytest.mark.slow
@pytest.mark.needs("metrics")
async def test_top_tells_what_pods_and_nodes_use(namespace):
    await namespace.pod("p", pod_spec(sleeper()))
    await namespace.ready("p")
    async with asyncio.timeout(180):
        while True:
            try:
                told = await namespace.kubectl("top", "pods")
            except AssertionError:
                await asyncio.sleep(1)
            else:
                break
    assert re.search(r"^p +\d+m +\d+Mi", told, re.MULTILINE)
    assert await namespace.kubectl("top", "nodes")
