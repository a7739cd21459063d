"""Following InferenceServices and EndpointSlices through an API server that breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from argosy.client.client import Client
from argosy.client.requests import Event, Request, Response
from argosy.errors import Expired, ServiceUnavailable
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.programs.gateway.discovery import Discovery
from argosy.programs.gateway.routes import Table

LLM = Key("default", "llm")


def isvc(name: str) -> Obj:
    return {
        "metadata": {"name": name, "namespace": "default", "resourceVersion": "5"},
        "spec": {"predictor": {"model": {}}},
    }


def slice(name: str, *addresses: str) -> Obj:
    labels = {"serving.kserve.io/inferenceservice": name, "kubernetes.io/service-name": f"{name}-predictor"}
    return {
        "metadata": {"name": f"{name}-x", "namespace": "default", "labels": labels, "resourceVersion": "6"},
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"port": 8080}],
    }


class Server:
    """Two resources; each watch is a queue that the test feeds, and cuts with an exception."""

    def __init__(self) -> None:
        self.items: dict[str, list[Obj]] = {"inferenceservices": [], "endpointslices": []}
        self.watches: dict[str, asyncio.Queue[Event | Exception]] = {}
        self.lists: list[str] = []
        self.down = False

    async def send(self, request: Request) -> Response:
        resource = request.path.rsplit("/", 1)[1]
        if self.down:
            return Response(503, obj=ServiceUnavailable("away").status())
        if request.query.get("watch"):
            self.watches[resource] = asyncio.Queue()
            return Response(events=self._events(self.watches[resource]))
        if resource == "endpointslices":
            assert request.query["labelSelector"] == "serving.kserve.io/inferenceservice"
        self.lists.append(resource)
        return Response(obj={"metadata": {"resourceVersion": "4"}, "items": list(self.items[resource])})

    async def _events(self, queue: asyncio.Queue[Event | Exception]) -> AsyncGenerator[Event, None]:
        while True:
            event = await queue.get()
            if isinstance(event, Exception):
                raise event
            yield event

    async def close(self) -> None: ...


class Tables:
    """Collects what discovery tells."""

    def __init__(self) -> None:
        self.last = Table()
        self._news = asyncio.Event()

    def take(self, table: Table) -> None:
        self.last = table
        self._news.set()

    async def news(self) -> Table:
        await self._news.wait()
        self._news.clear()
        return self.last


def test_models_appear_move_and_vanish_at_once():
    async def test() -> None:
        server, tables = Server(), Tables()
        server.items["inferenceservices"] = [isvc("llm")]
        task = asyncio.create_task(Discovery(Client(server), tables.take).run())
        assert (await tables.news()).backends[LLM].ready == frozenset()
        await opened(server, "endpointslices")
        server.watches["endpointslices"].put_nowait(Event("ADDED", slice("llm", "10.0.0.1")))
        assert (await tables.news()).backends[LLM].ready == {("10.0.0.1", 8080)}
        server.watches["endpointslices"].put_nowait(Event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}))
        server.watches["endpointslices"].put_nowait(Event("MODIFIED", slice("llm", "10.0.0.2", "10.0.0.3")))
        assert len((await tables.news()).backends[LLM].ready) == 2
        server.watches["inferenceservices"].put_nowait(Event("ADDED", isvc("other")))
        assert [r.model for r in (await tables.news()).listed] == ["llm", "other"]
        server.watches["inferenceservices"].put_nowait(Event("DELETED", isvc("llm")))
        assert [r.model for r in (await tables.news()).listed] == ["other"]
        task.cancel()

    asyncio.run(asyncio.wait_for(test(), 10))


def test_a_server_that_breaks_off_is_listed_again_and_the_last_table_stays():
    async def test() -> None:
        server, tables = Server(), Tables()
        server.items["inferenceservices"] = [isvc("llm")]
        task = asyncio.create_task(Discovery(Client(server), tables.take).run())
        await tables.news()
        for error in (Expired("compacted"), ConnectionError("cut")):
            await opened(server, "inferenceservices")
            server.items["inferenceservices"] = [*server.items["inferenceservices"], isvc(type(error).__name__.lower())]
            server.watches.pop("inferenceservices").put_nowait(error)
            await tables.news()
        assert len(tables.last.listed) == 3
        assert server.lists.count("inferenceservices") == 3
        task.cancel()

    asyncio.run(asyncio.wait_for(test(), 10))


async def opened(server: Server, resource: str) -> None:
    for _ in range(100_000):
        if resource in server.watches:
            return
        await asyncio.sleep(0)
    raise AssertionError("no watch was opened")
