"""A transport that misbehaves as networks and API servers do, around any transport that does not.

Watches are cut or expire, events come twice, requests fail or are slow: what a client that is to run for years must live
through. Every fault is ordered by the test, none is left to chance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from argosy.client.requests import Event, Request, Response
from argosy.client.transport import Transport
from argosy.errors import ApiError, Expired

Matches = Callable[[Request], bool]


@dataclass(slots=True)
class _Rule:
    matches: Matches
    error: Exception | None
    seconds: float
    times: int


class FaultyTransport:
    """Passes everything on until told otherwise."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._rules: list[_Rule] = []
        self._open: set[asyncio.Future[Exception]] = set()
        self.repeat_events = False
        """Send every event of a watch twice."""
        self.sent: list[Request] = []
        """Every request that came this far, in order."""

    def fail(self, error: Exception, *, method: str = "", path: str = "", times: int = 1) -> None:
        """Let the next `times` requests of a method whose path contains `path` fail: with an ApiError as an answer, or by
        raising a ConnectionError.
        """
        self._rules.append(_Rule(lambda r: method in ("", r.method) and path in r.path, error, 0.0, times))

    def slow(self, seconds: float, *, method: str = "", path: str = "", times: int = 1) -> None:
        """Hold the next `times` such requests up."""
        self._rules.append(_Rule(lambda r: method in ("", r.method) and path in r.path, None, seconds, times))

    def cut_watches(self) -> None:
        """Break every open watch's connection."""
        self._interrupt(ConnectionError("the connection was cut"))

    def expire_watches(self) -> None:
        """Let every open watch learn that its place in history is gone."""
        self._interrupt(Expired("too old resource version"))

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return len(self._open)

    async def send(self, request: Request) -> Response:
        """Carry the request, or fail as ordered."""
        self.sent.append(request)
        for rule in list(self._rules):
            if not rule.matches(request):
                continue
            rule.times -= 1
            if rule.times <= 0:
                self._rules.remove(rule)
            if rule.seconds:
                await asyncio.sleep(rule.seconds)
            if isinstance(rule.error, ApiError):
                return Response(rule.error.code, obj=rule.error.status())
            if rule.error is not None:
                raise rule.error
            break
        response = await self._inner.send(request)
        if response.events is not None:
            response.events = self._watched(response.events)
        return response

    async def close(self) -> None:
        """Close what carries."""
        await self._inner.close()

    def _interrupt(self, error: Exception) -> None:
        for interrupt in list(self._open):
            if not interrupt.done():
                interrupt.set_result(error)

    async def _watched(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        interrupt: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._open.add(interrupt)
        try:
            async with aclosing(events):
                while True:
                    event = await _next(events, interrupt)
                    if event is None:
                        return
                    yield event
                    if self.repeat_events and event.type != "ERROR":
                        yield event
        finally:
            self._open.discard(interrupt)


async def _next(events: AsyncGenerator[Event, None], interrupt: asyncio.Future[Exception]) -> Event | None:
    """The next event, or the fault that was ordered; None at the end."""
    following = asyncio.ensure_future(anext(events, None))
    racing: list[asyncio.Future[Any]] = [following, interrupt]
    try:
        await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not following.done():
            # The generator must stand still before anybody closes it.
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    if not interrupt.done():
        return following.result()
    error = interrupt.result()
    if not isinstance(error, ApiError):
        raise error
    return Event("ERROR", error.status())
