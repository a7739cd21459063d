"""An explicit HTTP proxy to the outside, with an allow-list of host names per namespace (`egress_hosts`).

Pods use it as any proxy: `HTTPS_PROXY=http://egress-proxy.kube-system:3128`. It is there as soon as some namespace has a list.
NetworkPolicies decide who may talk to it, as to a pod of `kube-system` labelled `k8s-app: egress-proxy`; the list of the
client's namespace decides which hosts it may be asked for. Who is refused is told why, and so is the pod's owner, by an Event.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, ip_address
from typing import NoReturn
from urllib.parse import urlsplit

from argosy.client.client import Client
from argosy.control.events import EventRecorder
from argosy.control.pool import Informers
from argosy.engine.network.egress_hosts import ANNOTATION, allowances, plain
from argosy.engine.network.policies import Endpoint
from argosy.engine.network.reach import host_socket
from argosy.engine.node.runtime.spec import Network
from argosy.errors import AlreadyExists, ApiError, NotFound
from argosy.intent import Reason
from argosy.kinds import NAMESPACE, POD, SERVICE
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, annotations_of, namespace_of

SERVICE_KEY = Key("kube-system", "egress-proxy")
PORT = 3128
_LABELS = {"k8s-app": "egress-proxy"}
_BY_ADDRESS = "address"
_HEAD_BYTES_MAX = 64 * 1024
_HEAD_SECONDS, _CONNECT_SECONDS, _AGAIN_SECONDS = 30.0, 10.0, 1.0
_CHUNK = 1 << 16
_LOOKS = 20
"""How often a pod is looked for whose address its status does not tell yet, a tenth of a second apart."""


class _Refused(Exception):
    """A request that is not carried out: the status and the sentence to answer with."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class EgressProxy:
    """The proxy of a cluster. `never` are ranges that no name may lead to: this host's own, and the cluster's."""

    def __init__(
        self,
        network: Network,
        client: Client,
        informers: Informers,
        recorder: EventRecorder,
        never: Sequence[str],
    ) -> None:
        self._network, self._client, self._recorder = network, client, recorder
        self._never = [IPv4Network(each) for each in never]
        self._namespaces, self._pods = informers.of(NAMESPACE), informers.of(POD)
        self._pods.index(_BY_ADDRESS, lambda pod: (str(dig(pod, "status", "podIP", default="")),))
        self.address = ""
        """Where it listens; empty until it does."""

    def endpoints(self) -> Sequence[Endpoint]:
        """The proxy as NetworkPolicies see it."""
        port = ("proxy", "TCP", PORT)
        return [Endpoint(SERVICE_KEY.namespace, _LABELS, self.address, (port,))] if self.address else []

    async def run(self, moved: Callable[[], None]) -> NoReturn:
        """Serve until cancelled; `moved` is called when it has got an address. Raises OSError when that cannot be had."""
        await self._wanted()
        address = await self._service()
        self._network.add_local_address(address)
        listener = self._network.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        self.address = address
        moved()
        server = await asyncio.start_server(self._serve, sock=listener, limit=_HEAD_BYTES_MAX)
        async with server:
            await server.serve_forever()
        raise AssertionError("it serves until cancelled")

    async def _wanted(self) -> None:
        """Wait until some namespace has a list."""
        await self._namespaces.synced()
        changes = self._namespaces.subscribe()
        try:
            while not any(ANNOTATION in annotations_of(each) for each in self._namespaces.items()):
                await anext(changes)
        finally:
            changes.close()

    async def _service(self) -> str:
        """The address of its Service, which is made if it is not there."""
        meta = {"name": SERVICE_KEY.name, "namespace": SERVICE_KEY.namespace, "labels": _LABELS}
        wanted = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
        wanted["spec"] = {"ports": [{"name": "proxy", "port": PORT, "protocol": "TCP"}]}
        while True:
            try:
                made = await self._client.create(SERVICE, wanted)
            except AlreadyExists:
                try:
                    made = await self._client.get(SERVICE, SERVICE_KEY.name, SERVICE_KEY.namespace)
                except NotFound:
                    continue
            except (ApiError, ConnectionError):
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            return str(made["spec"]["clusterIP"])

    # -- requests

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            pod = await self._pod(str(writer.get_extra_info("peername")[0]))
            host, port, passed_on = _asked(head)
            self._check(pod, host, port)
            upstream = await self._connect(host, port)
        except _Refused as refused:
            text = f"{refused}\n"
            writer.write(
                f"HTTP/1.1 {refused.status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text.encode())}\r\n"
                f"Connection: close\r\n\r\n{text}".encode()
            )
            await _finish(writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        else:
            up_reader, up_writer = await asyncio.open_connection(sock=upstream)
            if passed_on:
                up_writer.write(passed_on)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            try:
                await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
            finally:
                up_writer.close()
                writer.close()

    async def _pod(self, address: str) -> Obj:
        """Who asks. Raises _Refused."""
        for _ in range(_LOOKS):
            for pod in self._pods.indexed(_BY_ADDRESS, address):
                if dig(pod, "status", "phase") not in {"Succeeded", "Failed"}:
                    return pod
            await asyncio.sleep(0.1)
        raise _Refused("403 Forbidden", f"{address} is not the address of a pod; only pods may use this proxy")

    def _check(self, pod: Obj, host: str, port: int) -> None:
        """Raises _Refused, and tells the pod, when its namespace's list does not allow that host."""
        name = namespace_of(pod)
        allowed = allowances(self._namespaces.get(Key("", name)) or {"metadata": {}})
        if allowed is None:
            why = f"namespace {name} has no list of hosts: kubectl annotate namespace {name} {ANNOTATION}={host}"
        elif any(each.covers(plain(host), port) for each in allowed):
            return
        else:
            why = f"{host}:{port} is not in the annotation {ANNOTATION} of namespace {name}; add it there"
        self._recorder.emit(POD, pod, Reason("EgressRefused", why, warning=True))
        raise _Refused("403 Forbidden", why)

    async def _connect(self, host: str, port: int) -> socket.socket:
        """A connection from the host. Raises _Refused."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
        except OSError:
            raise _Refused("502 Bad Gateway", f"the name {host} has no address that this machine knows") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        outside = [a for a in addresses if not any(ip_address(a) in each for each in self._never)]
        if not outside:
            raise _Refused("403 Forbidden", f"{host} is {', '.join(addresses)}, which is not outside the cluster")
        for address in outside:
            made = host_socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await loop.sock_connect(made, (address, port))
            except (OSError, TimeoutError):
                made.close()
                continue
            except BaseException:
                made.close()
                raise
            return made
        raise _Refused("502 Bad Gateway", f"{host}:{port} does not accept connections")


def _asked(head: bytes) -> tuple[str, int, bytes]:
    """Host, port and, for a plain request, what to send there in its place. Raises _Refused."""
    line, _, fields = head.partition(b"\r\n")
    try:
        method, target, version = line.decode("ascii").split(" ")
        if method == "CONNECT":
            host, _, number = target.rpartition(":")
            return host.strip("[]"), int(number), b""
        url = urlsplit(target)
        host, port = url.hostname or "", url.port or 80
    except ValueError:
        raise _Refused(
            "400 Bad Request", "the request cannot be read; it has to be that of a client of a proxy"
        ) from None
    if url.scheme != "http" or not host:
        raise _Refused("400 Bad Request", "this is a proxy: ask it for http://host/path, or to CONNECT to host:443")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    kept = [each for each in fields.split(b"\r\n") if each and not each.lower().startswith((b"proxy-", b"connection:"))]
    # One request a connection: the next may be for another host.
    lines = [f"{method} {path} {version}".encode(), *kept, b"Connection: close", b"", b""]
    return host, port, b"\r\n".join(lines)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What one side says, to the other, to its end."""
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


async def _finish(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()
