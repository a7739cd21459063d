"""`pods/proxy` and `services/proxy`: an HTTP request passed on to a pod, streamed both ways.

The connection is a socket in the cluster's network, which the node provides.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from dataclasses import replace
from urllib.parse import urlencode

from argosy import kinds
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.verbs.get import find
from argosy.errors import BadRequest, NotFound, ServiceUnavailable
from argosy.meta.json import Obj, dig

_CONNECT_SECONDS = 10.0
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host", "authorization", "content-length", "accept-encoding",
})  # fmt: skip
_CHUNK = 1 << 16


async def forward(call: Call) -> Answer:
    """Any method. Raises ServiceUnavailable when there is nobody to answer."""
    nodes = await call.api.reach_nodes("no node runs pods here, so there is nothing to connect to")
    host, port = _pod(call) if call.served.storage is kinds.POD else _service(call)
    connection = nodes.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await loop.sock_connect(connection, (host, port))
        reader, writer = await asyncio.open_connection(sock=connection)
    except (OSError, TimeoutError) as error:
        connection.close()
        raise ServiceUnavailable(f"error trying to reach service: dial tcp {host}:{port}: {error}") from None
    try:
        writer.write(_request(call, f"{host}:{port}"))
        await writer.drain()
        status, headers, length = await _head(reader)
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        writer.close()
        raise ServiceUnavailable(f"error trying to reach service: {host}:{port} answered no HTTP: {error}") from None
    chunked = headers.pop("transfer-encoding", "").lower() == "chunked"
    return Answer(status, chunks=_body(reader, writer, length, chunked), headers=headers)


def _split(name: str) -> tuple[str, str]:
    """`[scheme:]name[:port]` as name and port."""
    parts = name.split(":")
    if len(parts) == 3:
        return parts[1], parts[2]
    return (parts[0], parts[1]) if len(parts) == 2 else (parts[0], "")


def _pod(call: Call) -> tuple[str, int]:
    name, port = _split(call.target.name)
    pod = find(_named(call, name)).obj
    address = dig(pod, "status", "podIP")
    if not address:
        raise ServiceUnavailable(f"address not allowed: pod {name} has no address yet")
    containers = dig(pod, "spec", "containers", default=())
    ports = [p for container in containers for p in container.get("ports") or ()]
    if not port:
        return str(address), int(ports[0]["containerPort"]) if ports else 80
    for candidate in ports:
        if candidate.get("name") == port:
            return str(address), int(candidate["containerPort"])
    return str(address), _number(port)


def _named(call: Call, name: str) -> Call:
    return replace(call, target=replace(call.target, name=name))


def _service(call: Call) -> tuple[str, int]:
    name, wanted = _split(call.target.name)
    service = find(_named(call, name)).obj
    ports = dig(service, "spec", "ports", default=())
    chosen = [p for p in ports if not wanted or wanted in (p.get("name"), str(p.get("port")))]
    if not chosen:
        raise BadRequest(f"service {name} has no port {wanted}; name one of its ports")
    endpoint = _endpoint(call, name, chosen[0])
    if endpoint is None:
        raise ServiceUnavailable(f'no endpoints available for service "{name}"')
    return endpoint


def _endpoint(call: Call, name: str, port: Obj) -> tuple[str, int] | None:
    for record in call.api.store.list(kinds.ENDPOINT_SLICE.resource, call.target.namespace):
        slice_ = record.obj
        if (slice_["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != name:
            continue
        numbers = [p["port"] for p in slice_.get("ports") or () if (p.get("name") or "") == (port.get("name") or "")]
        for endpoint in slice_.get("endpoints") or ():
            if numbers and dig(endpoint, "conditions", "ready", default=True) and endpoint.get("addresses"):
                return str(endpoint["addresses"][0]), int(numbers[0])
    return None


def _number(text: str) -> int:
    if not text.isdigit():
        raise NotFound(f"no port is called {text}", details={})
    return int(text)


def _request(call: Call, host: str) -> bytes:
    request = call.request
    path = f"/{call.target.rest}"
    if request.query:
        path += f"?{urlencode(request.query)}"
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name not in _HOP_BY_HOP]
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + request.body


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], int | None]:
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *rest = raw.decode("latin-1").split("\r\n")
    status = int(first.split(" ", 2)[1])
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    length = headers.pop("content-length", None)
    kept = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP or name == "transfer-encoding"}
    return status, kept, int(length) if length is not None else None


async def _body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int | None, chunked: bool
) -> AsyncGenerator[bytes, None]:
    try:
        if chunked:
            while size := int((await reader.readline()).split(b";")[0] or b"0", 16):
                yield await reader.readexactly(size)
                await reader.readline()
            return
        left = length
        while left is None or left > 0:
            chunk = await reader.read(_CHUNK if left is None else min(_CHUNK, left))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk
    finally:
        writer.close()
