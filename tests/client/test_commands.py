"""Commands in containers: what a client hears of them, in process and over a WebSocket."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from argosy import kinds
from argosy.client.client import Client
from argosy.client.http import HttpTransport
from argosy.client.kubeconfig import Access
from argosy.client.websocket import exit_code
from argosy.clock import SystemClock
from argosy.engine.apiserver.authn import Authenticator
from argosy.engine.apiserver.http import serve
from argosy.errors import ApiError, InternalError
from argosy.meta.objects import Key
from argosy.testing.cluster import ADMIN, cluster

POD = Key("default", "a")
OBJ = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i:1"}]},
}


class Said:
    """A process that says its arguments, the first one as an error."""

    def __init__(self, command, ended):
        self.command, self.ended = command, ended

    async def output(self):
        yield "stderr", self.command[0].encode()
        for word in self.command[1:]:
            yield "stdout", word.encode()
        if self.command[0] == "hang":
            await asyncio.Event().wait()

    async def write(self, data):
        pass

    def close_stdin(self):
        pass

    async def wait(self):
        if self.command[0] == "missing":
            raise InternalError("there is no such command")
        return len(self.command) - 1

    def close(self):
        self.ended.set()


class Nodes:
    """The node that the server reaches."""

    def __init__(self):
        self.asked, self.ended = [], asyncio.Event()

    def exec(self, pod, container, command, streams):
        async def opened():
            self.asked.append((container, tuple(command), streams.stdin))
            return Said(command, self.ended)

        return opened


@asynccontextmanager
async def reached(how):
    """A client that reaches a pod, in process or over HTTP, and its node."""
    nodes = Nodes()
    async with cluster(nodes=nodes) as made:
        await made.client.create(kinds.POD, OBJ)
        if how == "in process":
            yield made.client, nodes
            return
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        authenticator = Authenticator(made.app.api.tokens, {"admin": ADMIN}, SystemClock())
        client = Client(HttpTransport(Access(f"http://127.0.0.1:{sock.getsockname()[1]}", token="admin")))
        async with serve(made.app, sock, None, authenticator):
            try:
                yield client, nodes
            finally:
                await client.close()


def played(how, check):
    async def run():
        async with reached(how) as (client, nodes), asyncio.timeout(20):
            await check(client, nodes)

    asyncio.run(run())


WAYS = pytest.mark.parametrize("how", ["in process", "over HTTP"])


@WAYS
@pytest.mark.parametrize("command", [("one",), ("one", "two", "two")])
def test_a_command_runs_to_its_end(how, command):
    async def check(client, nodes):
        done = await client.execute(kinds.POD, POD, command, container="c")
        assert (done.code, done.stdout, done.stderr) == (len(command) - 1, b"two" * (len(command) - 1), b"one")
        assert nodes.asked == [("c", command, False)]
        await nodes.ended.wait()

    played(how, check)


@WAYS
def test_what_cannot_be_run_is_an_error(how):
    async def check(client, nodes):
        with pytest.raises(ApiError, match="no such command"):
            await client.execute(kinds.POD, POD, ["missing"])
        with pytest.raises(ApiError):
            await client.execute(kinds.POD, Key("default", "b"), ["one"])

    played(how, check)


@WAYS
def test_giving_up_ends_the_command(how):
    async def check(client, nodes):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.execute(kinds.POD, POD, ["hang"])
        await nodes.ended.wait()

    played(how, check)


def test_the_end_in_words():
    assert exit_code({"status": "Success"}) == 0
    lost = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "137"}]}}
    assert exit_code(lost) == 137
    with pytest.raises(ApiError, match="no such container"):
        exit_code({"status": "Failure", "message": "no such container", "code": 404})
