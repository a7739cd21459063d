"""The things that a kubelet does to a container from outside: exec, HTTP, TCP and gRPC, for probes and lifecycle hooks.

Connections are made with sockets of the cluster's network, so they reach pods at every isolation level. `Outcome.message`
reads as the kubelet's own messages do.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from contextlib import suppress
from dataclasses import dataclass

from argosy.engine.node import grpc_health
from argosy.engine.node.runtime.spec import Network, Runtime
from argosy.errors import ArgosyError
from argosy.meta.json import Obj

_BODY_MAX = 10 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """The container that is acted upon."""

    run_id: str
    address: str
    spec: Obj
    """The container's spec, for named ports."""


async def perform(action: Obj, target: Target, runtime: Runtime, timeout_seconds: float) -> Outcome:
    """Carry out the one handler that a probe or a hook names."""
    try:
        if action.get("exec") is not None:
            return await _exec(action["exec"], target, runtime, timeout_seconds)
        async with asyncio.timeout(timeout_seconds):
            if action.get("httpGet") is not None:
                return await _http(action["httpGet"], target, runtime.network)
            if action.get("tcpSocket") is not None:
                return await _tcp(action["tcpSocket"], target, runtime.network)
            if action.get("grpc") is not None:
                return await _grpc(action["grpc"], target, runtime.network)
            if action.get("sleep") is not None:
                await asyncio.sleep(float(action["sleep"].get("seconds") or 0))
                return Outcome(True)
    except TimeoutError:
        return Outcome(False, "context deadline exceeded" if "sleep" not in action else "")
    except (OSError, ArgosyError, ValueError) as error:
        return Outcome(False, str(error))
    return Outcome(False, "it names neither exec, httpGet, tcpSocket nor grpc")


def port_of(port: object, container: Obj) -> int:
    """A port by number or by its name in the container. Raises ValueError."""
    if isinstance(port, int) or (isinstance(port, str) and port.isdigit()):
        return int(port)
    for named in container.get("ports") or ():
        if named.get("name") == port:
            return int(named["containerPort"])
    raise ValueError(f"couldn't find port: {port}")


async def _exec(action: Obj, target: Target, runtime: Runtime, timeout_seconds: float) -> Outcome:
    command = [str(word) for word in action.get("command") or ()]
    result = await runtime.exec(target.run_id, command, timeout_seconds=timeout_seconds)
    text = result.output[:_BODY_MAX].decode(errors="replace")
    if result.timed_out:
        return Outcome(False, f"command timed out: {' '.join(command)!r} timed out after {timeout_seconds:g}s")
    return Outcome(result.code == 0, text or (f"command exited with {result.code}" if result.code else ""))


async def _http(action: Obj, target: Target, network: Network) -> Outcome:
    port = port_of(action.get("port"), target.spec)
    host = str(action.get("host") or target.address)
    scheme = str(action.get("scheme") or "HTTP").lower()
    path = str(action.get("path") or "/")
    path = path if path.startswith("/") else f"/{path}"
    url = f"{scheme}://{host}:{port}{path}"
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    for header in action.get("httpHeaders") or ():
        headers[str(header.get("name"))] = str(header.get("value"))
    try:
        reader, writer = await _connect(network, host, port, tls=scheme == "https")
    except OSError as error:
        return Outcome(False, f'Get "{url}": {_dial(host, port, error)}')
    try:
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        status_line = await reader.readline()
        words = status_line.split(None, 2)
        if len(words) < 2 or not words[1].isdigit():
            return Outcome(False, f'Get "{url}": EOF')
        code = int(words[1])
        return Outcome(200 <= code < 400, f"HTTP probe failed with statuscode: {code}")
    except OSError as error:
        return Outcome(False, f'Get "{url}": {error.strerror or error}')
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def _tcp(action: Obj, target: Target, network: Network) -> Outcome:
    port = port_of(action.get("port"), target.spec)
    host = str(action.get("host") or target.address)
    try:
        connection = network.socket()
    except OSError as error:
        return Outcome(False, _dial(host, port, error))
    with connection:
        try:
            await asyncio.get_running_loop().sock_connect(connection, (host, port))
        except OSError as error:
            return Outcome(False, _dial(host, port, error))
    return Outcome(True)


async def _grpc(action: Obj, target: Target, network: Network) -> Outcome:
    port, service = port_of(action.get("port"), target.spec), str(action.get("service") or "")
    try:
        reader, writer = await _connect(network, target.address, port, tls=False)
    except OSError as error:
        return Outcome(
            False, f"failed to connect service at {target.address}:{port}: {_dial(target.address, port, error)}"
        )
    try:
        status = await grpc_health.check(reader, writer, f"{target.address}:{port}", service)
    except OSError as error:
        return Outcome(False, f"health rpc probe failed: {error}")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if not status:
        return Outcome(False, f"this server does not implement the grpc health protocol for the service {service!r}")
    return Outcome(status == "SERVING", f'service unhealthy (responded with "{status}")')


async def _connect(
    network: Network, host: str, port: int, *, tls: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection = network.socket()
    try:
        await asyncio.get_running_loop().sock_connect(connection, (host, port))
        if not tls:
            return await asyncio.open_connection(sock=connection)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # as the kubelet: a probe asks whether, not who
        return await asyncio.open_connection(sock=connection, ssl=context, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _dial(host: str, port: int, error: OSError) -> str:
    reason = (
        os.strerror(error.errno).lower() if error.errno is not None and error.errno in errno.errorcode else str(error)
    )
    return f"dial tcp {host}:{port}: connect: {reason}"
