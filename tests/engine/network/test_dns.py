import asyncio
import socket
import struct
import time

import pytest
from network_world import HostNetwork, endpoint, free_port, service, slice_of

from argosy.engine.network import dns_wire as wire
from argosy.engine.network.dns import DnsServer
from argosy.engine.network.dns_forward import Forwarder, nameservers
from argosy.engine.network.names import Names
from argosy.meta.objects import Key, key_of


class Zone:
    """Services and slices that a test may change."""

    def __init__(self):
        self.services = {}
        self.slices = {}
        self.add(service("web", clusterIP="10.96.0.5", ports=[{"name": "http", "port": 80}]))
        self.add(service("out", type="ExternalName", externalName="away.test"))
        self.add(service("in", type="ExternalName", externalName="web.default.svc.cluster.local"))
        self.add(service("loop", type="ExternalName", externalName="loop.default.svc.cluster.local"))

    def add(self, svc, slices=()):
        self.services[key_of(svc)] = svc
        self.slices[key_of(svc)] = list(slices)

    def names(self):
        return Names("cluster.local", self.services.get, lambda key: self.slices.get(key, []))


class Upstream(asyncio.DatagramProtocol):
    """Knows away.test, says NXDOMAIN to the rest, or says nothing at all."""

    def __init__(self):
        self.asked = []
        self.silent = False

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        question = wire.parse_question(data)
        self.asked.append(question.name)
        if self.silent:
            return
        reply = wire.Reply(wire.NXDOMAIN)
        if question.name == "away.test":
            reply = wire.Reply(answers=(wire.Answer("away.test", wire.A, 30, "192.0.2.1"),), authoritative=False)
        self.transport.sendto(wire.build_reply(question, reply), addr)


async def ask(port, name, type=wire.A, *, tcp=False):
    message = wire.build_question(99, name, type)
    async with asyncio.timeout(10):
        if tcp:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(struct.pack("!H", len(message)) + message)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = await reader.readexactly(length)
            writer.close()
        else:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
                asker.setblocking(False)
                await loop.sock_sendto(asker, message, ("127.0.0.1", port))
                answer = await loop.sock_recv(asker, 65_535)
    assert answer[:2] == message[:2]
    return wire.parse_reply(answer)


def with_server(tmp_path, check, resolv_conf="nameserver 127.0.0.1\n"):
    async def main():
        loop = asyncio.get_running_loop()
        upstream = Upstream()
        transport, _ = await loop.create_datagram_endpoint(lambda: upstream, ("127.0.0.1", 0))
        conf = tmp_path / "resolv.conf"
        conf.write_text(resolv_conf)
        zone = Zone()
        forwarder = Forwarder(conf, port=transport.get_extra_info("sockname")[1])
        port = free_port()
        server = DnsServer(zone.names(), forwarder)
        running = asyncio.create_task(server.run(HostNetwork(), "127.0.0.1", port))
        try:
            await server.listening.wait()
            await check(port, zone, upstream)
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            transport.close()

    asyncio.run(main())


@pytest.mark.parametrize("tcp", [False, True])
def test_names_of_the_cluster(tmp_path, tcp):
    async def check(port, zone, upstream):
        reply = await ask(port, "web.default.svc.cluster.local", tcp=tcp)
        assert reply.code == wire.NOERROR
        assert [a.data for a in reply.answers] == ["10.96.0.5"]
        assert reply.authoritative
        # No IPv6: known, empty, at once.
        empty = await ask(port, "web.default.svc.cluster.local", wire.AAAA, tcp=tcp)
        assert (empty.code, empty.answers) == (wire.NOERROR, ())
        record = await ask(port, "_http._tcp.web.default.svc.cluster.local", wire.SRV, tcp=tcp)
        assert [a.data for a in record.answers] == [(0, 100, 80, "web.default.svc.cluster.local")]
        for name in ("no.default.svc.cluster.local", "pypi.org.default.svc.cluster.local", "web"):
            assert (await ask(port, name, tcp=tcp)).code == wire.NXDOMAIN
        aliased = await ask(port, "in.default.svc.cluster.local", tcp=tcp)
        assert [(a.type, a.data) for a in aliased.answers] == [
            (wire.CNAME, "web.default.svc.cluster.local"),
            (wire.A, "10.96.0.5"),
        ]
        assert (await ask(port, "loop.default.svc.cluster.local", tcp=tcp)).code == wire.SERVFAIL
        assert upstream.asked == []

    with_server(tmp_path, check)


def test_answers_follow_the_endpoints_at_once(tmp_path):
    async def check(port, zone, upstream):
        svc = service("job-master-0", clusterIP="None")
        name = "job-master-0.default.svc.cluster.local"
        zone.add(svc)
        assert (await ask(port, name)).code == wire.NXDOMAIN
        for address in ("10.64.0.7", "10.64.0.8"):
            zone.add(svc, [slice_of("job-master-0", [endpoint(address)], {})])
            (answer,) = (await ask(port, name)).answers
            assert (answer.data, answer.ttl_seconds) == (address, 0)
        del zone.services[Key("default", "job-master-0")]
        assert (await ask(port, name)).code == wire.NXDOMAIN

    with_server(tmp_path, check)


def test_many_endpoints_come_over_tcp(tmp_path):
    async def check(port, zone, upstream):
        many = [endpoint(f"10.64.{i // 250}.{i % 250}") for i in range(400)]
        zone.add(service("big", clusterIP="None"), [slice_of("big", many, {})])
        assert (await ask(port, "big.default.svc.cluster.local")).answers == ()
        assert len((await ask(port, "big.default.svc.cluster.local", tcp=True)).answers) == 400

    with_server(tmp_path, check)


def test_names_outside_are_asked_of_the_host(tmp_path):
    async def check(port, zone, upstream):
        assert [a.data for a in (await ask(port, "away.test")).answers] == ["192.0.2.1"]
        assert (await ask(port, "nowhere.test")).code == wire.NXDOMAIN
        reply = await ask(port, "out.default.svc.cluster.local")
        assert [(a.type, a.data) for a in reply.answers] == [(wire.CNAME, "away.test"), (wire.A, "192.0.2.1")]

    with_server(tmp_path, check)


def test_a_silent_resolver_is_waited_for_once_only(tmp_path):
    async def check(port, zone, upstream):
        upstream.silent = True
        begun = time.monotonic()
        assert (await ask(port, "away.test")).code == wire.SERVFAIL
        first = time.monotonic() - begun
        assert first < 5
        assert (await ask(port, "away.test")).code == wire.SERVFAIL
        assert len(upstream.asked) == 1
        # Names of the cluster have not waited meanwhile.
        assert (await ask(port, "web.default.svc.cluster.local")).answers

    with_server(tmp_path, check)


def test_without_a_resolver_the_answer_is_no(tmp_path):
    async def check(port, zone, upstream):
        assert (await ask(port, "away.test")).code == wire.SERVFAIL
        assert upstream.asked == []

    with_server(tmp_path, check, resolv_conf="# none\nsearch x\n")


def test_rubbish_gets_an_error_or_nothing_and_harms_nobody(tmp_path):
    async def check(port, zone, upstream):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            for rubbish in (b"", b"x", b"\0" * 12, b"\xff" * 40, wire.build_question(1, "web", 1)[:-3]):
                asker.sendto(rubbish, ("127.0.0.1", port))
        assert (await ask(port, "web.default.svc.cluster.local")).answers

    with_server(tmp_path, check)


def test_reading_resolv_conf():
    text = "# hi\nnameserver 1.1.1.1 # one\n nameserver\t2.2.2.2\nnameserver\nsearch a\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n"
    assert nameservers(text) == ["1.1.1.1", "2.2.2.2", "3.3.3.3"]
