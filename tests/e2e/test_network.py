"""Services and NetworkPolicies with real pods, through the API alone, as they would be tried on any cluster.

The pods are one program: it serves two ports and, asked to, tries to connect to somewhere and says how that went.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from engine_home import EngineHome, unavailable

from argosy import kinds
from argosy.cli.connection import connect
from argosy.client.client import Client
from argosy.client.requests import Request
from argosy.engine.node.runtime.holder.rules import PROGRAMS
from argosy.engine.node.runtime.spec import Level
from argosy.errors import ApiError
from argosy.meta.json import Obj
from argosy.meta.objects import Key, labels_of, pod_is_ready

_SECONDS = 30.0
_PROGRAM = """
import http.server, json, os, socket, threading, urllib.parse

class Talker(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        told = {"name": os.environ["HOSTNAME"], "client": self.client_address[0]}
        if "host" in asked:
            told = try_it(asked["host"], int(asked["port"]))
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass

LINE = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # one client port for all datagrams
LINE.settimeout(0.5)

def try_it(host, port):
    if port == 5300:
        try:
            LINE.sendto(b"who?", (host, port))
            return {"name": LINE.recv(100).decode()}
        except OSError as error:
            return {"error": str(error)}
    try:
        with socket.create_connection((host, port), timeout=2) as line:
            line.sendall(b"GET / HTTP/1.0\\r\\nConnection: close\\r\\n\\r\\n")
            answer = b""
            while part := line.recv(65536):
                answer += part
    except OSError as error:
        return {"error": str(error)}
    return json.loads(answer.partition(b"\\r\\n\\r\\n")[2])

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

def answer_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("0.0.0.0", 5300))
        while True:
            _, client = line.recvfrom(100)
            line.sendto(os.environ["HOSTNAME"].encode(), client)

threading.Thread(target=answer_datagrams, daemon=True).start()
threading.Thread(target=Server(("0.0.0.0", 9090), Talker).serve_forever, daemon=True).start()
Server(("0.0.0.0", 8080), Talker).serve_forever()
"""


_WATCHER = """
import select, socket, sys
while True:
    try:
        socket.create_connection((sys.argv[1], 8080), timeout=2).close()
        print("open", flush=True)
    except OSError:
        print("shut", flush=True)
    select.select([], [], [], 0.02)
"""


class Town:
    """Pods that can be asked to talk to each other."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def pod(self, name: str, namespace: str = "default", **labels: str) -> str:
        """A pod that is ready; its address."""
        container = {
            "name": "c", "image": "python:3", "command": ["python", "-c", _PROGRAM],
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}],
            "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        }  # fmt: skip
        meta = {"name": name, "namespace": namespace, "labels": labels or {"app": name}}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        await self.client.create(kinds.POD, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        async with asyncio.timeout(_SECONDS):
            async for event in self.client.watch(kinds.POD, namespace=namespace, fields=f"metadata.name={name}"):
                if pod_is_ready(event.obj):
                    return str(event.obj["status"]["podIP"])
        raise AssertionError("the watch ended")

    async def service(self, name: str, **spec: object) -> str:
        """A Service; its address."""
        spec.setdefault("selector", {"app": name})
        spec.setdefault("ports", [{"port": 80, "targetPort": "http"}])
        meta = {"name": name, "namespace": "default"}
        made = await self.client.create(
            kinds.SERVICE, {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        )
        return str(made["spec"]["clusterIP"])

    async def policy(self, name: str, **spec: object) -> None:
        """A NetworkPolicy in `default`."""
        meta = {"name": name, "namespace": "default"}
        kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        await self.client.create(kinds.NETWORK_POLICY, {**kind, "metadata": meta, "spec": spec})

    async def forget(self, *names: str) -> None:
        """Delete policies."""
        for name in names:
            await self.client.delete(kinds.NETWORK_POLICY, Key("default", name))

    async def ask(self, pod: str, host: str, port: int, namespace: str = "default") -> Obj:
        """Have a pod connect: what the other side told, or `error`."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}:8080/proxy/"
        answer = await self.client.raw(Request("GET", path, query={"host": host, "port": str(port)}))
        assert isinstance(answer.body, bytes)
        return dict(json.loads(answer.body))

    async def reaches(self, pod: str, host: str, port: int = 8080, namespace: str = "default") -> bool:
        """Whether a pod can connect."""
        return "error" not in await self.ask(pod, host, port, namespace)

    async def until(self, wanted: bool, pod: str, host: str, port: int = 8080, namespace: str = "default") -> None:
        """Wait until a change has arrived: policies are in force a moment after they are made."""
        async with asyncio.timeout(_SECONDS):
            while await self.reaches(pod, host, port, namespace) is not wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def kubeconfig() -> AsyncIterator[Path]:
    """An engine whose network enforces policies."""
    _needs_rules()
    home = EngineHome(Level.L2)
    try:
        yield Path(home.up()["kubeconfig"])
    finally:
        home.remove()


def play(kubeconfig: Path, scene: Callable[[Town], Awaitable[None]]) -> None:
    """One scene; the pods and policies of it are gone afterwards."""

    async def main() -> None:
        async with town(kubeconfig) as found:
            await scene(found)

    asyncio.run(main())


@asynccontextmanager
async def town(kubeconfig: Path, *, keep: bool = False) -> AsyncIterator[Town]:
    async with connect(path=kubeconfig) as connection:
        client = connection.client
        try:
            yield Town(client)
        finally:
            for kind in () if keep else (kinds.NETWORK_POLICY, kinds.SERVICE, kinds.POD):
                for obj in (await client.list(kind)).items:
                    meta = obj["metadata"]
                    if meta["name"] != "kubernetes":
                        await client.delete(kind, Key(meta["namespace"], meta["name"]), grace_seconds=0)


def test_a_service_spreads_connections_and_keeps_the_clients_address(kubeconfig):
    async def scene(town):
        one, two = await town.pod("one", app="web"), await town.pod("two", app="web")
        client = await town.pod("client")
        address = await town.service("web")
        await town.until(True, "client", address, 80)
        await town.until(True, "client", "web", 80)
        answers = [await town.ask("client", address, 80) for _ in range(8)]
        assert {answer["name"] for answer in answers} == {"one", "two"}
        assert {answer["client"] for answer in answers} == {client}
        assert await town.reaches("one", address, 80), "a pod reaches itself through its Service, too"
        assert all([await town.reaches("one", address, 80) for _ in range(4)])
        refused = await town.ask("client", address, 81)
        assert "refused" in refused["error"], "a port that no Service has is refused at once"
        await town.client.delete(kinds.POD, Key("default", "one"), grace_seconds=0)
        await town.client.delete(kinds.POD, Key("default", "two"), grace_seconds=0)
        await town.until(False, "client", address, 80)
        assert one != two

    play(kubeconfig, scene)


def test_a_client_stays_with_its_pod_under_session_affinity(kubeconfig):
    async def scene(town):
        for name in ("one", "two", "three"):
            await town.pod(name, app="sticky")
        for name in ("client", "other"):
            await town.pod(name)
        address = await town.service("sticky", sessionAffinity="ClientIP")
        for client in ("client", "other"):
            await town.until(True, client, address, 80)
            first = await town.ask(client, address, 80)
            assert {(await town.ask(client, address, 80))["name"] for _ in range(6)} == {first["name"]}

    play(kubeconfig, scene)


def test_a_udp_client_is_led_to_another_pod_when_its_own_is_gone(kubeconfig):
    async def scene(town):
        await town.pod("one", app="udp")
        await town.pod("client")
        address = await town.service("udp", ports=[{"port": 5300, "protocol": "UDP"}])
        await town.until(True, "client", address, 5300)
        assert (await town.ask("client", address, 5300))["name"] == "one"
        await town.pod("two", app="udp")
        await town.client.delete(kinds.POD, Key("default", "one"), grace_seconds=0)
        async with asyncio.timeout(_SECONDS):
            while (await town.ask("client", address, 5300)).get("name") != "two":
                pass

    play(kubeconfig, scene)


def test_a_service_leads_out_of_the_cluster_by_an_endpointslice_of_ones_own(kubeconfig):
    async def scene(town):
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b'HTTP/1.0 200 OK\r\n\r\n{"name": "outside"}')
            await writer.drain()
            writer.close()

        here = _own_address()
        server = await asyncio.start_server(answer, here, 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await town.pod("client")
            address = await town.service("outside", selector=None, ports=[{"port": 80}])
            kind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
            labels = {"kubernetes.io/service-name": "outside", "endpointslice.kubernetes.io/managed-by": "test"}
            meta = {"name": "outside-1", "namespace": "default", "labels": labels}
            points = {"endpoints": [{"addresses": [here]}], "ports": [{"name": "", "port": port}]}
            await town.client.create(kinds.ENDPOINT_SLICE, {**kind, "metadata": meta, **points})
            await town.until(True, "client", address, 80)
            assert (await town.ask("client", address, 80))["name"] == "outside"

    play(kubeconfig, scene)


def test_ingress_is_denied_and_allowed(kubeconfig):
    async def scene(town):
        web, near = await town.pod("web"), await town.pod("near")
        await town.client.create(
            kinds.NAMESPACE,
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b", "labels": {"team": "b"}}},
        )
        far = {"namespace": "b"}
        await _account(town.client, "b")
        await town.pod("far", "b")
        address = await town.service("web")
        await town.policy("deny", podSelector={"matchLabels": {"app": "web"}}, policyTypes=["Ingress"])
        await town.until(False, "near", web)
        assert not await town.reaches("near", address, 80), "nor through the Service"
        assert not await town.reaches("far", web, **far)
        assert await town.reaches("web", near), "its own connections, and what they are answered, are not governed"
        assert await town.reaches("web", web), "nobody can be kept from itself"

        peer = {"podSelector": {"matchLabels": {"app": "near"}}}
        rule = {"from": [peer], "ports": [{"port": "http"}]}
        await town.policy("near", podSelector={"matchLabels": {"app": "web"}}, ingress=[rule])
        await town.until(True, "near", web)
        assert await town.reaches("near", address, 80)
        assert not await town.reaches("near", web, 9090), "another port"
        assert not await town.reaches("far", web, **far)

        rule = {
            "from": [{"namespaceSelector": {"matchLabels": {"team": "b"}}}],
            "ports": [{"port": 9000, "endPort": 9100}],
        }
        await town.policy("far", podSelector={}, ingress=[rule])
        await town.until(True, "far", web, 9090, **far)
        assert not await town.reaches("far", web, 8080, **far)

        late = await town.pod("late", app="web")
        assert not await town.reaches("far", late, 8080, **far), "a new pod is governed from its first packet"
        await town.forget("deny", "near", "far")
        await town.until(True, "far", web, 8080, **far)

    play(kubeconfig, scene)


def test_egress_is_denied_and_allowed(kubeconfig):
    async def scene(town):
        web, _ = await town.pod("web"), await town.pod("client")
        await town.policy("deny", podSelector={"matchLabels": {"app": "client"}}, policyTypes=["Egress"])
        await town.until(False, "client", web)
        assert "resolution" in (await town.ask("client", "web.default", 80))["error"], "DNS is not an exception"
        assert not await town.reaches("client", "10.96.0.1", 443), "nor is the API server"
        assert await town.reaches("web", (await _pod(town, "client"))["status"]["podIP"])

        block = {"ipBlock": {"cidr": "10.0.0.0/8", "except": [f"{web}/32"]}}
        await town.policy(
            "out", podSelector={"matchLabels": {"app": "client"}}, policyTypes=["Egress"], egress=[{"to": [block]}]
        )
        other = await town.pod("other")
        await town.until(True, "client", other)
        assert not await town.reaches("client", web), "the exception of the block"
        assert "resolution" not in (await town.ask("client", "nobody.default", 80)).get("error", "")  # DNS answers now
        await town.policy(
            "in",
            podSelector={"matchLabels": {"app": "other"}},
            ingress=[{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}],
        )
        await town.until(False, "client", other)  # both ends have to agree
        assert not await town.reaches("client", other)

    play(kubeconfig, scene)


def test_the_way_out_of_the_cluster_is_governed_too(kubeconfig):
    async def scene(town):
        here = _own_address()

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b'HTTP/1.0 200 OK\r\n\r\n{"name": "outside"}')
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, here, 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await town.pod("client")
            assert (await town.ask("client", here, port))["name"] == "outside"
            everything_else = {"ipBlock": {"cidr": "0.0.0.0/0", "except": [f"{here}/32"]}}
            governed = {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"]}
            await town.policy("out", **governed, egress=[{"to": [everything_else]}])
            await town.until(False, "client", here, port)
            allowed = {"to": [{"ipBlock": {"cidr": f"{here}/32"}}], "ports": [{"port": port}]}
            await town.policy("here", **governed, egress=[allowed])
            await town.until(True, "client", here, port)

    play(kubeconfig, scene)


class _Namer(asyncio.DatagramProtocol):
    """Answers every datagram with what it says."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, addr):
        self._transport.sendto(self._name.encode(), addr)


def test_datagrams_leave_the_cluster_and_are_governed_too(kubeconfig):
    async def scene(town):
        here = _own_address()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Namer("outside"), local_addr=(here, 5300))
        try:
            await town.pod("client")
            other = await town.pod("other")
            assert (await town.ask("client", here, 5300))["name"] == "outside"
            # The client has one socket for all of its datagrams.
            assert (await town.ask("client", other, 5300))["name"] == "other"
            assert (await town.ask("client", here, 5300))["name"] == "outside"
            governed = {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"]}
            await town.policy("out", **governed, egress=[])
            await town.pod("late", app="client")
            await town.until(False, "late", here, 5300)
            block = {"to": [{"ipBlock": {"cidr": f"{here}/32"}}], "ports": [{"port": 5300, "protocol": "UDP"}]}
            await town.policy("here", **governed, egress=[block])
            await town.until(True, "late", here, 5300)
        finally:
            transport.close()

    play(kubeconfig, scene)


_BY_PROXY = """
import http.client, sys
host, port, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
line = http.client.HTTPConnection("egress-proxy.kube-system", 3128, timeout=5)
try:
    if way == "tunnel":
        line.set_tunnel(host, port)
        line.request("GET", "/")
    else:
        line.request("GET", f"http://{host}:{port}/x?y=1", headers={"Host": f"{host}:{port}"})
    print(line.getresponse().read().decode())
except OSError as error:
    print("refused:", error)
"""


def test_the_proxy_to_the_outside_asks_policies_and_the_namespace(kubeconfig):
    async def scene(town):
        here = _own_address()

        async def answer(reader, writer):
            line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
            writer.write(b"HTTP/1.0 200 OK\r\n\r\noutside " + line)
            await writer.drain()
            writer.close()

        async def by_proxy(way="tunnel", host=here):
            command = ["python", "-c", _BY_PROXY, host, str(port), way]
            done = await town.client.execute(kinds.POD, Key("default", "client"), command)
            return f"{done.stdout}{done.stderr}"

        async def comes(text, **how):
            async with asyncio.timeout(_SECONDS):
                while text not in (said := await by_proxy(**how)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            return said

        async def listed(hosts):
            patch = {"metadata": {"annotations": {"argosy.dev/egress-hosts": hosts}}}
            await town.client.patch(kinds.NAMESPACE, Key("", "default"), patch)

        server = await asyncio.start_server(answer, here, 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await town.pod("client")
            await listed(f"pypi.org, {here}:{port}")
            await comes("outside GET / HTTP/1.1")
            assert "outside GET /x?y=1 HTTP/1.1" in await by_proxy("plain")
            await listed(f"*:{port}")
            assert "is not outside the cluster" in await comes("not outside", way="plain", host="127.0.0.1")
            await listed("pypi.org")
            assert "add it there" in await comes("argosy.dev/egress-hosts", way="plain")
            await comes("403", way="tunnel")
            await listed(f"{here}:{port}")
            await comes("outside")
            governed = {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"]}
            system = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
            names = {"namespaceSelector": system, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
            await town.policy("names", **governed, egress=[{"to": [names]}])
            await comes("refused")
            proxy = {"namespaceSelector": system, "podSelector": {"matchLabels": {"k8s-app": "egress-proxy"}}}
            await town.policy("proxy", **governed, egress=[{"to": [proxy], "ports": [{"port": 3128}]}])
            await comes("outside")
            assert not await town.reaches("client", here, port), "and by no other way"

    play(kubeconfig, scene)


def test_the_nodes_say_that_policies_are_enforced(kubeconfig):
    async def scene(town):
        nodes = (await town.client.list(kinds.NODE)).items
        assert {labels_of(node).get("argosy.dev/network-policy") for node in nodes} == {"enforced"}

    play(kubeconfig, scene)


def test_policies_hold_while_the_engine_is_gone_and_while_it_comes_back():
    _needs_rules()
    home = EngineHome(Level.L2)

    async def shut(kubeconfig: Path) -> None:
        async with town(kubeconfig, keep=True) as found:
            web = await found.pod("web")
            command = ["python", "-c", _WATCHER, web]
            spec = {"containers": [{"name": "c", "image": "python:3", "command": command}]}
            meta = {"name": "watcher", "namespace": "default"}
            await found.client.create(kinds.POD, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
            await said(found.client, b"open")
            await found.policy("deny", podSelector={"matchLabels": {"app": "web"}})
            await said(found.client, b"shut")

    async def said(client: Client, word: bytes) -> None:
        async with asyncio.timeout(_SECONDS):
            while word not in await told(client):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def told(client: Client) -> bytes:
        try:
            return b"".join([chunk async for chunk in client.logs(kinds.POD, Key("default", "watcher"))])
        except ApiError:
            return b""

    async def after(kubeconfig: Path) -> list[bytes]:
        async with town(kubeconfig, keep=True) as found:
            await found.pod("later", app="web")  # the new engine's network is at work
            return (await told(found.client)).split()

    try:
        state = home.up()
        asyncio.run(shut(Path(state["kubeconfig"])))
        home.crash(int(state["pid"]))
        state = home.up()
        words = asyncio.run(after(Path(state["kubeconfig"])))
        held = words[words.index(b"shut") :]
        assert len(held) > 20
        assert b"open" not in held
    finally:
        home.remove()


def _needs_rules() -> None:
    if unavailable(Level.L2):
        pytest.skip(f"L2 is not available here: {unavailable(Level.L2)}")
    if not any(Path(program).exists() for program in PROGRAMS):
        pytest.skip("nft is not installed")


def _own_address() -> str:
    """An address of this machine that is not its loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but its loopback's")
        return str(probe.getsockname()[0])


async def _pod(town: Town, name: str) -> Obj:
    return await town.client.get(kinds.POD, name, "default")


async def _account(client: Client, namespace: str) -> None:
    """Wait for the account that a namespace's pods run under."""
    async with asyncio.timeout(_SECONDS):
        while True:
            try:
                await client.get(kinds.SERVICE_ACCOUNT, "default", namespace)
            except ApiError:
                await asyncio.sleep(0.02)
                continue
            return
