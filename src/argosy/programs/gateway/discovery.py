"""Following which models and replicas there are: two watches through the Kubernetes API, one table out.

The API server may go away; the last table stays, for the models are still there. A short list-and-watch loop is all that
is needed here: the whole state is two small dicts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from argosy.client.client import Client
from argosy.errors import ApiError, Expired
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, key_of, version_of
from argosy.programs.gateway.routes import LABEL_SERVICE, Table, build

_log = logging.getLogger(__name__)

INFERENCE_SERVICE = Kind("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices")
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
_WATCH_SECONDS = 300
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)


class Discovery:
    """Calls `tell` with a new table whenever something changed."""

    def __init__(self, client: Client, tell: Callable[[Table], None], *, namespace: str = "") -> None:
        self._client = client
        self._tell = tell
        self._namespace = namespace
        self._services: dict[Key, Obj] = {}
        self._slices: dict[Key, Obj] = {}
        self._complete = [False, False]
        self._due = False

    async def run(self) -> None:
        """Follow both kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(0, INFERENCE_SERVICE, "", self._services))
            group.create_task(self._follow(1, ENDPOINT_SLICE, LABEL_SERVICE, self._slices))

    async def _follow(self, number: int, kind: Kind, labels: str, objects: dict[Key, Obj]) -> None:
        failures, since = 0, ""
        while True:
            try:
                if not since:
                    since = await self._list(kind, labels, objects)
                    self._complete[number] = True
                    self._changed()
                events = self._client.watch(
                    kind, self._namespace, since=since, labels=labels, timeout_seconds=_WATCH_SECONDS
                )
                async with aclosing(events):
                    async for event in events:
                        failures = 0
                        since = version_of(event.obj) or since
                        if event.type == "DELETED":
                            objects.pop(key_of(event.obj), None)
                            self._changed()
                        elif event.type != "BOOKMARK":
                            objects[key_of(event.obj)] = event.obj
                            self._changed()
            except Expired:
                since = ""
            except (ApiError, ConnectionError, TimeoutError, ValueError) as error:
                if failures == 0:
                    _log.warning("cannot follow %s, trying again: %s", kind.resource, error)
                since = ""
                await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
                failures += 1

    async def _list(self, kind: Kind, labels: str, objects: dict[Key, Obj]) -> str:
        listing = await self._client.list(kind, self._namespace, labels=labels)
        objects.clear()
        objects.update((key_of(obj), obj) for obj in listing.items)
        return listing.resource_version

    def _changed(self) -> None:
        """Make one table of what comes together."""
        if self._due or not all(self._complete):
            return
        self._due = True
        asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        self._due = False
        try:
            self._tell(build(self._services.values(), self._slices.values()))
        except Exception:
            # One object that nobody foresaw must not take the endpoint of all models with it.
            _log.exception("the routes could not be rebuilt; the last ones stay")
