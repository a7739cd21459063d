"""Which group versions others serve, and what they say that they serve.

`app` looks up here by path, discovery lists what `discovered` tells. `watch_over` is the background work that asks each of
them and writes down how it fares; it is woken by writes of APIServices, Services and endpoints, and by time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from argosy import kinds
from argosy.client.requests import Request, User
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.exchange import whole
from argosy.engine.apiserver.extensions.conditions import LOCAL, PASSED, Health, reachable, undiscovered, with_health
from argosy.engine.store import Put, Record
from argosy.errors import ApiError
from argosy.meta.json import Obj, decode
from argosy.meta.kind import Kind
from argosy.meta.objects import Key

_LARGEST_DISCOVERY = 1 << 20
_CHECK_SECONDS = 6.0
_AGAIN_SECONDS = 30.0
_CHECKER = User("system:kube-aggregator", frozenset({"system:masters", "system:authenticated"}))
_WAKERS = frozenset({kinds.API_SERVICE, kinds.SERVICE, kinds.ENDPOINT_SLICE})


@dataclass(frozen=True, slots=True)
class Remote:
    """An APIService with a Service: a group version that another server serves."""

    name: str
    group: str
    version: str
    namespace: str
    service: str
    port: int
    ca_bundle: str
    insecure: bool

    @property
    def path(self) -> str:
        """Where its resources lie."""
        return f"/apis/{self.group}/{self.version}"


def remote_of(service: Obj) -> Remote | None:
    """What an APIService hands over; None when this server serves the group version itself."""
    spec, name = service["spec"], service["metadata"]["name"]
    where = spec.get("service")
    if not where or not spec.get("group"):
        return None
    return Remote(
        name, spec["group"], spec["version"], where.get("namespace") or "", where.get("name") or "",
        where.get("port") or 443, spec.get("caBundle") or "", bool(spec.get("insecureSkipTLSVerify")),
    )  # fmt: skip


Forward = Callable[[Api, Remote, Request, User], Awaitable[Answer]]


class Remotes:
    """What others serve, as it is stored and as they last said."""

    def __init__(self, api: Api, forward: Forward) -> None:
        self._api = api
        self._forward = forward
        self._by_place: dict[tuple[str, str], Remote] | None = None
        self._resources: dict[Remote, list[Obj]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, kind: Kind) -> bool:
        """A write of that kind is durable; whether it may matter here."""
        if kind is kinds.API_SERVICE:
            self._by_place = None
        return kind in _WAKERS and (kind is kinds.API_SERVICE or bool(self._places()))

    def find(self, path: str) -> Remote | None:
        """Who serves a path under /apis/GROUP/VERSION."""
        places = self._places()
        if not places or not path.startswith("/apis/"):
            return None
        parts = path.split("/", 4)
        return places.get((parts[2], parts[3])) if len(parts) > 3 else None

    def discovered(self) -> list[tuple[Remote, list[Obj]]]:
        """Each with the entries of its APIResourceList, as far as it has answered."""
        return [(remote, self._resources.get(remote, [])) for remote in self._places().values()]

    def _places(self) -> dict[tuple[str, str], Remote]:
        if self._by_place is None:
            found = (remote_of(record.obj) for record in self._api.store.list(kinds.API_SERVICE.resource))
            self._by_place = {(remote.group, remote.version): remote for remote in found if remote is not None}
        return self._by_place

    # -- how they fare

    async def watch_over(self, wake: Callable[[], None]) -> bool:
        """Ask every one of them and write down what came of it; `wake` is called when it is time to ask again."""
        self._by_place = None
        records = self._api.store.list(kinds.API_SERVICE.resource)
        before = dict(self._resources)
        healths = await asyncio.gather(*(self._health(record) for record in records))
        known = set(self._places().values())
        self._resources = {remote: found for remote, found in self._resources.items() if remote in known}
        if self._resources != before:
            self._api.registry.version += 1
        now = self._api.settings.clock.now()
        for record, health in zip(records, healths, strict=True):
            new = with_health(record.obj, health, now)
            if new is not None:
                new["metadata"] = {k: v for k, v in new["metadata"].items() if k != "resourceVersion"}
                await self._api.store.commit([Put(record.resource, record.key, new, expect=record.revision)])
        self._again(wake, bool(known))
        return False

    def close(self) -> None:
        """Ask nobody any more."""
        self._again(lambda: None, wanted=False)

    def _again(self, wake: Callable[[], None], wanted: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_AGAIN_SECONDS, wake) if wanted else None

    async def _health(self, record: Record) -> Health:
        remote = remote_of(record.obj)
        if remote is None:
            return LOCAL
        service = self._api.store.newest(kinds.SERVICE.resource, Key(remote.namespace, remote.service))
        slices = [
            each.obj
            for each in self._api.store.list(kinds.ENDPOINT_SLICE.resource, remote.namespace)
            if (each.obj["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == remote.service
        ]
        held_up = reachable(service.obj if service else None, slices, remote.namespace, remote.service, remote.port)
        if held_up is not None:
            self._resources.pop(remote, None)
            return held_up
        url = f"https://{remote.service}.{remote.namespace}.svc:{remote.port}{remote.path}"
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                request = Request("GET", remote.path, headers={"accept": "application/json"})
                answer = await self._forward(self._api, remote, request, _CHECKER)
                body = await whole(answer, _LARGEST_DISCOVERY)
            if answer.status != 200:
                return undiscovered(url, f"bad status from {url}: {answer.status}")
            found: Any = decode(body)
            self._resources[remote] = [entry for entry in found["resources"] if isinstance(entry.get("name"), str)]
        except (ApiError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            return undiscovered(url, str(error) or "context deadline exceeded")
        return PASSED
