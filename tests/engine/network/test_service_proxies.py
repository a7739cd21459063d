import asyncio
import socket

import pytest
from network_world import (
    HostNetwork,
    answering,
    ask,
    background,
    cluster,
    endpoint,
    free_port,
    service,
    slice_of,
    until,
)

from argosy.clock import SystemClock
from argosy.engine.network import NetworkSettings
from argosy.engine.network import run as run_network
from argosy.engine.node.runtime.spec import Level
from argosy.kinds import ENDPOINT_SLICE, EVENT, SERVICE
from argosy.meta.json import thaw
from argosy.meta.objects import Key


def settings(**more):
    return NetworkSettings(level=Level.L0, **more)


def with_network(check, **more):
    async def main():
        async with cluster() as (client, informers):
            network = HostNetwork()
            running = run_network(client, network, settings(**more), SystemClock(), informers=informers)
            async with background(running):
                await check(client, network)

    asyncio.run(main())


async def makes(client, svc, slices=()):
    made = await client.create(SERVICE, svc)
    for each in slices:
        await client.create(ENDPOINT_SLICE, each)
    return made["spec"]["clusterIP"]


async def accepts(address, port):
    try:
        _, writer = await asyncio.open_connection(address, port)
    except ConnectionError:  # refused, or reset while the listener closes
        return False
    writer.close()
    return True


async def events(client):
    return [e for e in (await client.list(EVENT)).items if e["reason"] == "PortNotServed"]


def test_connections_reach_ready_pods_in_turn_and_follow_the_slices():
    async def check(client, network):
        async with answering("a") as a, answering("b", "127.0.0.2") as b:
            ip = await makes(client, service(ports=[{"name": "x", "port": 8000}]))
            slices = [
                slice_of("web", [endpoint("127.0.0.1")], {"x": a}, suffix="a"),
                slice_of("web", [endpoint("127.0.0.2")], {"x": b}, suffix="b"),
            ]
            for each in slices:
                await client.create(ENDPOINT_SLICE, each)
            await until(lambda: accepts(ip, 8000))
            assert ip in network.local
            answers = {await ask(ip, 8000, b"hi") for _ in range(6)}
            assert answers == {b"a:hi", b"b:hi"}
            await client.delete(ENDPOINT_SLICE, Key("default", "web-a"))

            async def only_b():
                return {await ask(ip, 8000) for _ in range(3)} == {b"b:hello"}

            await until(only_b)
            # With nobody ready clients are refused, not reset or left waiting.
            await client.patch(ENDPOINT_SLICE, Key("default", "web-b"), {"endpoints": [endpoint("127.0.0.2", False)]})

            async def refused():
                return not await accepts(ip, 8000)

            await until(refused)
            await client.patch(ENDPOINT_SLICE, Key("default", "web-b"), {"endpoints": [endpoint("127.0.0.2")]})
            await until(lambda: accepts(ip, 8000))
            await client.delete(SERVICE, Key("default", "web"))
            await until(refused)

    with_network(check)


def test_a_backend_that_refuses_is_passed_over():
    async def check(client, network):
        async with answering("alive") as port:
            dead = [endpoint(f"127.0.0.{i}") for i in (3, 4, 5)]
            ip = await makes(
                client,
                service(ports=[{"port": 8001}]),
                [slice_of("web", [*dead, endpoint("127.0.0.1")], {"": port})],
            )
            await until(lambda: accepts(ip, 8001))
            assert [await ask(ip, 8001) for _ in range(8)] == [b"alive:hello"] * 8

    with_network(check)


def test_much_data_flows_both_ways_and_a_slow_reader_holds_up_its_writer():
    size = 40 << 20

    async def check(client, network):
        progress = 0

        async def serve(reader, writer):
            nonlocal progress
            total = 0
            while data := await reader.read(1 << 20):
                total += len(data)
            writer.write(str(total).encode() + b"\n")
            block = b"x" * (1 << 20)
            for _ in range(40):
                writer.write(block)
                await writer.drain()
                progress += 1
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            ip = await makes(
                client, service(ports=[{"port": 8002}]), [slice_of("web", [endpoint("127.0.0.1")], {"": port})]
            )
            await until(lambda: accepts(ip, 8002))
            await asyncio.sleep(0.1)
            progress = 0
            reader, writer = await asyncio.open_connection(ip, 8002, limit=1 << 16)
            for _ in range(40):
                writer.write(b"y" * (1 << 20))
                await writer.drain()
            writer.write_eof()
            assert await reader.readline() == b"%d\n" % size
            stalled = -1
            while stalled != progress:
                stalled = progress
                await asyncio.sleep(0.2)
            assert progress < 40, "nobody buffers without bound"
            received = 0
            while data := await reader.read(1 << 20):
                received += len(data)
            assert received == size
            writer.close()

    with_network(check)


def test_affinity():
    async def check(client, network):
        async with answering("a") as a, answering("b", "127.0.0.2") as b:
            svc = service(ports=[{"port": 8003}], sessionAffinity="ClientIP")
            slices = [
                slice_of("web", [endpoint("127.0.0.1")], {"": a}, suffix="a"),
                slice_of("web", [endpoint("127.0.0.2")], {"": b}, suffix="b"),
            ]
            ip = await makes(client, svc, slices)
            await until(lambda: accepts(ip, 8003))
            await asyncio.sleep(0.1)
            assert len({await ask(ip, 8003) for _ in range(6)}) == 1

    with_network(check)


def test_node_ports_and_load_balancers_are_on_the_host():
    async def check(client, network):
        async with answering("a") as a:
            outside = free_port()
            svc = service(type="LoadBalancer", ports=[{"port": outside}])
            await makes(client, svc, [slice_of("web", [endpoint("127.0.0.1")], {"": a})])
            made = await client.get(SERVICE, "web", "default")
            node_port = made["spec"]["ports"][0]["nodePort"]
            await until(lambda: accepts("127.0.0.1", node_port))
            assert await ask("127.0.0.1", node_port) == b"a:hello"
            assert await ask("127.0.0.1", outside) == b"a:hello"

            async def told():
                status = (await client.get(SERVICE, "web", "default")).get("status") or {}
                return status.get("loadBalancer", {}).get("ingress", [{}])[0].get("ip") == "127.0.0.1"

            await until(told)

    with_network(check)


def test_a_load_balancer_lets_in_whom_it_is_for():
    async def check(client, network):
        async with answering("a") as port:
            outside = free_port()
            spec = {"type": "LoadBalancer", "ports": [{"port": outside}]}
            svc = service(**spec, loadBalancerSourceRanges=["192.0.2.0/24"])
            ip = await makes(client, svc, [slice_of("web", [endpoint("127.0.0.1")], {"": port})])
            await until(lambda: accepts(ip, outside))
            await until(lambda: accepts("127.0.0.1", outside))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError, AssertionError)):
                assert await ask("127.0.0.1", outside)
            made = thaw(await client.get(SERVICE, "web", "default"))
            made["spec"]["loadBalancerSourceRanges"] = ["127.0.0.0/8"]
            await client.update(SERVICE, made)

            async def let_in():
                try:
                    return await ask("127.0.0.1", outside) == b"a:hello"
                except ConnectionError:
                    return False

            await until(let_in)

    with_network(check)


def test_a_port_that_is_taken_is_told_and_had_when_it_is_free():
    async def check(client, network):
        async with answering("a") as a:
            with socket.socket() as squatter:
                squatter.bind(("127.0.0.1", 0))
                squatter.listen()
                taken = squatter.getsockname()[1]
                svc = service(type="LoadBalancer", ports=[{"port": taken}])
                ip = await makes(client, svc, [slice_of("web", [endpoint("127.0.0.1")], {"": a})])
                await until(lambda: events(client))
                (event,) = await events(client)
                assert f"port {taken} on 127.0.0.1 is in use" in event["message"]
                assert event["involvedObject"]["name"] == "web"
                # Its other port works all the same.
                assert await ask(ip, taken) == b"a:hello"

            async def has_it():
                try:
                    return await ask("127.0.0.1", taken, timeout=0.5) == b"a:hello"
                except (OSError, TimeoutError):
                    return False

            # Anything that happens to the Service is a reason to look again; otherwise it would be seconds.
            await client.patch(SERVICE, Key("default", "web"), {"metadata": {"labels": {"look": "again"}}})
            await until(has_it)

    with_network(check)


def test_of_two_load_balancers_on_one_port_the_second_waits_for_the_first():
    async def check(client, network):
        async with answering("a") as a, answering("b") as b:
            port = free_port()
            for name, backend in (("one", a), ("two", b)):
                svc = service(name, type="LoadBalancer", ports=[{"port": port}])
                await makes(client, svc, [slice_of(name, [endpoint("127.0.0.1")], {"": backend})])
                await until(lambda: accepts("127.0.0.1", port))
            await until(lambda: events(client))
            assert "taken by Service default/one" in (await events(client))[0]["message"]
            await client.delete(SERVICE, Key("default", "one"))

            async def moved():
                return await accepts("127.0.0.1", port) and await ask("127.0.0.1", port) == b"b:hello"

            await until(moved)

    with_network(check)


def test_udp():
    async def check(client, network):
        class Echo(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                self.transport = transport

            def datagram_received(self, data, addr):
                self.transport.sendto(b"echo:" + data, addr)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        made = slice_of("web", [endpoint("127.0.0.1")], {"": port})
        made["ports"][0]["protocol"] = "UDP"
        ip = await makes(client, service(ports=[{"port": 8053, "protocol": "UDP"}]), [made])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.setblocking(False)

            async def answered():
                asker.sendto(b"hi", (ip, 8053))
                try:
                    async with asyncio.timeout(0.2):
                        return await loop.sock_recv(asker, 100) == b"echo:hi"
                except (TimeoutError, OSError):
                    return False

            await until(answered)
        transport.close()

    with_network(check)


@pytest.mark.parametrize("kind", ["headless", "external"])
def test_services_without_an_address_take_no_port(kind):
    async def check(client, network):
        spec = {"clusterIP": "None"} if kind == "headless" else {"type": "ExternalName", "externalName": "example.org"}
        await client.create(SERVICE, service("quiet", **spec))
        await makes(client, service(), [slice_of("web", [endpoint("127.0.0.1")], {"": 1})])

        async def served():
            return bool(network.local)

        await until(served)
        assert len(network.local) >= 1
        assert await events(client) == []

    with_network(check)


def test_an_update_of_ports_moves_the_listener():
    async def check(client, network):
        async with answering("a") as a:
            ip = await makes(
                client, service(ports=[{"port": 8004}]), [slice_of("web", [endpoint("127.0.0.1")], {"": a})]
            )
            await until(lambda: accepts(ip, 8004))
            svc = thaw(await client.get(SERVICE, "web", "default"))
            svc["spec"]["ports"][0]["port"] = 8005
            await client.update(SERVICE, svc)
            await until(lambda: accepts(ip, 8005))
            assert not await accepts(ip, 8004)

    with_network(check)
