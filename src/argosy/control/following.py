"""Follows what an operator wants to hear of as it happens, a log say, one stream a subject.

Called by `runner` before every plan: the operator names the source from what was seen, and each thing that is found out
becomes `Observed.probed` and a reason to plan again. Nothing is asked in turns; where nothing comes, nothing happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from contextlib import aclosing
from dataclasses import dataclass

from argosy.errors import ApiError
from argosy.intent import Fetch, Follow
from argosy.meta.json import Obj
from argosy.meta.objects import Key

_log = logging.getLogger(__name__)

_AGAIN_SECONDS = 1.0
"""How long after a stream broke it is followed again."""


@dataclass(slots=True)
class _Stream:
    source: Hashable
    task: asyncio.Task[None] | None = None
    found: Obj | None = None


class Following:
    """The streams of one operator's subjects."""

    def __init__(self, fetch: Fetch, follow: Follow, found: Callable[[Key], None], name: str = "") -> None:
        """`found` is called with the key of a subject about which there is news."""
        self._fetch, self._follow, self._found, self._name = fetch, follow, found, name
        self._streams: dict[Key, _Stream] = {}

    def about(self, key: Key, source: Hashable | None) -> Obj | None:
        """What the source has told of a subject so far. Another source than before is begun from the start; without one
        nothing is followed, and what was heard last stays known.
        """
        stream = self._streams.get(key)
        if source is None:
            if stream is not None and stream.task is not None:
                stream.task.cancel()
                stream.task = None
            return stream.found if stream is not None else None
        if stream is None or stream.source != source:
            self.forget(key)
            stream = self._streams[key] = _Stream(source)
            stream.task = asyncio.create_task(self._run(key, stream), name=f"{self._name} follows for {key}")
        return stream.found

    def forget(self, key: Key) -> None:
        """The subject is gone."""
        stream = self._streams.pop(key, None)
        if stream is not None and stream.task is not None:
            stream.task.cancel()

    def close(self) -> None:
        """End every stream."""
        for key in list(self._streams):
            self.forget(key)

    async def _run(self, key: Key, stream: _Stream) -> None:
        while True:
            try:
                async with aclosing(self._follow(self._fetch, stream.source)) as news:
                    async for found in news:
                        if found != stream.found:
                            stream.found = found
                            self._found(key)
                return
            except (ApiError, ConnectionError, TimeoutError) as error:
                _log.debug("%s of %s: %s", self._name, key, error)
            except Exception:
                _log.exception("%s could not follow for %s", self._name, key)
            await asyncio.sleep(_AGAIN_SECONDS)
