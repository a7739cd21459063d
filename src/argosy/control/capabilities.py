"""What a cluster can do, kept current: read from its API discovery, again whenever its CustomResourceDefinitions change.

The runner hands it to plans as a value and starts an operator when its kind is served. Nothing here asks what the cluster
is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import NoReturn

from argosy.client.client import Client
from argosy.client.discovery import discover
from argosy.control.informer import Informer
from argosy.control.pool import Informers
from argosy.errors import ApiError
from argosy.intent import Capabilities
from argosy.kinds import CUSTOM_RESOURCE_DEFINITION
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import name_of

_log = logging.getLogger(__name__)

_AGAIN_SECONDS = 300.0
"""APIs that other servers provide come and go without a CustomResourceDefinition."""
_SETTLE_SECONDS = 0.05
"""CustomResourceDefinitions are mostly installed many at a time."""
_LAST_BACKOFF_SECONDS = 10.0
_LOOKS_AFTER_NEWS = 8
"""A server tells of a definition before its discovery shows it: so often, at growing pauses, is it asked again."""


async def capabilities_of(client: Client) -> Capabilities:
    """What the cluster serves now. Raises ApiError or ConnectionError."""
    kinds = await discover(client)
    return Capabilities(frozenset(_name(kind) for kind in kinds))


async def until_served(client: Client, kind: Kind, *, timeout: float | None = None) -> None:
    """Wait until a kind is served, for whoever has just installed it. Raises TimeoutError."""
    async with asyncio.timeout(timeout), Informers(client) as informers:
        tracker = CapabilityTracker(client, informers)
        follower = asyncio.create_task(tracker.run())
        try:
            await tracker.serves(kind)
        finally:
            follower.cancel()


class CapabilityTracker:
    """The capabilities of one cluster as they are now."""

    def __init__(self, client: Client, informers: Informers) -> None:
        self.current = Capabilities()
        self.version = 0
        """Counts the times that `current` has changed."""
        self._client = client
        self._informers = informers
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever `current` has changed."""
        self._listeners.append(listener)

    async def serves(self, *kinds: Kind) -> Kind:
        """Wait until the cluster serves a kind in one of these versions; the first of them that it serves."""
        while True:
            served = next((kind for kind in kinds if self.current.serves(kind)), None)
            if served is not None:
                return served
            self._changed.clear()
            await self._changed.wait()

    async def known(self) -> None:
        """Wait until the cluster was asked once."""
        while not self.version:
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> NoReturn:
        """Keep `current` current, until cancelled."""
        failures = looks = 0
        news = asyncio.Event()
        definitions: Informer | None = None
        while True:
            try:
                self._set(await capabilities_of(self._client))
                failures = 0
            except (ApiError, ConnectionError, TimeoutError) as error:
                failures += 1
                if failures == 1:
                    _log.warning("cannot ask the API server what it serves, trying again: %s", error)
            if definitions is None and self.current.serves(CUSTOM_RESOURCE_DEFINITION):
                definitions = self._informers.of(CUSTOM_RESOURCE_DEFINITION, metadata_only=True)
                definitions.listen(lambda _: news.set())
            if failures:
                wait = min(_LAST_BACKOFF_SECONDS, 0.1 * 2**failures)
            elif looks < _LOOKS_AFTER_NEWS and definitions is not None and self._lags(definitions.items()):
                wait = 0.1 * 2**looks
                looks += 1
            else:
                wait = _AGAIN_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await news.wait()
                await asyncio.sleep(_SETTLE_SECONDS)
                looks = 0
            except TimeoutError:
                pass
            news.clear()

    def _lags(self, definitions: Iterable[Obj]) -> bool:
        """Whether a definition is there whose resource was not yet served when the server was last asked."""
        served = {_resource(name) for name in self.current.resources}
        return any(name_of(definition) not in served for definition in definitions)

    def _set(self, capabilities: Capabilities) -> None:
        if self.version and capabilities == self.current:
            return
        self.current = capabilities
        self.version += 1
        self._changed.set()
        self._informers.nudge()
        for listener in tuple(self._listeners):
            listener()


def _resource(name: str) -> str:
    """`toys.toys.example` of `toys.v1.toys.example`: what its definition is called."""
    plural, _, rest = name.partition(".")
    return f"{plural}.{rest.partition('.')[2]}"


def _name(kind: Kind) -> str:
    return f"{kind.plural}.{kind.version}" + (f".{kind.group}" if kind.group else "")
