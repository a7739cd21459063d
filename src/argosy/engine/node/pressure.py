"""What happens when the disk is nearly full: images that nobody uses go first, then pods, one at a time.

The agent runs `watch`. Who goes is decided as the kubelet does (`ranked`): those that use more than they asked for, then the
lower priority, then whoever is furthest above its request. A pod that holds next to nothing stays, since nothing would be won.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from argosy.engine.node.hardware import Room
from argosy.meta.json import Obj, dig
from argosy.meta.quantity import parse

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 10.0
_BYTES_MIN = 1 << 20
_CRITICAL = 2_000_000_000
"""From this priority on pods belong to the system and stay."""
RESOURCE = "ephemeral-storage"


@dataclass(frozen=True, slots=True)
class Use:
    """What a pod has written to the node's disk."""

    pod: Obj
    bytes: int

    @property
    def requested(self) -> int:
        """Bytes that its containers asked for."""
        asked = (
            dig(c, "resources", "requests", RESOURCE, default="0") for c in self.pod["spec"].get("containers") or ()
        )
        return sum(parse(str(each)).value for each in asked)

    @property
    def priority(self) -> int:
        """Its priority."""
        return int(dig(self.pod, "spec", "priority", default=0))


def ranked(uses: Iterable[Use]) -> list[Use]:
    """Who may be evicted, the first to go first."""
    candidates = [use for use in uses if use.bytes >= _BYTES_MIN and use.priority < _CRITICAL]
    return sorted(candidates, key=lambda u: (u.bytes <= u.requested, u.priority, u.requested - u.bytes))


def explain(use: Use, room: Room) -> str:
    """Why a pod is evicted, as the kubelet says it."""
    said = f"The node was low on resource: {RESOURCE}. "
    said += f"Threshold quantity: {room.wanted}, available: {room.available // 1024}Ki. "
    names = ", ".join(str(c["name"]) for c in use.pod["spec"].get("containers") or ())
    asked = "0" if not use.requested else str(use.requested)
    more = f", has larger consumption of {RESOURCE}" if use.bytes > use.requested else ""
    return f"{said}Container {names} was using {use.bytes // 1024}Ki, request is {asked}{more}. "


@dataclass(frozen=True, slots=True)
class Means:
    """What the watch looks at and acts through."""

    room: Callable[[], Room]
    uses: Callable[[], Awaitable[Sequence[Use]]]
    prune: Callable[[], Awaitable[None]]
    """Remove images that nobody uses."""
    tell: Callable[[], None]
    """Say that the disk is too full."""
    evict: Callable[[Obj, str], Awaitable[None]]
    """End a pod, with the reason; returns when what it held is given back."""


async def watch(means: Means, pause_seconds: float = PAUSE_SECONDS) -> NoReturn:
    """Look now and then, until cancelled."""
    told = False
    while True:
        full = means.room().full
        if full and not told:
            means.tell()
        told = full
        if full:
            try:
                await _relieve(means)
            except OSError as error:
                _log.warning("room on the disk could not be made: %s", error)
        await asyncio.sleep(pause_seconds)


async def _relieve(means: Means) -> None:
    await means.prune()
    room = means.room()
    if not room.full:
        return
    first = next(iter(ranked(await means.uses())), None)
    if first is not None:
        await means.evict(first.pod, explain(first, room))
