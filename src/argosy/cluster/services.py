"""The engine as a list of services, started in order and stopped in reverse.

A service is an async function that runs until it is cancelled and calls `ready` once others may rely on it. The list in
`embedded.py` is the whole start-up of the engine. A service that fails after it was ready is started again with a
back-off: a mistake in one controller must not take the pods' supervisor with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from argosy.errors import ArgosyError

log = logging.getLogger(__name__)

Ready = Callable[[], None]
_BACKOFF_SECONDS = (0.2, 1.0, 5.0)
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Service:
    """One part of the engine."""

    name: str
    run: Callable[[Ready], Awaitable[None]]
    restart: bool = True
    """False for what the others stand on: its failure ends the engine."""


@asynccontextmanager
async def running(services: Sequence[Service], failed: Callable[[str, BaseException], None]) -> AsyncGenerator[None]:
    """Run services in order for as long as the context lasts. `failed` hears of one that may not be restarted."""
    tasks: list[tuple[Service, asyncio.Task[None]]] = []
    try:
        for service in services:
            ready = asyncio.Event()
            task = asyncio.create_task(_supervise(service, ready, failed), name=service.name)
            tasks.append((service, task))
            waiter = asyncio.create_task(ready.wait())
            await asyncio.wait({waiter, task}, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            if not ready.is_set():
                task.result()
                raise ArgosyError(f"{service.name} ended before it was ready")
        yield
    finally:
        for service, task in reversed(tasks):
            await _stop(service, task)


async def _supervise(service: Service, ready: asyncio.Event, failed: Callable[[str, BaseException], None]) -> None:
    failures = 0
    while True:
        try:
            await service.run(ready.set)
            log.warning("%s ended", service.name)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if not ready.is_set():
                raise
            log.exception("%s failed", service.name)
            if not service.restart:
                failed(service.name, error)
                return
        await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
        failures += 1


async def _stop(service: Service, task: asyncio.Task[None]) -> None:
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=_STOP_SECONDS)
    if not done:
        log.error("%s did not stop within %.0f s", service.name, _STOP_SECONDS)
    elif not task.cancelled() and task.exception() is not None:
        log.error("%s failed while stopping: %s", service.name, task.exception())
