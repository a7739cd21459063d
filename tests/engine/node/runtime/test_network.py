"""The cluster's network at L2, and what stands for it below."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading

import pytest

from argosy.engine.node.runtime.network import HostNetwork
from argosy.engine.node.runtime.spec import Level

SERVER = """
import socket, sys
listener = socket.create_server(("0.0.0.0", 80))
print("listening", flush=True)
while True:
    line, peer = listener.accept()
    line.sendall(peer[0].encode())
    line.close()
"""
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as line:
    print(line.recv(100).decode())
"""


async def receive(sock: socket.socket, address: tuple[str, int]) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, address)
    data = await loop.sock_recv(sock, 100)
    sock.close()
    return data


def test_pods_and_engine_reach_each_other(networked):
    server, client = networked.pod(), networked.pod()

    async def scenario(runtime):
        for pod in (server, client):
            await runtime.create_pod(pod)
        await runtime.start_container(networked.python(server, SERVER))
        await networked.until_logged(server, "listening")
        pod_to_pod = await networked.play(runtime, networked.python(client, CLIENT, server.address, "80"))
        itself = await networked.play(runtime, networked.python(server, CLIENT, server.address, "80", name="self"))
        engine_to_pod = await receive(runtime.network.socket(), (server.address, 80))
        return pod_to_pod, itself, engine_to_pod

    pod_to_pod, itself, engine_to_pod = networked.run(scenario)
    assert pod_to_pod == f"{client.address}\n"
    assert itself == f"{server.address}\n"
    assert engine_to_pod == b"169.254.1.1"


def test_the_engine_listens_inside(networked):
    """A cluster IP on a privileged port: the API server's address as pods see it."""
    pod = networked.pod()

    async def scenario(runtime):
        runtime.network.add_local_address("10.96.0.1")
        runtime.network.add_local_address("10.96.0.1")  # idempotent
        listener = runtime.network.socket()
        listener.bind(("10.96.0.1", 443))
        listener.listen()
        seen = []

        async def serve(reader, writer):
            seen.append(writer.get_extra_info("peername")[0])
            writer.write(b"hello from the engine")
            writer.close()

        async with await asyncio.start_server(serve, sock=listener):
            said = await networked.play(runtime, networked.python(pod, CLIENT, "10.96.0.1", "443"))
        return said, seen

    said, seen = networked.run(scenario)
    assert said == "hello from the engine\n"
    assert seen == [pod.address]


def test_datagrams(networked):
    pod = networked.pod()
    program = """
import socket
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.settimeout(5)
line.sendto(b"query", ("10.96.0.10", 53))
print(line.recv(100).decode())
"""

    async def scenario(runtime):
        runtime.network.add_local_address("10.96.0.10")
        line = runtime.network.socket(type=socket.SOCK_DGRAM)
        line.bind(("10.96.0.10", 53))
        answering = asyncio.create_task(answer(line))
        said = await networked.play(runtime, networked.python(pod, program))
        await answering
        line.close()
        return said

    async def answer(line):
        loop = asyncio.get_running_loop()
        data, sender = await loop.sock_recvfrom(line, 100)
        await loop.sock_sendto(line, b"answer to " + data, sender)

    assert networked.run(scenario) == "answer to query\n"


def test_the_network_survives_its_holder(networked):
    """Even with no pod in it: what the engine listens on there must stay reachable."""
    server, client = networked.pod(), networked.pod()

    async def serve(reader, writer):
        writer.write(b"still here")
        writer.close()

    async def scenario(runtime):
        runtime.network.add_local_address("10.96.0.7")
        listener = runtime.network.socket()
        listener.bind(("10.96.0.7", 443))
        listener.listen()
        async with await asyncio.start_server(serve, sock=listener):
            os.kill((await runtime._main.connection.ask({"op": "hello"}))["pid"], signal.SIGKILL)
            await runtime.create_pod(server)
            said = await networked.play(runtime, networked.python(client, CLIENT, "10.96.0.7", "443"))
            await runtime.remove_pod(client.uid)
            await runtime.start_container(networked.python(server, SERVER))
            await networked.until_logged(server, "listening")
            os.kill((await runtime._main.connection.ask({"op": "hello"}))["pid"], signal.SIGKILL)
            await runtime.create_pod(client)
            spec = networked.python(client, CLIENT, server.address, "80", name="again")
            other = await networked.play(runtime, spec)
            return said, other, await receive(runtime.network.socket(), (server.address, 80))

    said, other, from_engine = networked.run(scenario)
    assert said == "still here\n"
    assert other == f"{client.address}\n"
    assert from_engine == b"169.254.1.1"


def test_a_socket_inside_a_pod(bench):
    """What port-forward needs: a server that listens on the pod's loopback only."""
    pod = bench.pod()
    address = "127.0.0.1" if bench.level is Level.L2 else pod.address
    program = SERVER.replace('"0.0.0.0", 80', f'"{address}", 0').replace('"listening"', "listener.getsockname()[1]")

    async def scenario(runtime):
        await runtime.create_pod(pod)
        await runtime.start_container(bench.python(pod, program))
        await bench.until_logged(pod, "\n")
        return await receive(await runtime.pod_socket(pod.uid), (address, int(bench.output(pod))))

    assert bench.run(scenario) == b"127.0.0.1"


def test_an_address_can_be_used_again_at_once(networked):
    async def scenario(runtime):
        said = []
        for _ in range(3):
            pod = networked.pod(address="10.64.1.9")
            await runtime.create_pod(pod)
            await runtime.start_container(networked.python(pod, SERVER))
            await networked.until_logged(pod, "listening")
            said.append(await receive(runtime.network.socket(), ("10.64.1.9", 80)))
            await runtime.remove_pod(pod.uid)
        return said

    assert networked.run(scenario) == [b"169.254.1.1"] * 3


def test_a_pod_on_the_hosts_network(networked):
    pod = networked.pod(host_network=True)

    async def scenario(runtime):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=lambda: listener.accept()[0].sendall(b"the host"), daemon=True).start()
            port = str(listener.getsockname()[1])
            return await networked.play(runtime, networked.python(pod, CLIENT, "127.0.0.1", port))

    assert networked.run(scenario) == "the host\n"


def test_many_sockets_at_once_are_many(networked):
    async def scenario(runtime):
        def make():
            return [runtime.network.socket() for _ in range(30)]

        batches = await asyncio.gather(*(asyncio.to_thread(make) for _ in range(4)))
        made = [each for batch in batches for each in batch]
        inodes = {each.fileno() for each in made}
        for each in made:
            assert not each.getblocking()
            each.close()
        with pytest.raises(OSError):
            runtime.network.socket(family=12345)
        runtime.network.socket().close()  # a refusal does not spoil the line
        return len(inodes)

    assert networked.run(scenario) == 120


def test_below_l2_the_network_is_the_hosts():
    network = HostNetwork(Level.L0)
    network.add_local_address("127.66.128.1")
    with network.socket() as listener, socket.socket() as client:
        listener.bind(("127.66.128.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
