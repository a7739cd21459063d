"""A node agent over the real API server in memory and simulated containers, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from argosy import kinds
from argosy.client.client import Client
from argosy.client.inprocess import InProcessTransport
from argosy.client.requests import User
from argosy.clock import Clock
from argosy.control.pool import Informers
from argosy.engine.apiserver.app import App
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.node.agent import NodeAgent
from argosy.engine.node.hardware import Room, room_at
from argosy.engine.node.images import Images
from argosy.engine.node.runtime.spec import ContainerSpec, Level, Runtime
from argosy.engine.node.settings import NodeSettings
from argosy.engine.store import Store
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key
from argosy.testing.sim_runtime import Life, SimRuntime
from argosy.testing.simloop import SimClock

GPUS = {"nvidia.com/gpu": "2"}
ADMIN = User("system:admin", frozenset({"system:masters"}))


class Node:
    """What a test sees."""

    def __init__(self, home: Path, store: Store, runtime: Runtime, clock: Clock) -> None:
        self.home = home
        self.clock = clock
        self.app = App(store, ApiSettings(clock=self.clock))
        self.client = Client(InProcessTransport(self.app.handle, ADMIN), field_manager="test")
        self.runtime = runtime
        self.patience_seconds = 3600.0 if isinstance(clock, SimClock) else 20.0
        self.agent: NodeAgent | None = None
        self.extra = GPUS
        """Resources that every node pretends to have."""
        self.disk_room: Callable[[Path], Room] = room_at
        self._running: asyncio.Task[None] | None = None
        self._informers: Informers | None = None

    async def up(self, nodes: int = 1) -> None:
        """Start the agent; again after `down`."""
        own_network = self.runtime.level is Level.L2
        pods = "10.64.0.0/16" if own_network else "127.79.0.0/17"
        settings = NodeSettings(
            self.home,
            pods,
            "10.96.0.1",
            443,
            nodes=nodes,
            dns_address="10.96.0.10",
            extra_resources=self.extra,
            disk_room=self.disk_room,
        )
        self._informers = Informers(self.client)
        self.agent = NodeAgent(self.client, self.runtime, Images(self.home), settings, self.clock)
        self.app.nodes = self.agent
        ready = asyncio.Event()
        self._running = asyncio.create_task(self.agent.run(informers=self._informers, ready=ready.set))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({self._running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._running.done():
            self._running.result()

    async def down(self) -> None:
        """Stop the agent; what runs runs on."""
        assert self._running is not None
        assert self._informers is not None
        self._running.cancel()
        await asyncio.wait({self._running})
        await self._informers.close()

    async def create(self, name: str, *, meta: Obj | None = None, **spec: object) -> Obj:
        """Create a pod that is bound already."""
        containers = spec.pop("containers", [{"name": "c", "image": "busybox", "command": ["x"]}])
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", **(meta or {})},
            "spec": {
                "nodeName": spec.pop("node", "argosy-1"),
                "automountServiceAccountToken": False,
                "containers": containers,
                **spec,
            },
        }
        return await self.client.create(kinds.POD, pod)

    async def until(
        self, name: str, holds: Callable[[Obj], bool], kind: Kind = kinds.POD, namespace: str = "default"
    ) -> Obj:
        """Wait until something holds of a pod (or another object)."""
        informer = self._informers.of(kind)
        key = Key(namespace, name)

        def found() -> bool:
            obj = informer.get(key)
            return obj is not None and holds(obj)

        assert await informer.until(found, self.patience_seconds), f"{name}: {informer.get(key)}"
        return informer.get(key)

    async def phase(self, name: str, phase: str) -> Obj:
        """Wait for a phase."""
        return await self.until(name, lambda pod: dig(pod, "status", "phase") == phase)

    async def waiting(self, name: str, reason: str) -> Obj:
        """Wait until the first container waits for this reason; returns the waiting state."""
        pod = await self.until(
            name, lambda p: dig(p, "status", "containerStatuses", 0, "state", "waiting", "reason") == reason
        )
        return pod["status"]["containerStatuses"][0]["state"]["waiting"]

    async def gone(self, name: str) -> None:
        """Wait until a pod is gone."""
        informer = self._informers.of(kinds.POD)
        assert await informer.until(lambda: informer.get(Key("default", name)) is None, self.patience_seconds)

    async def event(self, reason: str) -> Obj:
        """Wait for an event."""
        informer = self._informers.of(kinds.EVENT)
        await informer.synced()

        def found() -> list[Obj]:
            return [e for e in informer.items() if e["reason"] == reason]

        assert await informer.until(lambda: bool(found()), self.patience_seconds), f"no event {reason}"
        return found()[0]

    async def log(self, name: str, **query: str) -> str:
        """A pod's log."""
        chunks = [c async for c in self.client.logs(kinds.POD, Key("default", name), query=query)]
        return b"".join(chunks).decode()

    def command_env(self, name: str) -> dict[str, str]:
        """The environment of a pod's first run."""
        return next(dict(s.env) for s in self.runtime.specs.values() if s.pod.name == name)


@asynccontextmanager
async def node(
    home: Path, lives: Callable[[ContainerSpec], Life] = lambda spec: Life(), level: Level = Level.L2
) -> AsyncIterator[Node]:
    """A running node agent over simulated containers, on virtual time."""
    clock = SimClock()
    async with node_over(home, SimRuntime(clock, lives, level=level), clock) as world:
        yield world


@asynccontextmanager
async def node_over(home: Path, runtime: Runtime, clock: Clock) -> AsyncIterator[Node]:
    """A running node agent over any runtime."""
    store = await Store.open(None)
    world = Node(home, store, runtime, clock)
    await world.runtime.start()
    await world.app.start()
    for name in ("default",):
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
        await world.client.create(kinds.SERVICE_ACCOUNT, account)
    await world.up()
    try:
        yield world
    finally:
        await world.down()
        await world.runtime.close(kill=True)
        await world.app.close()
        await store.close()
