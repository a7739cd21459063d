"""A cluster in one process: the real store and API server, the controllers, the scheduler, and a pretended node agent.

It runs on virtual time, so back-offs and deadlines of minutes pass at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from argosy.client.client import Client
from argosy.clock import Clock, SystemClock, rfc3339, rfc3339_micro
from argosy.control.pool import Informers
from argosy.engine.apiserver.app import App
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.controllers import ControllerSettings
from argosy.engine.controllers import run as run_controllers
from argosy.engine.scheduler.loop import run as run_scheduler
from argosy.errors import ApiError
from argosy.kinds import LEASE, NODE, POD
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, annotations_of, is_deleting, key_of
from argosy.testing import simloop
from argosy.testing.cluster import cluster


class Cluster:
    """What a test sees."""

    def __init__(self, client: Client, app: App, informers: Informers, clock: Clock, kubelet: Kubelet) -> None:
        self.client = client
        self.kubelet = kubelet
        self.app = app
        self.informers = informers
        self.clock = clock

    async def quiet(self, seconds: float) -> int:
        """Let time pass; how many writes it has seen."""
        before = self.app.api.store.revision
        await asyncio.sleep(seconds)
        return self.app.api.store.revision - before

    async def until(
        self, kind: Kind, name: str, holds: Callable[[Obj], bool], namespace: str = "default", timeout: float = 600
    ) -> Obj:
        """Wait until an object is there and something holds of it."""
        informer = self.informers.of(kind)
        key = Key(namespace if kind.namespaced else "", name)

        def found() -> bool:
            obj = informer.get(key)
            return obj is not None and holds(obj)

        if not await informer.until(found, timeout):
            raise AssertionError(f"{kind.kind} {name} does not come to hold: {informer.get(key)}")
        obj = informer.get(key)
        assert obj is not None
        return obj

    async def gone(self, kind: Kind, name: str, namespace: str = "default") -> None:
        """Wait until an object is gone."""
        informer = self.informers.of(kind)
        key = Key(namespace if kind.namespaced else "", name)
        if not await informer.until(lambda: informer.get(key) is None, 600):
            raise AssertionError(f"{kind.kind} {name} does not go: {informer.get(key)}")

    async def count(
        self, kind: Kind, wanted: int, which: Callable[[Obj], bool] = lambda _: True, timeout: float = 600
    ) -> list[Obj]:
        """Wait until so many objects are such."""
        informer = self.informers.of(kind)

        def found() -> list[Obj]:
            return [obj for obj in informer.items() if which(obj)]

        await informer.synced()
        if not await informer.until(lambda: len(found()) == wanted, timeout):
            raise AssertionError(f"{len(found())} {kind.plural} instead of {wanted}")
        return sorted(found(), key=key_of)


class Kubelet:
    """Runs pods in pretence: Running and ready at once; pods of a Job, or annotated `test/exit`, then end."""

    def __init__(self, client: Client, informers: Informers, clock: Clock, names: tuple[str, ...], cpu: str) -> None:
        self.client = client
        self.clock = clock
        self.pods = informers.of(POD)
        self.names = names
        self.cpu = cpu
        self.silent: set[str] = set()
        self.lease_seconds = 40
        self._address = 1

    async def register(self) -> None:
        for name in self.names:
            now = self.clock.now()
            stamp = rfc3339(now)
            ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
            node: Obj = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            }
            await self.client.create(NODE, node)
            allocatable = {"cpu": self.cpu, "memory": "64Gi", "pods": "2000"}
            status = {"conditions": [ready], "allocatable": allocatable, "capacity": allocatable}
            await self.client.patch(NODE, Key("", name), {"status": status}, subresource="status")
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": {
                    "holderIdentity": name,
                    "leaseDurationSeconds": self.lease_seconds,
                    "renewTime": rfc3339_micro(now),
                },
            }
            await self.client.create(LEASE, lease)

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self.lease_seconds / 4)
            for name in self.names:
                if name not in self.silent:
                    renewed = {"spec": {"renewTime": rfc3339_micro(self.clock.now())}}
                    await self.client.patch(LEASE, Key("kube-node-lease", name), renewed)

    async def run(self) -> None:
        await self.pods.synced()
        changes = self.pods.subscribe()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.keep_alive())
            for pod in list(self.pods.items()):
                group.create_task(self.handle(pod))
            async for batch in changes:
                for change in batch:
                    if change.type != "DELETED":
                        group.create_task(self.handle(change.obj))

    async def handle(self, pod: Obj) -> None:
        if dig(pod, "spec", "nodeName") not in set(self.names) - self.silent:
            return
        phase = dig(pod, "status", "phase", default="Pending")
        try:
            if is_deleting(pod):
                if pod["metadata"].get("deletionGracePeriodSeconds"):
                    if phase not in ("Succeeded", "Failed"):
                        await self.say(pod, "Failed", 137)
                    await self.client.delete(POD, key_of(pod), grace_seconds=0)
            elif phase == "Pending":
                await self.say(pod, "Running")
            elif phase == "Running":
                exit_code = annotations_of(pod).get("test/exit")
                if exit_code is not None:
                    await self.say(pod, "Failed" if int(exit_code) else "Succeeded", int(exit_code))
        except ApiError:
            return

    async def say(self, pod: Obj, phase: str, code: int = 0) -> None:
        now = rfc3339(self.clock.now())
        running = phase == "Running"
        name = pod["spec"]["containers"][0]["name"]
        state = {"running": {"startedAt": now}} if running else {"terminated": {"exitCode": code, "finishedAt": now}}
        status: Obj = {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if running else "False", "lastTransitionTime": now}],
            "containerStatuses": [
                {"name": name, "ready": running, "state": state, "restartCount": 0, "image": "", "imageID": ""}
            ],
        }
        if running:
            self._address += 1
            status["podIP"] = f"10.64.{self._address >> 8}.{self._address & 255}"
        await self.client.patch(POD, key_of(pod), {"status": status}, subresource="status")


@asynccontextmanager
async def small_cluster(
    tmp_path: Path, clock: Clock, *, nodes: tuple[str, ...] = ("n1",), cpu: str = "64", quick: bool = False
) -> AsyncIterator[Cluster]:
    """Everything up; ends with the block. `quick`: death is noticed as on several nodes of one machine."""
    settings = ApiSettings(clock=clock, toleration_seconds=0 if quick else 300)
    api = cluster(settings, with_account=False)
    async with api as made, Informers(made.client) as informers:
        client = made.client
        kubelet = Kubelet(client, informers, clock, nodes, cpu)
        kubelet.lease_seconds = 3 if quick else 40
        await kubelet.register()
        told = ControllerSettings(tmp_path / "volumes", "CA")
        tasks = [
            asyncio.create_task(work)
            for work in (
                run_controllers(client, told, clock, informers=informers),
                run_scheduler(client, clock, informers=informers),
                kubelet.run(),
            )
        ]
        try:
            yield Cluster(client, made.app, informers, clock, kubelet)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def in_cluster(
    tmp_path: Path, test: Callable[[Cluster], Awaitable[None]], *, real_time: bool = False, **options: object
) -> None:
    """Run a test in a cluster of its own, on virtual time unless it needs threads."""
    clock = SystemClock() if real_time else simloop.SimClock()

    async def run() -> None:
        async with small_cluster(tmp_path, clock, **options) as cluster:  # type: ignore[arg-type]
            async with asyncio.timeout(40 if real_time else 100_000):
                await test(cluster)

    if real_time:
        asyncio.run(run())
    else:
        simloop.run(run())
