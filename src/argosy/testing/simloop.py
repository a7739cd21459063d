"""Virtual time: an asyncio loop whose clock jumps to the next timer as soon as nothing else is left to do.

Minutes of back-offs, leases and deadlines pass in milliseconds, the same way every time. When nothing is ready and no
timer is set, the program could only hang: that raises `Deadlock` and names the tasks that wait, which makes every test a
deadlock check. Valid for code without sockets and threads, which is what the in-process API server over a store in memory
and a simulated runtime give.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When virtual time begins."""


class Deadlock(AssertionError):
    """Nothing is ready and no timer is set: what runs would wait for ever."""


class _JumpingSelector(selectors.BaseSelector):
    """Never waits: moves the loop's clock instead."""

    def __init__(self, loop: SimLoop) -> None:
        self._real = selectors.DefaultSelector()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Deadlock(self._loop.waiting())
        self._loop.advance(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._now += max(0.0, seconds)

    def waiting(self) -> str:
        """Which tasks wait, for the message of a deadlock."""
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        lines = [f"  {task.get_name()}: {task.get_coro()}" for task in tasks]
        return "\n".join([f"at {self._now:.3f} virtual seconds nothing is ready and no timer is set; waiting:", *lines])


class SimClock:
    """The clock that goes with the running `SimLoop`."""

    def now(self) -> datetime:
        """`START` plus the loop's virtual time."""
        return START + timedelta(seconds=asyncio.get_running_loop().time())


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on virtual time. Raises Deadlock rather than hanging."""
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        return runner.run(main)
