"""An engine in a temporary home, for as long as a measurement lasts; nothing of it is left afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from argosy import kinds
from argosy.client.client import Client
from argosy.client.http import HttpTransport
from argosy.client.kubeconfig import load
from argosy.control.informer import Informer
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import key_of

NAMESPACE = "default"
_COMMAND = (sys.executable, "-m", "argosy.cli.main")


class Home:
    """A home directory, and the command `argosy` aimed at it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *arguments: str) -> str:
        """One `argosy` command; its output. Raises CalledProcessError."""
        environ = {**os.environ, "ARGOSY_HOME": str(self.path)}
        done = subprocess.run([*_COMMAND, *arguments], env=environ, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def up(self, *options: str) -> tuple[int, float]:
        """(pid, seconds) of an engine that is ready."""
        began = time.perf_counter()
        said = self.run("up", "-o", "json", *options)
        seconds = time.perf_counter() - began
        return int(json.loads(said)["pid"]), seconds

    def pid(self) -> int:
        """The engine that runs here."""
        return int(json.loads(self.run("status", "-o", "json"))["pid"])

    def down(self) -> float:
        """Seconds that it took to end the engine and its pods."""
        began = time.perf_counter()
        self.run("down")
        return time.perf_counter() - began

    @asynccontextmanager
    async def client(self, connections: int = 0) -> AsyncGenerator[Client]:
        """A client over HTTPS, as any other; `connections` 0 means the usual number."""
        access = load([self.path / "kubeconfig"])
        transport = HttpTransport(access, connections=connections) if connections else HttpTransport(access)
        client = Client(transport, field_manager="bench")
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def home() -> AsyncGenerator[Home]:
    """A home without an engine; whatever runs in it at the end is ended."""
    path = Path(tempfile.mkdtemp(prefix="argosy-", dir="/tmp"))  # short: sockets lie below it
    found = Home(path)
    try:
        yield found
    finally:
        found.run("down")
        shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def engine() -> AsyncGenerator[tuple[Home, Client]]:
    """A running engine that is ready to run pods, and a client of it."""
    async with home() as place:
        place.up()
        async with place.client() as client:
            await warm(client)
            yield place, client


@asynccontextmanager
async def following(client: Client, kind: Kind) -> AsyncGenerator[Informer]:
    """A live copy of a kind's objects."""
    informer = Informer(client, kind)
    task = asyncio.create_task(informer.run())
    try:
        await informer.synced()
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pod(name: str, command: Sequence[str], image: str = "busybox") -> Obj:
    """A pod of one container that is not restarted, on the host's tools unless another image is named."""
    container = {"name": "main", "image": image, "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0},
    }


def phase(obj: Obj | None) -> str:
    """A pod's phase, empty for one that is not there."""
    return str(obj.get("status", {}).get("phase", "")) if obj else ""


async def warm(client: Client) -> None:
    """Run one pod to its end: what is only made once is made."""
    async with following(client, kinds.POD) as pods:
        made = await client.create(kinds.POD, pod("warm-up", ["true"]))
        await pods.until(lambda: any(phase(p) == "Succeeded" for p in pods.items()), 60)
        await client.delete(kinds.POD, key_of(made))
        await pods.until(lambda: not pods.items(), 60)
