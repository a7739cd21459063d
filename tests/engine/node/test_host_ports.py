"""hostPorts lead to pods, and go with them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from argosy import kinds
from argosy.clock import SystemClock
from argosy.engine.node.host_ports import wanted
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.probe import best_level, open_runtime
from argosy.engine.node.settings import NodePlace
from argosy.meta.objects import Key

from .agent_world import node_over

ECHO = (
    "import os, socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind((os.environ['POD_IP'], 5300)); print('up', flush=True)\n"
    "while True: data, who = s.recvfrom(999); s.sendto(b'echo ' + data, who)"
)
SERVER = (
    "import os, socket; s = socket.create_server((os.environ['POD_IP'], 8000)); print('up', flush=True)\n"
    "while True: c, _ = s.accept(); c.sendall(b'hello'); c.close()"
)


@pytest.fixture
def home():
    with TemporaryDirectory(prefix="argosy-node-") as directory:
        yield Path(directory)
        remove_memory(Path(directory))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_is_wanted():
    ports = [
        {"containerPort": 80, "hostPort": 8080},
        {"containerPort": 81},
        {"containerPort": 53, "hostPort": 53, "protocol": "UDP"},
    ]
    pod = {"spec": {"containers": [{"ports": ports}]}}
    here = NodePlace("127.0.0.1", "127.0.0.1")
    assert [(str(listen), port) for listen, port in wanted(pod, here)] == [
        ("127.0.0.1:8080/TCP", 80), ("127.0.0.1:53/UDP", 53),
    ]  # fmt: skip
    assert list(wanted({"spec": {**pod["spec"], "hostNetwork": True}}, here)) == []


def test_a_node_is_met_from_both_sides():
    node = NodePlace("10.95.0.2", "127.0.0.2")

    def places(**port):
        pod = {"spec": {"containers": [{"ports": [{"containerPort": 80, "hostPort": 8080, **port}]}]}}
        return [f"{listen.place.value} {listen.address}" for listen, _ in wanted(pod, node)]

    assert places() == places(hostIP="0.0.0.0") == ["host 127.0.0.2", "cluster 10.95.0.2"]
    assert places(hostIP="127.0.0.1") == ["host 127.0.0.1"]
    assert places(hostIP="10.95.0.2") == ["cluster 10.95.0.2"]


def test_a_port_of_the_machine_leads_to_the_pod(home):
    async def scenario():
        async with node_over(home, open_runtime(home, best_level()[0]), SystemClock()) as world:
            port, taken = free_port(), socket.create_server(("127.0.0.1", 0))
            busy = taken.getsockname()[1]
            ports = [{"containerPort": 8000, "hostPort": port}, {"containerPort": 8000, "hostPort": busy}]
            container = {"name": "c", "image": "argosy/runtime", "command": ["python", "-c", SERVER], "ports": ports}
            probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
            await world.create("p", containers=[{**container, "readinessProbe": probe}])
            await world.until("p", lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("ready") is True)
            with taken:
                assert f"127.0.0.1:{busy}" in (await world.event("HostPortNotServed"))["message"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b"hello"
            writer.close()
            await world.client.delete(kinds.POD, Key("default", "p"), grace_seconds=1)
            await world.gone("p")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(scenario())


def test_a_port_for_datagrams(home):
    async def scenario():
        async with node_over(home, open_runtime(home, best_level()[0]), SystemClock()) as world:
            port, loop = free_port(), asyncio.get_running_loop()
            ports = [{"containerPort": 5300, "hostPort": port, "protocol": "UDP"}]
            container = {"name": "c", "image": "argosy/runtime", "command": ["python", "-c", ECHO], "ports": ports}
            await world.create("p", containers=[container])
            await world.phase("p", "Running")
            with socket.socket(type=socket.SOCK_DGRAM) as asker:
                asker.setblocking(False)
                asker.connect(("127.0.0.1", port))
                answer = b""
                while not answer:  # it may not listen yet, and a datagram is then lost
                    with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                        asker.send(b"hi")
                        answer = await asyncio.wait_for(loop.sock_recv(asker, 99), 0.5)
            assert answer == b"echo hi"

    asyncio.run(asyncio.wait_for(scenario(), 30))
