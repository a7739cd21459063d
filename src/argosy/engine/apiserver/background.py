"""Work that follows a write without holding it up: woken by the write, done once for all that woke it meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from argosy.engine.store import Mismatch, StoreFailed

log = logging.getLogger(__name__)


class Background:
    """One kind of follow-up work. `work` returns whether it wants to run again at once."""

    def __init__(self, name: str, work: Callable[[], Awaitable[bool]]) -> None:
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def wake(self) -> None:
        """There may be something to do."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Stop; what is unfinished is found again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._again:
            self._again = False
            try:
                self._again = await self._work() or self._again
            except Mismatch:
                # Somebody else wrote first: look again.
                self._again = True
            except StoreFailed as error:
                log.warning("%s could not write: %s", self._name, error)
