"""GET of a collection with `watch=true`: the present state where it is asked for, then every change, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from argosy.engine.apiserver.answers import Answer, Seen
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import Unreasoned, invalid_options, parse_uint, too_large_version
from argosy.engine.apiserver.fields import exact_name
from argosy.engine.apiserver.routes import is_true
from argosy.engine.apiserver.verbs.list import Matches, matcher, only_name, selected
from argosy.engine.store import Change, Record, Watch
from argosy.errors import ApiError, BadRequest, Cause
from argosy.meta.causes import forbidden as not_allowed
from argosy.meta.causes import unsupported
from argosy.meta.json import Obj

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_LONGEST_SECONDS = 3600 * 2


def watch(call: Call) -> Answer:
    """A watch. Raises Expired for a revision that is no longer known."""
    _check_options(call)
    named = exact_name(call.query.get("fieldSelector") or "")
    if call.target.name and named not in ("", call.target.name):
        raise BadRequest("fieldSelector metadata.name doesn't match requested name")
    matches = matcher(call)
    timeout = call.number("timeoutSeconds") or _LONGEST_SECONDS
    version = call.query.get("resourceVersion") or ""
    try:
        since = parse_uint(version) if version else 0
    except ValueError as error:
        raise Unreasoned(str(error)) from None
    store = call.api.store
    if since > store.revision:
        raise too_large_version(since, store.revision)
    initial = call.query.get("sendInitialEvents")
    wants_state = is_true(initial) if initial is not None else since == 0
    bookmarks = is_true(call.query.get("allowWatchBookmarks"))
    resource, namespace = call.served.storage.resource, call.target.namespace or None
    begin = store.revision if wants_state or since == 0 else since
    changes = store.watch(resource, begin, namespace, only_name(call))
    state = selected(call) if wants_state else []
    follow = _Follow(call, changes, matches, begin, bookmarks)
    # Whoever takes bookmarks is told where the beginning ends, asked for by name or not.
    return Answer(watch=follow.events(state, timeout, wants_state and bookmarks), kind=call.kind)


def _check_options(call: Call) -> None:
    query = call.query
    initial, match = query.get("sendInitialEvents"), query.get("resourceVersionMatch") or ""
    if initial is None and not match and (query.get("resourceVersion") or "0") == "0":
        initial, match = "true", "NotOlderThan"
    causes: list[Cause] = []
    if initial is not None:
        if match != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes.append(not_allowed("resourceVersionMatch", why))
    elif match:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(not_allowed("resourceVersionMatch", why))
    if match and match != "NotOlderThan":
        causes.append(unsupported("resourceVersionMatch", match, ["NotOlderThan"]))
    if match and query.get("continue"):
        causes.append(
            not_allowed("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
        )
    if causes:
        raise invalid_options("ListOptions", causes)


class _Follow:
    """The events of one watch."""

    def __init__(self, call: Call, changes: Watch, matches: Matches | None, begin: int, bookmarks: bool) -> None:
        self._call = call
        self._changes = changes
        self._matches = matches
        self._revision = begin
        self._bookmarks = bookmarks

    async def events(self, state: list[Record], timeout: float, marked: bool) -> AsyncGenerator[Sequence[Seen], None]:
        """The state as ADDED events, a bookmark after them when asked for, and every change until the time is up."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        every = self._call.api.settings.bookmark_seconds
        try:
            first = [Seen("ADDED", change=Change("ADDED", record, None)) for record in state]
            if marked:
                first.append(self._bookmark({INITIAL_EVENTS_END: "true"}))
            if first:
                yield first
            del first, state  # a watch lasts; what it began with need not
            while True:
                left = end - loop.time()
                if left <= 0:
                    return
                batch = await self._next(min(left, every) if self._bookmarks else left)
                if batch is None:
                    if end - loop.time() > 0 and self._bookmarks and not self._changes.behind:
                        self._revision = max(self._revision, self._call.api.store.revision)
                        yield [self._bookmark({})]
                    continue
                if not batch:
                    return
                self._revision = batch[-1].record.revision
                seen = [event for event in map(self._seen, batch) if event is not None]
                if seen:
                    yield seen
        except ApiError as error:
            yield [Seen("ERROR", error.status())]
        finally:
            self._changes.close()

    async def _next(self, seconds: float) -> list[Change] | None:
        """The next batch; empty when the store is closed, None when nothing came in time."""
        batch = self._changes.take()
        if batch:
            return batch
        try:
            async with asyncio.timeout(seconds):
                return await anext(self._changes)
        except TimeoutError:
            return None
        except StopAsyncIteration:
            return []

    def _seen(self, change: Change) -> Seen | None:
        """The change as the selectors let it be seen."""
        if self._matches is None:
            return Seen(change.type, change=change)
        before = change.previous is not None and self._matches(change.previous.obj)
        if change.type == "DELETED":
            return Seen("DELETED", change=change) if before else None
        after = self._matches(change.record.obj)
        if after:
            return Seen("MODIFIED" if before else "ADDED", change=change)
        return Seen("DELETED", _left(change)) if before else None

    def _bookmark(self, annotations: dict[str, str]) -> Seen:
        kind = self._call.kind
        meta: Obj = {"resourceVersion": str(self._revision)}
        if annotations:
            meta["annotations"] = annotations
        return Seen("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta})


def _left(change: Change) -> Obj:
    """An object that no longer matches, as it was while it did, at the revision of the change."""
    assert change.previous is not None, "what left was there before"
    before = change.previous.obj
    return {**before, "metadata": {**before["metadata"], "resourceVersion": str(change.record.revision)}}
