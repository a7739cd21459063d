"""The program as a pod runs it: its command line, its signals, its last words."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

ISVC = {
    "metadata": {"name": "llm", "namespace": "default", "resourceVersion": "1"},
    "spec": {"predictor": {"model": {}}},
}


async def started(handler, stack: list) -> int:
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stack.append(runner)
    return int(runner.addresses[0][1])


def api_server(model_port: int):
    labels = {"serving.kserve.io/inferenceservice": "llm", "kubernetes.io/service-name": "llm-predictor"}
    meta = {"name": "x", "namespace": "default", "labels": labels, "resourceVersion": "1"}
    slice = {"metadata": meta, "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"port": model_port}]}

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.query.get("watch"):
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.Event().wait()
        items = [slice] if request.path.endswith("endpointslices") else [ISVC]
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})

    return handle


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def run(*arguments: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "argosy.programs.gateway", *arguments]
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)


async def ready(session: aiohttp.ClientSession, url: str) -> None:
    for _ in range(200):
        try:
            async with session.get(f"{url}/ready") as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    raise AssertionError("the gateway did not become ready")


def test_it_serves_and_ends_after_the_last_request(tmp_path: Path):
    release, busy = asyncio.Event(), asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        busy.set()
        await release.wait()
        return web.json_response({"ok": True})

    async def test() -> None:
        runners: list[web.ServerRunner] = []
        api = await started(api_server(await started(slow, runners)), runners)
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{api}"}}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        process = await run("--host", "127.0.0.1", "--port", str(port), "--kubeconfig", str(tmp_path / "config"))
        try:
            async with aiohttp.ClientSession() as session:
                await ready(session, url)
                asked = asyncio.create_task(session.post(f"{url}/v1/completions", data=json.dumps({"model": "llm"})))
                await busy.wait()
                process.send_signal(signal.SIGTERM)
                async with session.get(f"{url}/health") as response:
                    assert response.status == 200
                release.set()
                async with await asked as response:
                    assert await response.json() == {"ok": True}
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            for runner in runners:
                await runner.cleanup()

    asyncio.run(asyncio.wait_for(test(), 25))


def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path):
    async def test() -> None:
        process = await run("--kubeconfig", str(tmp_path / "absent"))
        _, said = await process.communicate()
        assert process.returncode == 1
        assert b"there is no kubeconfig at" in said
        assert b"Traceback" not in said

    asyncio.run(asyncio.wait_for(test(), 25))
