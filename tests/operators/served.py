"""A real API server in this process with the operators' kinds installed, for tests of operators and gateway together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from argosy import kinds
from argosy.client.client import Client
from argosy.client.inprocess import InProcessTransport
from argosy.client.requests import User
from argosy.control.runner import run_operators
from argosy.engine.apiserver.app import App
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.store import Store
from argosy.intent import Operator
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.operators.install import manifests

ADMIN = User("admin", frozenset({"system:masters"}))


class Host:
    """Node access where the cluster's network is this machine's."""

    def socket(self, family: int, type: int) -> socket.socket:
        made = socket.socket(family, type)
        made.setblocking(False)
        return made


@asynccontextmanager
async def cluster(*operators: Operator) -> AsyncGenerator[Client]:
    """A cluster without nodes, on which these operators run."""
    store = await Store.open(None)
    app = App(store, ApiSettings(), Host())  # type: ignore[arg-type]
    await app.start()
    client = Client(InProcessTransport(app.handle, ADMIN))
    try:
        for crd in manifests():
            await client.create(kinds.CUSTOM_RESOURCE_DEFINITION, crd)
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": "default"},
        }
        await client.create(kinds.SERVICE_ACCOUNT, account)
        running = asyncio.create_task(run_operators(client, operators))
        try:
            yield client
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        await app.close()
        await store.close()


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
