"""Events: what the decisions' reasons become, so that `kubectl describe` and `argosy why` can tell them.

Emitting never blocks, never fails and never slows its caller: events are written in the background, several at a time, and
a reason that repeats raises the count of the event that is there. So do Warnings that differ in their words alone once there
are many, as when every try to create a pod has a new name in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from argosy.client.client import Client
from argosy.clock import Clock, SystemClock, rfc3339
from argosy.errors import ApiError, NotFound, ServiceUnavailable, TooManyRequests
from argosy.intent import Reason
from argosy.kinds import EVENT
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, name_of, namespace_of, object_reference, uid_of

_log = logging.getLogger(__name__)

_MESSAGE_MAX = 1024
_REMEMBERED_MAX = 4096
_PENDING_MAX = 4096
_AT_ONCE = 16
_ATTEMPTS = 5
_RETRY_SECONDS = 1.0
_SERIES_SECONDS = 600.0
"""A reason that is silent for longer than this begins a new event."""

_ALIKE_MAX = 10
"""So many Warnings with one reason, about one object and in one series, have an event each; those after them share one."""
_COMBINED = "(combined from similar events): "

_Subject: TypeAlias = tuple[str, str, str, bool]


@dataclass(slots=True)
class _Entry:
    """One event: written or about to be."""

    name: str
    reference: Obj
    reason: Reason
    first: datetime
    last: datetime
    count: int = 1
    written: int = 0
    """The count that the API server knows; 0 before the event exists."""
    attempts: int = 0


@dataclass(slots=True)
class _Alike:
    """The messages that one reason about one object has had."""

    last: datetime
    messages: set[str] = field(default_factory=set)


class EventRecorder:
    """Writes events on behalf of one component (`job-controller`, `kubelet`). Used from one event loop."""

    def __init__(self, client: Client, component: str, clock: Clock | None = None, *, host: str = "") -> None:
        self._client = client
        self._component = component
        self._clock = clock or SystemClock()
        self._source: Obj = {"component": component, **({"host": host} if host else {})}
        self._remembered: OrderedDict[tuple[_Subject, str], _Entry] = OrderedDict()
        self._alike: OrderedDict[_Subject, _Alike] = OrderedDict()
        self._pending: OrderedDict[str, _Entry] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._serial = 0

    def emit(self, kind: Kind, obj: Obj, reason: Reason) -> None:
        """Have a reason written as an event about an object."""
        now = self._clock.now()
        message = reason.message[:_MESSAGE_MAX]
        about = uid_of(obj) or f"{namespace_of(obj)}/{name_of(obj)}"
        subject: _Subject = (kind.resource, about, reason.code, reason.warning)
        place = (subject, message)
        if reason.warning and self._is_one_of_many(subject, message, now):
            place = (subject, _COMBINED)
            message = f"{_COMBINED}{message}"[:_MESSAGE_MAX]
        told = Reason(reason.code, message, reason.warning)
        entry = self._remembered.get(place)
        if entry is not None and (now - entry.last).total_seconds() < _SERIES_SECONDS:
            entry.count += 1
            entry.last, entry.reason = now, told
            self._remembered.move_to_end(place)
        else:
            self._serial += 1
            # The name is unique as Kubernetes makes it: by the moment, and here by a count within it.
            name = f"{name_of(obj)[:200]}.{int(now.timestamp() * 1e6):x}{self._serial % 0x1000:03x}"
            entry = _Entry(name, object_reference(obj, kind), told, now, now)
            self._remembered[place] = entry
            while len(self._remembered) > _REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        self._pending[entry.name] = entry
        while len(self._pending) > _PENDING_MAX:
            self._pending.popitem(last=False)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all(), name=f"events of {self._component}")

    def _is_one_of_many(self, subject: _Subject, message: str, now: datetime) -> bool:
        alike = self._alike.get(subject)
        if alike is None or (now - alike.last).total_seconds() >= _SERIES_SECONDS:
            alike = self._alike[subject] = _Alike(now)
            while len(self._alike) > _REMEMBERED_MAX:
                self._alike.popitem(last=False)
        alike.last = now
        self._alike.move_to_end(subject)
        if message not in alike.messages and len(alike.messages) >= _ALIKE_MAX:
            return True
        alike.messages.add(message)
        return False

    async def close(self, timeout: float = 2.0) -> None:
        """Write what is pending, for at most `timeout` seconds."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._task
        except TimeoutError:
            _log.info("%d events of %s were not written", len(self._pending), self._component)

    async def _write_all(self) -> None:
        while self._pending:
            batch = [self._pending.popitem(last=False)[1] for _ in range(min(_AT_ONCE, len(self._pending)))]
            again = [entry for entry in await asyncio.gather(*map(self._write, batch)) if entry is not None]
            if again:
                for entry in again:
                    self._pending.setdefault(entry.name, entry)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self, entry: _Entry) -> _Entry | None:
        """Write one event; returns it if it should be tried again."""
        count = entry.count
        try:
            if entry.written:
                patch = {"count": count, "lastTimestamp": rfc3339(entry.last), "message": entry.reason.message}
                await self._client.patch(EVENT, Key(_namespace(entry), entry.name), patch)
            else:
                await self._client.create(EVENT, self._event(entry, count))
            entry.written = count
            entry.attempts = 0
        except NotFound:
            # Events are short-lived: one that has expired is written anew. Without its namespace it is not wanted.
            known, entry.written = entry.written, 0
            return entry if known else None
        except (ConnectionError, ServiceUnavailable, TooManyRequests):
            entry.attempts += 1
            return entry if entry.attempts < _ATTEMPTS else None
        except ApiError as error:
            # A namespace that is going away takes no new events, for one.
            _log.debug("event %s was refused: %s", entry.name, error)
        except Exception:
            _log.exception("event %s could not be written", entry.name)
        return None

    def _event(self, entry: _Entry, count: int) -> Obj:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": entry.name, "namespace": _namespace(entry)},
            "involvedObject": entry.reference,
            "reason": entry.reason.code,
            "message": entry.reason.message,
            "type": "Warning" if entry.reason.warning else "Normal",
            "source": self._source,
            "reportingComponent": self._component,
            "reportingInstance": str(self._source.get("host") or ""),
            "firstTimestamp": rfc3339(entry.first),
            "lastTimestamp": rfc3339(entry.last),
            "count": count,
        }


def _namespace(entry: _Entry) -> str:
    return str(entry.reference.get("namespace") or "default")
