"""A live copy of the objects of one kind: the eyes of everything that reconciles.

One per (kind, selector) and process, shared through `pool.Informers`. It follows a watch that begins with the present state
(WatchList) where the server offers that, else it lists and watches; it resumes after a cut, lists again when its place in
history is compacted away, and backs off while the server is away.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing

from argosy.client.client import Client
from argosy.client.requests import Event
from argosy.control.cache import Cache, Change
from argosy.errors import ApiError, BadRequest, Expired, Invalid, NotFound, TooManyRequests
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, annotations_of, version_of

_log = logging.getLogger(__name__)

_PAGE = 500
_FIRST_BACKOFF_SECONDS = 0.05
_LAST_BACKOFF_SECONDS = 10.0
_UNSERVED_SECONDS = 30.0
_REFUSALS = 6
"""So often may a server say in a row that it has no time now, as one does of a kind it has begun to serve, before that is
worth a warning.
"""
_WATCH_SECONDS = 300
_GRACE_SECONDS = 30.0
"""How much longer than asked for a watch may last before its connection counts as dead."""
_INITIAL_EVENTS_SECONDS = 10.0
"""How long the initial events may pause before the server counts as one that does not know them."""
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"

Listener = Callable[[Sequence[Change]], None]


class Subscription:
    """An async iterator of batches of changes; `close` ends it. Holds what its reader has not taken yet."""

    def __init__(self, informer: Informer) -> None:
        self._pending: list[Change] = []
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._stop = informer.listen(self._take)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> list[Change]:
        while not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        batch, self._pending = self._pending, []
        return batch

    def close(self) -> None:
        """No more changes."""
        self._closed = True
        self._stop()
        self._wake()

    def _take(self, changes: Sequence[Change]) -> None:
        self._pending += changes
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Informer:
    """A live copy of a kind's objects. Objects are shared: `thaw` one before changing it."""

    def __init__(self, client: Client, kind: Kind, *, namespace: str = "", labels: str = "", fields: str = "") -> None:
        self.kind = kind
        self.namespace = namespace
        self.served = True
        """False while the server does not know the kind; then the copy is empty and counts as synced."""
        self._client = client
        self._labels, self._fields = labels, fields
        self._cache = Cache()
        self._resume = ""
        self._watch_list = True
        self._synced = asyncio.Event()
        self._nudged = asyncio.Event()
        self._listeners: list[Listener] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._complaint = ""

    # -- reading

    @property
    def version(self) -> int:
        """The newest resourceVersion that this copy is known to include; 0 when versions are not numbers."""
        return self._cache.version

    def get(self, key: Key) -> Obj | None:
        """One object."""
        return self._cache.objects.get(key)

    def items(self) -> Collection[Obj]:
        """All objects, in no order."""
        return self._cache.items()

    def index(self, name: str, of: Callable[[Obj], Iterable[str]]) -> None:
        """Keep an index under a name of the caller's; naming it again changes nothing."""
        self._cache.index(name, of)

    def indexed(self, name: str, value: str) -> Sequence[Obj]:
        """The objects that an index files under a value; `cache.OWNER` is always there (the controlling owner's uid)."""
        return self._cache.indexed(name, value)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every batch of changes from now on; returns what ends that. It must not raise."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def subscribe(self) -> Subscription:
        """The same as an async iterator."""
        return Subscription(self)

    async def synced(self) -> None:
        """Wait for the first complete copy."""
        await self._synced.wait()

    async def until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until a condition on this copy holds; False when `timeout` seconds did not suffice."""
        if condition():
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (condition, waiter)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            return False
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
        return True

    async def caught_up(self, version: int, timeout: float | None = None) -> bool:
        """Wait until this copy includes a resourceVersion, so that a writer reads its own writes."""
        return await self.until(lambda: self._cache.version >= version, timeout)

    def nudge(self) -> None:
        """Something changed about what the server serves: do not wait out a back-off."""
        self._nudged.set()

    # -- following

    async def run(self) -> None:
        """Follow the server until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            version, begun = self._resume, loop.time()
            trouble = True
            try:
                await self._follow()
                trouble = False
            except Expired:
                self._resume = ""
            except NotFound:
                self._unserved()
            except (ApiError, ConnectionError, TimeoutError) as error:
                if not isinstance(error, TooManyRequests) or failures >= _REFUSALS:
                    self._complain(error)
            if self._resume not in ("", version) or loop.time() - begun > _LAST_BACKOFF_SECONDS:
                # It got somewhere, or at least lasted: whatever ended it is not the same as before.
                failures = 0
            elif not trouble:
                # A server that ends watches as soon as they begin must not be asked without pause.
                failures += 1
            failures += trouble
            if failures:
                await self._back_off(failures)

    async def _follow(self) -> None:
        """One watch, from wherever this copy stands to the watch's end."""
        if not self._resume and self._watch_list:
            try:
                await self._stream(initial_events=True)
                return
            except TimeoutError:
                if self._resume:
                    return
                self._watch_list = False
            except (BadRequest, Invalid):
                if self._resume:
                    raise
                self._watch_list = False
        if not self._resume:
            await self._list()
        try:
            await self._stream(initial_events=False)
        except TimeoutError:
            return  # a connection that died silently: watch again from here

    async def _list(self) -> None:
        items: list[Obj] = []
        token, version = "", ""
        while True:
            page = await self._client.list(
                self.kind, self.namespace, labels=self._labels, fields=self._fields, limit=_PAGE, continue_token=token
            )
            items += page.items
            version, token = page.resource_version, page.continue_token
            if not token:
                break
        self._replace(items, version)

    async def _stream(self, *, initial_events: bool) -> None:
        seconds = _WATCH_SECONDS + random.randrange(_WATCH_SECONDS)
        events = self._client.watch(
            self.kind,
            self.namespace,
            since=self._resume,
            labels=self._labels,
            fields=self._fields,
            timeout_seconds=seconds,
            initial_events=initial_events,
        )
        loop = asyncio.get_running_loop()
        async with asyncio.timeout_at(None) as limit, aclosing(events):
            if initial_events and not await self._begin(events, limit):
                return
            limit.reschedule(loop.time() + seconds + _GRACE_SECONDS)
            async for event in events:
                self._take(event)

    async def _begin(self, events: AsyncGenerator[Event, None], limit: asyncio.Timeout) -> bool:
        """Take the present state off the head of a watch; False when the watch ended before it was complete."""
        loop = asyncio.get_running_loop()
        fresh: list[Obj] = []
        limit.reschedule(loop.time() + _INITIAL_EVENTS_SECONDS)
        async for event in events:
            if event.type == "BOOKMARK":
                if annotations_of(event.obj).get(_INITIAL_EVENTS_END) == "true":
                    self._replace(fresh, version_of(event.obj))
                    return True
            else:
                fresh.append(event.obj)
            if len(fresh) % 256 == 0:
                limit.reschedule(loop.time() + _INITIAL_EVENTS_SECONDS)
        return False

    def _take(self, event: Event) -> None:
        version = version_of(event.obj)
        if event.type == "BOOKMARK":
            self._cache.saw(version)
            changes: list[Change] = []
        else:
            changes = self._cache.apply(event.type, event.obj)
        self._resume = version or self._resume
        self._tell(changes)

    def _replace(self, items: Sequence[Obj], version: str) -> None:
        changes = self._cache.replace(items, version)
        self._resume = version
        self.served = True
        self._complaint = ""
        self._synced.set()
        self._tell(changes)

    def _unserved(self) -> None:
        self._resume = ""
        self.served = False
        changes = self._cache.replace((), "")
        self._synced.set()
        self._tell(changes)

    def _tell(self, changes: Sequence[Change]) -> None:
        if changes:
            for listener in tuple(self._listeners):
                listener(changes)
        if self._waiting:
            for condition, waiter in self._waiting:
                if not waiter.done() and condition():
                    waiter.set_result(None)

    async def _back_off(self, failures: int) -> None:
        longest = _LAST_BACKOFF_SECONDS if self.served else _UNSERVED_SECONDS
        seconds = min(longest, _FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, 20))
        self._nudged.clear()
        try:
            async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):
                await self._nudged.wait()
        except TimeoutError:
            return

    def _complain(self, error: Exception) -> None:
        """Log what is wrong once, not at every attempt."""
        text = f"{type(error).__name__}: {error}"
        if text != self._complaint:
            self._complaint = text
            _log.warning("cannot follow %s, trying again: %s", self.kind.resource, text)
