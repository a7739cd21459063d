"""An API server, the host's network as the cluster's, and makers of Services and slices."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager, suppress

from argosy.control.pool import Informers
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.node.runtime.spec import Level, RulesRefused
from argosy.testing.cluster import cluster as api_server

# Every process of a parallel test run has addresses of its own.
THIRD = os.getpid() % 200 + 20


class HostNetwork:
    """As at isolation L0."""

    level = Level.L0

    def __init__(self):
        self.local = []

    def socket(self, family=socket.AF_INET, type=socket.SOCK_STREAM, proto=0):
        made = socket.socket(family, type, proto)
        made.setblocking(False)
        return made

    def add_local_address(self, address):
        self.local.append(address)

    async def load_rules(self, script):
        raise RulesRefused("the host's network takes no rules")

    async def forget_flows(self, services):
        pass


@asynccontextmanager
async def cluster():
    """(client, informers)"""
    settings = ApiSettings(service_cidr=f"127.{THIRD}.128.0/17")
    async with api_server(settings, with_account=False) as made, Informers(made.client) as informers:
        yield made.client, informers


@asynccontextmanager
async def background(coroutine):
    task = asyncio.create_task(coroutine)
    try:
        yield task
        assert not task.done(), task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def free_port(address="127.0.0.1", kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def service(name="web", namespace="default", **spec):
    spec.setdefault("ports", [{"port": 80}])
    spec.setdefault("selector", {"app": name})
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def endpoint(address, ready=True, hostname="", **conditions):
    made = {"addresses": [address], "conditions": {"ready": ready, **conditions}}
    return {**made, "hostname": hostname} if hostname else made


def slice_of(name, endpoints, ports, namespace="default", suffix="1"):
    """`ports`: {name: number}"""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-{suffix}",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "test"},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": n, "port": p, "protocol": "TCP"} for n, p in ports.items()],
    }


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def ask(address, port, message=b"hello", timeout=5.0):
    """Send, end, and read to the end."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(message)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def answering(name, address="127.0.0.1"):
    """A server that says its name and what it was told, once it was told all; yields its port."""

    async def serve(reader, writer):
        told = await reader.read()
        writer.write(name.encode() + b":" + told)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, address, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
