"""A real API server in this process with the operators' kinds installed, for tests of operators and gateway together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from argosy import kinds
from argosy.client.client import Client
from argosy.control.runner import run_operators
from argosy.intent import Operator
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.operators.install import manifests
from argosy.testing.cluster import cluster as api_server


class Host:
    """Node access where the cluster's network is this machine's."""

    def socket(self, family: int, type: int) -> socket.socket:
        made = socket.socket(family, type)
        made.setblocking(False)
        return made


@asynccontextmanager
async def cluster(*operators: Operator) -> AsyncGenerator[Client]:
    """A cluster without nodes, on which these operators run."""
    async with api_server(nodes=Host()) as made:  # type: ignore[arg-type]
        for crd in manifests():
            await made.client.create(kinds.CUSTOM_RESOURCE_DEFINITION, crd)
        running = asyncio.create_task(run_operators(made.client, operators))
        try:
            yield made.client
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(client: Client, kind: Kind, holds: Callable[[list[Obj]], bool], seconds: float = 10) -> list[Obj]:
    """The objects of a kind in `default`, once a condition holds of them."""
    async with asyncio.timeout(seconds):
        listing = await client.list(kind, "default")
        if holds(listing.items):
            return list(listing.items)
        async for _ in client.watch(kind, "default", since=listing.resource_version):
            items = (await client.list(kind, "default")).items
            if holds(items):
                return list(items)
    raise AssertionError("the watch ended")
