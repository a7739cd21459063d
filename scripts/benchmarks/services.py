"""What a Service costs beside going to the pod directly: bytes a second, and the time to connect."""

from __future__ import annotations

import json
import time
from functools import partial

from argosy import kinds
from argosy.client.client import Client
from argosy.control.informer import Informer
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from benchmarks.engines import NAMESPACE, engine, following, phase, pod
from benchmarks.figures import Figure, milliseconds

_IMAGE = "argosy/runtime"
_PORT = 9000
_SECONDS_MAX = 60.0

_SERVER = f"""
import os, socket, threading
listener = socket.create_server((os.environ.get("POD_IP", "0.0.0.0"), {_PORT}), backlog=512)
block = bytes(1 << 18)
def answer(line):
    with line:
        asked = line.recv(16)
        for _ in range(int(asked or 0)):
            line.sendall(block)
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
"""

_CLIENT = f"""
import json, socket, sys, time
def fetch(host, blocks):
    began = time.perf_counter()
    with socket.create_connection((host, {_PORT})) as line:
        line.sendall(str(blocks).encode())
        total = 0
        while part := line.recv(1 << 18):
            total += len(part)
    assert total == blocks << 18, total
    return time.perf_counter() - began
found = {{}}
for name, host in (("direct", sys.argv[1]), ("service", sys.argv[2]), ("direct", sys.argv[1]), ("service", sys.argv[2])):
    fetch(host, 1)
    found[name] = {{"bytes_per_second": max(found.get(name, {{}}).get("bytes_per_second", 0), (1000 << 18) / fetch(host, 1000)),
                   "seconds": [fetch(host, 0) for _ in range(300)]}}
print(json.dumps(found))
"""


async def services() -> list[Figure]:
    """Pod to pod, directly and through a Service's ClusterIP."""
    async with engine() as (_, client):
        address = await _server(client)
        service = await client.create(kinds.SERVICE, _service())
        found = await _ask(client, address, service["spec"]["clusterIP"])
    direct, through = found["direct"], found["service"]
    rates = [round(each["bytes_per_second"] / 1e6) for each in (through, direct)]
    return [
        Figure("Service throughput, pod to pod", f"{rates[0]} MB/s", "", f"direct: {rates[1]} MB/s"),
        Figure(
            "Service connect and close",
            milliseconds(through["seconds"]),
            "",
            f"direct: {milliseconds(direct['seconds'])}",
        ),
    ]


async def _server(client: Client) -> str:
    async with following(client, kinds.POD) as pods:
        await client.create(kinds.POD, pod("server", ["python", "-c", _SERVER], _IMAGE))
        key = Key(NAMESPACE, "server")
        if not await pods.until(lambda: phase(pods.get(key)) == "Running", _SECONDS_MAX):
            raise TimeoutError("the server's pod does not run")
        found = pods.get(key)
        assert found is not None, "it runs"
        return str(found["status"]["podIP"])


async def _ask(client: Client, direct: str, service: str) -> Obj:
    """Measure from a second pod, as often as it takes until the Service has its endpoint."""
    deadline = time.monotonic() + _SECONDS_MAX
    async with following(client, kinds.POD) as pods:
        attempt = 0
        while time.monotonic() < deadline:
            attempt += 1
            key = Key(NAMESPACE, f"client-{attempt}")
            await client.create(kinds.POD, pod(key.name, ["python", "-c", _CLIENT, direct, service], _IMAGE))
            await pods.until(partial(_has_ended, pods, key), _SECONDS_MAX)
            said = b"".join([chunk async for chunk in client.logs(kinds.POD, key)]).decode()
            if phase(pods.get(key)) == "Succeeded":
                found: Obj = json.loads(said)
                return found
    raise TimeoutError(f"the Service does not answer: {said[-300:]}")


def _has_ended(pods: Informer, key: Key) -> bool:
    return phase(pods.get(key)) in ("Succeeded", "Failed")


def _service() -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server", "namespace": NAMESPACE},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": _PORT, "targetPort": _PORT}]},
    }
