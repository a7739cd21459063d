"""What a start changes in a store that an earlier start left."""

from __future__ import annotations

import asyncio

from api_world import ADMIN

from argosy import kinds
from argosy.client.client import Client
from argosy.client.inprocess import InProcessTransport
from argosy.engine.apiserver.app import App
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.store import Store

PORTS = [{"port": 80}]


async def _started(store: Store, cidr: str) -> tuple[App, Client]:
    app = App(store, ApiSettings(service_cidr=cidr))
    await app.start()
    return app, Client(InProcessTransport(app.handle, ADMIN))


def test_services_follow_the_address_range():
    async def scenario() -> None:
        store = await Store.open(None)
        app, client = await _started(store, "10.96.0.0/16")
        for name, address in (("web", {}), ("quiet", {"clusterIP": "None"})):
            spec = {**address, "ports": PORTS, "selector": {"app": name}}
            await client.create(kinds.SERVICE, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
        await app.close()

        app, client = await _started(store, "127.86.128.0/17")
        addresses = {s["metadata"]["name"]: s["spec"]["clusterIP"] for s in (await client.list(kinds.SERVICE)).items}
        assert addresses.pop("kubernetes") == "127.86.128.1"
        assert addresses.pop("quiet") == "None"
        assert addresses["web"].startswith("127.86.12")
        revision = store.revision
        await app.close()

        app, client = await _started(store, "127.86.128.0/17")
        assert store.revision == revision  # nothing to move any more
        await app.close()
        await store.close()

    asyncio.run(scenario())
