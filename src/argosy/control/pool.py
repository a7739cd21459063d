"""One informer a kind for the whole process, however many operators look at it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType

from argosy.client.client import Client
from argosy.client.metadata import MetadataOnly
from argosy.control.informer import Informer
from argosy.meta.kind import Kind

_log = logging.getLogger(__name__)


class Informers:
    """An async context: informers start when first asked for and end with it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[tuple[str, str, str, str, str, str, bool], Informer] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Informers:
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def of(
        self, kind: Kind, *, namespace: str = "", labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> Informer:
        """The informer of a kind and selector; the same one for everybody who asks for the same."""
        place = (kind.group, kind.version, kind.plural, namespace, labels, fields, metadata_only)
        informer = self._informers.get(place)
        if informer is None:
            client = self._client.through(MetadataOnly) if metadata_only else self._client
            informer = Informer(client, kind, namespace=namespace, labels=labels, fields=fields)
            self._informers[place] = informer
            self._tasks.append(asyncio.create_task(_keep_running(informer), name=f"informer of {kind.resource}"))
        return informer

    def all(self) -> Sequence[Informer]:
        """Every informer there is so far."""
        return list(self._informers.values())

    async def synced(self) -> None:
        """Wait until all that exist so far have a complete copy."""
        for informer in self.all():
            await informer.synced()

    def nudge(self) -> None:
        """What the server serves has changed: those who wait for their kind look again."""
        for informer in self._informers.values():
            if not informer.served:
                informer.nudge()

    async def close(self) -> None:
        """End them all."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._informers.clear()


async def _keep_running(informer: Informer) -> None:
    while True:
        try:
            await informer.run()
        except Exception:
            # Our own mistake; a process that goes blind to a kind would be worse.
            _log.exception("the informer of %s failed and starts again", informer.kind.resource)
            await asyncio.sleep(1)
