"""Pods that serve and a pod that asks them: what the tests of networks are made of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from argosy import kinds
from argosy.client.requests import Request
from argosy.meta.json import Obj
from conformance import programs
from conformance.cluster import Namespace
from conformance.manifests import PYTHON_IMAGE, pod_spec, python, workload

_WAIT = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0))\nwhile True: signal.pause()"

_RESOLVE = """
import json, socket, sys
try:
    found = socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET, socket.SOCK_STREAM)
    print(json.dumps(sorted({each[4][0] for each in found})))
except socket.gaierror:
    print("[]")
"""


class Town:
    """A namespace with servers, Services and one visitor; `ask` is what the visitor is told."""

    def __init__(self, namespace: Namespace, lacks: Callable[[str], Awaitable[str]] | None = None) -> None:
        """`lacks` tells why the cluster has not what a test turns out to need; the test is then skipped."""
        self.namespace = namespace
        self._lacks = lacks

    def container(self) -> Obj:
        """The server: `http` on 8080, `admin` on 9090, UDP on 5300, not ready once `/tmp/unwell` exists."""
        ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}]
        probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
        return python(programs.WEB, ports=ports, readinessProbe=probe)

    async def server(self, name: str, **labels: str) -> str:
        """A server that is ready; its address."""
        await self.namespace.pod(name, pod_spec(self.container()), labels=labels or {"app": name})
        return str((await self.namespace.ready(name))["status"]["podIP"])

    async def visitor(self, name: str = "visitor", **labels: str) -> str:
        """A pod that questions can be sent from; its address."""
        spec = pod_spec({**python(_WAIT), "image": PYTHON_IMAGE})
        await self.namespace.pod(name, spec, labels=labels or {"app": name})
        return str((await self.namespace.ready(name))["status"]["podIP"])

    async def visitors(self, name: str) -> None:
        """One visitor on every node that takes pods."""
        spec = pod_spec({**python(_WAIT), "image": PYTHON_IMAGE})
        await self.namespace.create(kinds.DAEMON_SET, workload(name, spec))

        def everywhere(found: Obj) -> bool:
            status = found.get("status") or {}
            wanted = status.get("desiredNumberScheduled", 0)
            return bool(wanted) and status.get("numberReady", 0) == wanted

        await self.namespace.until(kinds.DAEMON_SET, name, everywhere)

    async def service(self, name: str, **spec: object) -> Obj:
        """A Service for the pods labelled `app: NAME`, port 80 to their `http`."""
        spec.setdefault("selector", {"app": name})
        spec.setdefault("ports", [{"name": "http", "port": 80, "targetPort": "http"}])
        return await self.namespace.create(kinds.SERVICE, {"metadata": {"name": name}, "spec": spec})

    async def ingress_class(self) -> Obj:
        """The part of an Ingress' spec that names the cluster's class; nothing where it has none."""
        classes = await self.namespace.list(kinds.INGRESS_CLASS)
        return {"ingressClassName": classes[0]["metadata"]["name"]} if classes else {}

    async def ask(
        self, host: str, port: int, *, kind: str = "tcp", visitor: str = "visitor", path: str = "/", header: str = "web"
    ) -> Obj:
        """What is told at an address, or `error`."""
        await self._names_for(host)
        command = ("python3", "-c", programs.ASK, kind, host, str(port), path, header)
        return dict(json.loads(await self.namespace.says(visitor, *command)))

    async def reaches(self, host: str, port: int, visitor: str = "visitor") -> bool:
        """Whether there is an answer."""
        return "name" in await self.ask(host, port, visitor=visitor)

    async def addresses(self, name: str) -> set[str]:
        """The IPv4 addresses of a name, as a program of the visitor's sees them."""
        await self._names_for(name)
        return set(json.loads(await self.namespace.says("visitor", "python3", "-c", _RESOLVE, name)))

    async def _names_for(self, host: str) -> None:
        if host[:1].isdigit() or self._lacks is None:
            return
        if why := await self._lacks("names"):
            pytest.skip(f"this cluster has no names: {why}")

    async def service_records(self, name: str) -> list[int]:
        """The ports of a name's SRV records."""
        return list(json.loads(await self.namespace.says("visitor", "python3", "-c", programs.SERVICE_RECORDS, name)))

    async def answers_here(self, url: str) -> bool:
        """Whether somebody answers on this machine."""
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def get(self, path: str) -> bytes:
        """A GET of the API server's."""
        answer = await self.namespace.client.raw(Request("GET", path))
        return answer.body

    async def only(self, name: str, host: str, port: int) -> bool:
        """Whether several answers in a row come from one server."""
        return {(await self.ask(host, port)).get("name") for _ in range(5)} == {name}

    async def names_seen(self, seen: set[str], host: str, port: int, wanted: set[str]) -> bool:
        """Ask once more; whether all that is wanted has been seen."""
        seen.add(str((await self.ask(host, port)).get("name")))
        return wanted <= seen

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        """Ask until it is true: what is decided on one side arrives on the other a moment later."""
        try:
            async with asyncio.timeout(self.namespace.cluster.patience):
                while not await true():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError("it never became true") from None

    async def until_reached(self, host: str, port: int, visitor: str = "visitor") -> None:
        """Until there is an answer."""
        await self.until(lambda: self.reaches(host, port, visitor))

    async def until_refused(self, host: str, port: int, visitor: str = "visitor") -> None:
        """Until there is none."""

        async def refused() -> bool:
            return not await self.reaches(host, port, visitor)

        await self.until(refused)
