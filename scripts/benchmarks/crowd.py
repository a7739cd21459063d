"""Clients that cost as little as possible, in a process of their own, so that what is measured is the server.

`python -m benchmarks.crowd watch HOME COUNT PATH` holds so many watches, says `ready` once each has had something, and at
the end of its input the fewest and the most lines that any has had. `… create HOME COUNT CONNECTIONS KIND` sends so many
requests that were written beforehand, and says how it went. Run by `run`, which is called by the measurements.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from argosy import kinds
from argosy.client.kubeconfig import load
from argosy.meta.json import Obj, encode
from benchmarks.figures import quantile

_HELLOS_AT_ONCE = 20
_CHUNK = 1 << 16


@asynccontextmanager
async def run(*arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """One crowd, ended with the context."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = (sys.executable, "-m", "benchmarks.crowd", *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environ)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process) -> Any:
    """The next thing that a crowd says."""
    assert process.stdout is not None, "it was asked for"
    return json.loads(await process.stdout.readline())


class _Server:
    def __init__(self, home: str) -> None:
        access = load([Path(home) / "kubeconfig"])
        place = urlsplit(access.server)
        self._host, self._port, self._tls = place.hostname, place.port, access.ssl_context()
        self._lines = f"Host: {place.netloc}\r\nUser-Agent: crowd/1\r\nAccept: */*\r\n"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port, ssl=self._tls, ssl_handshake_timeout=120)

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        return f"{method} {path} HTTP/1.1\r\n{self._lines}{length}\r\n".encode() + body


async def _watch(server: _Server, count: int, path: str) -> None:
    lines = [0] * count
    hellos = asyncio.Semaphore(_HELLOS_AT_ONCE)
    waiting = asyncio.Event()

    async def follow(each: int) -> None:
        async with hellos:
            reader, writer = await server.connect()
            writer.write(server.request("GET", path))
            await reader.readuntil(b"\r\n\r\n")
        while chunk := await reader.read(_CHUNK):
            lines[each] += chunk.count(b"}\n")
            if min(lines) > 0:
                waiting.set()

    following = [asyncio.ensure_future(follow(each)) for each in range(count)]
    await waiting.wait()
    print(json.dumps("ready"), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        wanted = int(line)  # how many lines everybody is to have had
        end = time.perf_counter() + 30
        while min(lines) < wanted and time.perf_counter() < end:  # noqa: ASYNC110 (a thousand counters)
            await asyncio.sleep(0.02)
        print(json.dumps([min(lines), max(lines)]), flush=True)
    for task in following:
        task.cancel()


async def _create(server: _Server, count: int, connections: int, kind: str) -> None:
    path, make = _KINDS[kind]
    requests = iter([server.request("POST", path, encode(make(number))) for number in range(count)])
    waits: list[float] = []

    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for request in requests:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 201"):
                raise ConnectionError(head.partition(b"\r\n")[0].decode())
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            waits.append(time.perf_counter() - began)

    opened = [await server.connect() for _ in range(connections)]
    began = time.perf_counter()
    await asyncio.gather(*[work(*each) for each in opened])
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "p50": quantile(waits, 0.5), "p99": quantile(waits, 0.99)}), flush=True)


def _config_map(number: int) -> Obj:
    meta = {"name": f"config-{number}", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"text": "x" * 100}}


def node(number: int) -> Obj:
    """A pretended node of eight GPUs."""
    room = {"cpu": "96", "memory": "1024Gi", "pods": "110", "nvidia.com/gpu": "8"}
    labels = {
        "kubernetes.io/hostname": f"fake-{number}", "topology.kubernetes.io/zone": f"zone-{number % 3}", "type": "kwok",
    }  # fmt: skip
    meta = {"name": f"fake-{number}", "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    addresses = [{"type": "InternalIP", "address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"}]
    status = {
        "capacity": room, "allocatable": room, "addresses": addresses,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "pretended"}],
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": status}


def _held(number: int) -> Obj:
    """A pod of one GPU that is not to be scheduled yet: its creation alone."""
    made = _pod(number)
    return {**made, "spec": {**made["spec"], "schedulingGates": [{"name": "example.com/held"}]}}


def _pod(number: int) -> Obj:
    meta = {"name": f"pod-{number}", "namespace": "default", "labels": {"app": "bench"}}
    asked = {"requests": {"cpu": "4", "memory": "8Gi"}, "limits": {"nvidia.com/gpu": "1"}}
    spec = {"containers": [{"name": "main", "image": "busybox", "resources": asked}], "nodeSelector": {"type": "kwok"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


_KINDS = {
    "ConfigMap": (kinds.CONFIG_MAP.path("default"), _config_map),
    "ConfigMap tried": (f"{kinds.CONFIG_MAP.path('default')}?dryRun=All", _config_map),
    "Node": (kinds.NODE.path(), node),
    "Pod": (kinds.POD.path("default"), _pod),
    "held Pod": (kinds.POD.path("default"), _held),
}


def main() -> None:
    """As the first line says."""
    role, home, count, *rest = sys.argv[1:]
    server = _Server(home)
    if role == "watch":
        asyncio.run(_watch(server, int(count), rest[0]))
    else:
        asyncio.run(_create(server, int(count), int(rest[0]), rest[1]))


if __name__ == "__main__":
    main()
