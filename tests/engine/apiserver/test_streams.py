"""exec, attach and port-forward at the HTTP edge: who may, what is refused, and what happens when either end goes."""

import asyncio
import struct
from contextlib import asynccontextmanager

import aiohttp
import pytest
from stream_world import EXEC, POD, UPGRADE, V5, streamed

from argosy import kinds
from argosy.engine.apiserver.streams import spdy
from argosy.engine.apiserver.streams.channels import FOR_COMMANDS
from argosy.meta.json import decode


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "message"),
    [
        ("GET", EXEC, {}, 400, "Upgrade request required"),
        ("POST", EXEC, {}, 400, "Upgrade request required"),
        ("POST", EXEC, {"connection": "Upgrade", "upgrade": "h2c"}, 400, "Upgrade request required"),
        ("PUT", EXEC, UPGRADE, 405, "the server does not allow this method on the requested resource"),
        ("GET", f"{POD}/exec?command=ls", UPGRADE, 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("GET", f"{POD}/exec?stdout=true", UPGRADE, 400, "you must specify a command"),
        ("GET", f"{POD}/exec?stdout=1&command=a&container=z", UPGRADE, 400, "container z is not valid for pod a"),
        ("GET", EXEC.replace("/a/", "/b/"), UPGRADE, 404, 'pods "b" not found'),
        ("GET", f"{POD}/attach?stdout=1", UPGRADE, 500, 'unable to upgrade connection: container not found ("c")'),
        ("GET", f"{POD}/portforward?ports=x", UPGRADE, 400, "ports x are not numbers between 1 and 65535"),
        (
            "GET", EXEC, {**UPGRADE, "sec-websocket-protocol": "v9.channel.k8s.io"}, 400,
            f"unable to upgrade: none of the subprotocols v9.channel.k8s.io is known; offer {', '.join(filter(None, FOR_COMMANDS))}",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(method, path, headers, status, message):
    async def check(world, session, nodes):
        async with session.request(method, path, headers=headers) as answer:
            body = await answer.json()
            assert (answer.status, body["message"]) == (status, message)
        assert not nodes.started

    streamed(check)


def test_a_websocket_needs_the_verb_create_too():
    async def allow(world, *verbs):
        rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": list(verbs)}]
        await world.client.create(kinds.ROLE, {"metadata": {"name": verbs[-1], "namespace": "default"}, "rules": rules})
        await world.client.create(
            kinds.ROLE_BINDING,
            {
                "metadata": {"name": verbs[-1], "namespace": "default"},
                "subjects": [{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}],
                "roleRef": {"kind": "Role", "name": verbs[-1], "apiGroup": "rbac.authorization.k8s.io"},
            },
        )

    async def check(world, session, nodes):
        alice = {"authorization": "Bearer alice"}
        await allow(world, "get")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(EXEC, protocols=[V5], headers=alice)
        assert refused.value.status == 403
        await allow(world, "create")
        async with session.ws_connect(EXEC, protocols=[V5], headers=alice) as client:
            assert client.protocol == V5

    streamed(check)


def test_a_command_over_channels():
    async def check(world, session, nodes):
        async with session.ws_connect(EXEC, protocols=[V5, "v4.channel.k8s.io"]) as client:
            assert await client.receive_bytes(timeout=5) == b"\x02hello"
            await client.send_bytes(b"\x00typed")
            assert await client.receive_bytes(timeout=5) == b"\x01typed"
            await client.send_bytes(b'\x04{"Width":80,"Height":24}')
            assert await client.receive_bytes(timeout=5) == b"\x0124x80"
            await client.send_bytes(b"\xff\x00")
            end = await client.receive_bytes(timeout=5)
            assert end[0] == 3
            assert decode(end[1:])["details"]["causes"] == [{"reason": "ExitCode", "message": "5"}]
            assert (await client.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        (process,) = nodes.started
        assert process.command == ("cat", "-n")
        await asyncio.wait_for(process.closed.wait(), 5)

    streamed(check)


def test_text_for_those_who_can_send_nothing_else_and_a_command_that_is_missing():
    async def check(world, session, nodes):
        path = f"{POD}/exec?command=missing&stdin=1&stdout=1"
        async with session.ws_connect(path, protocols=["v4.base64.channel.k8s.io"]) as client:
            await client.send_str("0aGk=")
            assert await client.receive_str(timeout=5) == "1aGk="
            nodes.started[0].close_stdin()
            end = await client.receive_str(timeout=5)
            assert end[0] == "3"

    streamed(check)


@pytest.mark.parametrize("said", [b"", b"\x00block"])
def test_a_client_that_goes_away_ends_the_command(said):
    async def check(world, session, nodes):
        client = await session.ws_connect(EXEC, protocols=[V5])
        await client.receive_bytes(timeout=5)
        if said:
            await client.send_bytes(said)
            await client.send_bytes(said)
        client._response.connection.transport.abort()
        await asyncio.wait_for(nodes.started[0].closed.wait(), 5)
        await client.close()

    streamed(check)


class Raw:
    """An SPDY client on a connection of its own."""

    def __init__(self, reader, writer):
        self._reader, self._writer, self._framer = reader, writer, spdy.Framer()

    def say(self, *frames):
        self._writer.write(b"".join(map(self._framer.encode, frames)))

    async def told(self, last):
        """Frames until that one has come, pings and windows apart."""
        found = []
        while last not in found:
            data = await asyncio.wait_for(self._reader.read(1 << 16), 5)
            assert data, f"the server has closed after {found}"
            found += [
                frame for frame in self._framer.feed(data) if not isinstance(frame, spdy.Ping | spdy.WindowUpdate)
            ]
        return found


@asynccontextmanager
async def raw(session, path, version):
    url = session._base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        head = ["POST " + path + " HTTP/1.1", "Host: x", "Authorization: Bearer admin", "Connection: Upgrade"]
        head += ["Upgrade: SPDY/3.1", f"X-Stream-Protocol-Version: {version}", "X-Stream-Protocol-Version: v1", "", ""]
        writer.write("\r\n".join(head).encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert f"X-Stream-Protocol-Version: {version}\r\n".encode() in answer
        yield Raw(reader, writer)
    finally:
        writer.close()


def test_a_command_over_raw_spdy():
    async def check(world, session, nodes):
        async with raw(session, EXEC, "v4.channel.k8s.io") as client:
            names = ("error", "stdin", "stdout", "stderr")
            client.say(*(spdy.SynStream(2 * n + 1, {"streamtype": name}) for n, name in enumerate(names)))
            client.say(spdy.Data(3, b"typed"), spdy.Data(3, b"", fin=True))
            told = await client.told(spdy.Data(1, b"", fin=True))
        said = {
            number: b"".join(f.data for f in told if f.stream == number and isinstance(f, spdy.Data))
            for number in (1, 5, 7)
        }
        assert (said[5], said[7]) == (b"typed", b"hello")
        assert decode(said[1])["reason"] == "NonZeroExitCode"
        await asyncio.wait_for(nodes.started[0].closed.wait(), 5)

    streamed(check)


def test_a_raw_client_that_goes_away_ends_the_command():
    async def check(world, session, nodes):
        async with raw(session, f"{POD}/exec?command=x&stdout=1", "v4.channel.k8s.io") as client:
            client.say(spdy.SynStream(1, {"streamtype": "error"}), spdy.SynStream(3, {"streamtype": "stdout"}))
            await client.told(spdy.SynReply(3))
            await asyncio.wait_for(nodes.begun.wait(), 5)
        await asyncio.wait_for(nodes.started[0].closed.wait(), 5)

    streamed(check)


async def upper(nodes):
    """One connection to the pod, answered in capitals."""
    loop = asyncio.get_running_loop()
    nodes.listener.setblocking(False)
    peer, _ = await loop.sock_accept(nodes.listener)
    with peer:
        while data := await loop.sock_recv(peer, 1 << 16):
            await loop.sock_sendall(peer, data.upper())


def test_ports_over_raw_spdy():
    async def check(world, session, nodes):
        serving = asyncio.create_task(upper(nodes))
        async with raw(session, f"{POD}/portforward", "portforward.k8s.io") as client:
            for number, port in ((1, "80"), (5, "81")):
                pair = {"port": port, "requestid": port}
                client.say(spdy.SynStream(number, {**pair, "streamtype": "error"}, fin=True))
                client.say(spdy.SynStream(number + 2, {**pair, "streamtype": "data"}))
            refused = await client.told(spdy.Data(5, b"", fin=True))
            assert any(b"connection refused" in f.data for f in refused if isinstance(f, spdy.Data))
            client.say(spdy.Data(3, b"abc", fin=True))
            told = await client.told(spdy.Data(1, b"", fin=True))
            assert b"".join(f.data for f in told if isinstance(f, spdy.Data) and f.stream == 3) == b"ABC"
        await asyncio.wait_for(serving, 5)

    streamed(check)


def test_ports_over_channels():
    async def check(world, session, nodes):
        serving = asyncio.create_task(upper(nodes))
        path = f"{POD}/portforward?ports=80&ports=81"
        async with session.ws_connect(path, protocols=[V5, "v4.channel.k8s.io"]) as client:
            assert client.protocol == "v4.channel.k8s.io"
            first = [await client.receive_bytes(timeout=5) for _ in range(4)]
            assert first == [bytes((n,)) + struct.pack("<H", 80 + n // 2) for n in range(4)]
            problem = await client.receive_bytes(timeout=5)
            assert problem[0] == 3
            assert b"connection refused" in problem
            await client.send_bytes(b"\x00abc")
            assert await client.receive_bytes(timeout=5) == b"\x00ABC"
        await asyncio.wait_for(serving, 5)

    streamed(check)
