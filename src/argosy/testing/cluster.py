"""A cluster in a fixture: the engine's own API server, in memory and in this process.

For tests of whatever speaks to Kubernetes: operators, controllers, clients. It has no nodes; a test that wants pods to run
adds `sim_runtime` below a node agent, one that wants the network to fail wraps `transport` in `faults`.

    async with cluster(ApiSettings(clock=SimClock())) as world:
        await world.client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from argosy.client.client import Client
from argosy.client.inprocess import InProcessTransport
from argosy.client.requests import User
from argosy.engine.apiserver.app import App
from argosy.engine.apiserver.backends import NodeAccess
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.store import Store
from argosy.kinds import SERVICE_ACCOUNT
from argosy.meta.json import Obj

ADMIN = User("system:admin", frozenset({"system:masters", "system:authenticated"}))
ACCOUNT: Obj = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
"""What pods need in order to be created; the controllers of a whole engine make one in every namespace."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a test sees."""

    store: Store
    app: App
    client: Client
    """May do everything."""

    def transport(self, user: User = ADMIN) -> InProcessTransport:
        """The way to the API server as any user."""
        return InProcessTransport(self.app.handle, user)

    def as_user(self, user: User) -> Client:
        """A client of another user."""
        return Client(self.transport(user), field_manager="test")


@asynccontextmanager
async def cluster(
    settings: ApiSettings | None = None, nodes: NodeAccess | None = None, *, with_account: bool = True
) -> AsyncGenerator[Cluster]:
    """An API server whose namespace `default` can hold pods; gone at the end of the block."""
    store = await Store.open(None)
    app = App(store, settings or ApiSettings(), nodes)
    await app.start()
    try:
        client = Client(InProcessTransport(app.handle, ADMIN), field_manager="test")
        if with_account:
            await client.create(SERVICE_ACCOUNT, ACCOUNT)
        yield Cluster(store, app, client)
    finally:
        await app.close()
        await store.close()
