"""A cluster as the tests see it: ordinary requests of an ordinary client, and waiting on watches. Nothing of the engine.

Used by every test of the suite through the fixtures `cluster` and `namespace`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TypeVar

from argosy import kinds
from argosy.client.client import Client
from argosy.client.commands import Execution
from argosy.client.http import HttpTransport
from argosy.client.kubeconfig import Access
from argosy.errors import ApiError, Conflict, Expired, NotFound
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, name_of, pod_is_ready

PATIENCE_SECONDS = 180.0
"""How long a cluster may take for anything, unless it is told otherwise: images may have to be pulled."""
_FAREWELL_SECONDS = 60.0
_GRACE_SECONDS = 5
"""What no pod of a test that is over needs more than."""
_NAMESPACE_LABELS = {
    "argosy-conformance": "true",
    # Clusters may hold new namespaces to a stricter standard, which is theirs to choose and not what is tested here.
    "pod-security.kubernetes.io/enforce": "privileged",
}

T = TypeVar("T")


class Cluster:
    """One cluster, and what the suite has made in it."""

    def __init__(self, access: Access, kubeconfig: Path, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.access = access
        self.patience = patience_seconds
        self.kubeconfig = kubeconfig
        self.client = Client(HttpTransport(access), field_manager="conformance")
        self._numbers = itertools.count(1)

    async def reachable(self) -> None:
        """Raises ApiError or ConnectionError when it is not, or not ours to use."""
        await self.client.list(kinds.NAMESPACE, limit=1)

    async def namespace(self, **labels: str) -> Namespace:
        """A new one; pods can be made in it as soon as this returns, if the cluster has controllers at all."""
        meta = {"generateName": "conformance-", "labels": {**_NAMESPACE_LABELS, **labels}}
        made = await self.client.create(kinds.NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        namespace = Namespace(self, name_of(made))
        with suppress(AssertionError):
            await namespace.until(kinds.SERVICE_ACCOUNT, "default", lambda _: True, seconds=10)
        return namespace

    async def close(self) -> None:
        """Wait until what was made is gone, as far as the cluster clears it away."""

        def all_gone(found: dict[str, Obj]) -> bool:
            return not found

        with suppress(AssertionError, ConnectionError):
            label = "argosy-conformance=true"
            await observe(self.client, kinds.NAMESPACE, "", all_gone, labels=label, seconds=_FAREWELL_SECONDS)
        await self.client.close()


class Namespace:
    """A namespace, and short words for what tests do in it. A name stands for an object of this namespace."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.name = name
        self._outside: list[tuple[Kind, str]] = []

    async def delete(self) -> None:
        """Ask for its deletion, and for that of what the test made outside of it. It is not waited for."""
        for kind, name in reversed(self._outside):
            with suppress(NotFound):
                await self.client.delete(kind, Key("", name))
        with suppress(NotFound, Conflict):
            await self.client.delete(kinds.NAMESPACE, Key("", self.name))
        for pod in await self.list(kinds.POD):
            if pod["spec"].get("terminationGracePeriodSeconds", 0) > _GRACE_SECONDS:
                with suppress(NotFound, Conflict):
                    await self.remove(kinds.POD, name_of(pod), grace_seconds=1)

    # -- objects

    def key(self, name: str, kind: Kind | None = None) -> Key:
        """Where an object of that name is."""
        return Key("" if kind is not None and not kind.namespaced else self.name, name)

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        """Create an object here. One outside of namespaces is deleted at the end of the test: give it a name of its own."""
        filled = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        filled["metadata"] = {**obj["metadata"], **({"namespace": self.name} if kind.namespaced else {})}
        made = await self.client.create(kind, filled)
        if not kind.namespaced:
            self._outside.append((kind, name_of(made)))
        return made

    async def get(self, kind: Kind, name: str) -> Obj:
        """Read one; the copy is the caller's."""
        return dict(thaw(await self.client.get(kind, name, self.key(name, kind).namespace)))

    async def list(self, kind: Kind, labels: str = "") -> list[Obj]:
        """All of this namespace."""
        return (await self.client.list(kind, self.name if kind.namespaced else "", labels=labels)).items

    async def patch(self, kind: Kind, name: str, patch: Obj, *, subresource: str = "") -> Obj:
        """A merge patch."""
        return await self.client.patch(kind, self.key(name, kind), patch, subresource=subresource)

    async def remove(
        self, kind: Kind, name: str, *, grace_seconds: int | None = None, propagation: str = "Background"
    ) -> None:
        """Ask for an object's deletion."""
        await self.client.delete(kind, self.key(name, kind), grace_seconds=grace_seconds, propagation=propagation)

    # -- waiting

    async def observe(
        self,
        kind: Kind,
        verdict: Callable[[dict[str, Obj]], T | None],
        *,
        labels: str = "",
        seconds: float | None = None,
    ) -> T:
        """What the verdict says of all objects of a kind, by name, once that is true. It sees every state on the way."""
        where = self.name if kind.namespaced else ""
        return await observe(self.client, kind, where, verdict, labels=labels, seconds=seconds or self.cluster.patience)

    async def until(
        self, kind: Kind, name: str, verdict: Callable[[Obj], object], *, seconds: float | None = None
    ) -> Obj:
        """The first state of an object that satisfies. It sees every state on the way, and may raise."""
        where = self.key(name, kind).namespace

        def satisfied(found: dict[str, Obj]) -> Obj | None:
            return found[name] if name in found and verdict(found[name]) else None

        fields = f"metadata.name={name}"
        return await observe(
            self.client, kind, where, satisfied, fields=fields, seconds=seconds or self.cluster.patience
        )

    async def until_gone(self, kind: Kind, name: str, *, seconds: float | None = None) -> None:
        """Until there is no object of that name."""

        def satisfied(found: dict[str, Obj]) -> bool:
            return not found

        where = self.key(name, kind).namespace
        await observe(
            self.client,
            kind,
            where,
            satisfied,
            fields=f"metadata.name={name}",
            seconds=seconds or self.cluster.patience,
        )

    async def event(self, name: str, reason: str, says: str = "", *, seconds: float | None = None) -> Obj:
        """The first Event with that reason about the object of that name whose message says that."""

        def satisfied(found: dict[str, Obj]) -> Obj | None:
            about = (each for each in found.values() if dig(each, "involvedObject", "name") == name)
            return next((e for e in about if e.get("reason") == reason and says in e.get("message", "")), None)

        return await self.observe(kinds.EVENT, satisfied, seconds=seconds)

    # -- pods

    async def pod(self, name: str, spec: Obj, **meta: object) -> Obj:
        """Create a pod."""
        return await self.create(kinds.POD, {"metadata": {"name": name, **meta}, "spec": spec})

    async def ready(self, name: str) -> Obj:
        """The pod once it is ready."""
        return await self.until(kinds.POD, name, pod_is_ready)

    async def ended(self, name: str) -> Obj:
        """The pod once it is Succeeded or Failed."""
        return await self.until(kinds.POD, name, lambda pod: pod["status"].get("phase") in ("Succeeded", "Failed"))

    async def execute(self, name: str, *command: str, container: str = "") -> Execution:
        """Run a command in a container."""
        return await self.client.execute(kinds.POD, self.key(name), command, container=container)

    async def says(self, name: str, *command: str, container: str = "") -> str:
        """What a command that must succeed prints."""
        done = await self.execute(name, *command, container=container)
        assert done.code == 0, f"{command} in {name}: {done.code} {done.stdout!r} {done.stderr!r}"
        return done.stdout.decode()

    async def until_says(self, name: str, command: Sequence[str], wanted: str, *, container: str = "") -> None:
        """Run a command until it prints exactly that: for what arrives in a running pod after a while."""
        last: object = None
        try:
            async with asyncio.timeout(self.cluster.patience):
                while True:
                    last = await self.execute(name, *command, container=container)
                    if last.code == 0 and last.stdout.decode().strip() == wanted:
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{command} in {name} never said {wanted!r}; last: {last}") from None

    async def log(self, name: str, container: str = "", **query: str) -> str:
        """A container's log as it is now."""
        parts = self.client.logs(kinds.POD, self.key(name), container=container, query=query)
        return b"".join([part async for part in parts]).decode()

    # -- kubectl

    async def kubectl(
        self, *arguments: str, input: bytes = b"", program: str | None = None, code: int = 0, **environ: str
    ) -> str:
        """What kubectl (another `program` than the usual) prints, in this namespace; it must end with that code."""
        program = program or shutil.which("kubectl")
        assert program, "mark the test: needs kubectl"
        process = await asyncio.create_subprocess_exec(
            program, "--kubeconfig", str(self.cluster.kubeconfig), "--namespace", self.name, *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **environ},
        )  # fmt: skip
        async with asyncio.timeout(self.cluster.patience):
            stdout, stderr = await process.communicate(input)
        assert process.returncode == code, f"kubectl {arguments}: {stdout!r} {stderr.decode()}"
        return stdout.decode()


async def observe(
    client: Client,
    kind: Kind,
    namespace: str,
    verdict: Callable[[dict[str, Obj]], T | None],
    *,
    fields: str = "",
    labels: str = "",
    seconds: float = PATIENCE_SECONDS,
) -> T:
    """Follow the objects of a kind until the verdict on all of them, by name, is true."""
    found: dict[str, Obj] = {}
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await _follow(client, kind, namespace, verdict, (found, fields, labels))
                except (Expired, ConnectionError):
                    await asyncio.sleep(0.2)
    except TimeoutError:
        shown = json.dumps([_without_noise(each) for each in found.values()], indent=1)
        raise AssertionError(f"{kind.plural} did not become as expected in {seconds:.0f} s: {shown}") from None


async def _follow(
    client: Client,
    kind: Kind,
    namespace: str,
    verdict: Callable[[dict[str, Obj]], T | None],
    what: tuple[dict[str, Obj], str, str],
) -> T:
    found, fields, labels = what
    listed = await client.list(kind, namespace, fields=fields, labels=labels)
    found.clear()
    found |= {name_of(each): each for each in listed.items}
    if decided := verdict(found):
        return decided
    events = client.watch(kind, namespace, since=listed.resource_version, fields=fields, labels=labels)
    async with aclosing(events):
        async for event in events:
            if event.type == "BOOKMARK":
                continue
            if event.type == "DELETED":
                found.pop(name_of(event.obj), None)
            else:
                found[name_of(event.obj)] = event.obj
            if decided := verdict(found):
                return decided
    raise ConnectionError("the watch ended")


def _without_noise(obj: Obj) -> Obj:
    shown = dict(thaw(obj))
    shown.get("metadata", {}).pop("managedFields", None)
    return shown


async def refused(request: object) -> ApiError:
    """The error that a request is answered with; it must be."""
    try:
        answer = await request  # type: ignore[misc]
    except ApiError as error:
        return error
    raise AssertionError(f"that should have been refused: {answer}")
