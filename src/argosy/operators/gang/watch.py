"""Looking after jobs that ask for it: the probe of the training kinds.

It reads the tail of every rank's log through the API server, and when `progress` finds that nobody gets on any more, asks
each training container where its processes stand. What it found goes to `hang`, which decides.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

from argosy import kinds
from argosy.clock import Clock, parse_time
from argosy.errors import ApiError
from argosy.intent import Fetch
from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import annotations_of, is_deleting, key_of, name_of, namespace_of, uid_of
from argosy.operators.gang import progress, stacks
from argosy.operators.gang.conditions import is_finished
from argosy.operators.gang.labels import LABEL_JOB
from argosy.operators.gang.progress import Pace, Policy

EVERY_SECONDS = 5.0
_TAIL_LINES, _AT_ONCE, _STACKS_SECONDS = 200, 8, 20.0


def asked_for(subject: Obj) -> bool:
    """Whether a job is to be watched: it says so, and is not at its end."""
    finished = is_finished(dig(subject, "status", "conditions", default=[]))
    return bool(annotations_of(subject).get(progress.HANG_AFTER)) and not finished


@dataclass(frozen=True, slots=True)
class Watch:
    """The probe of one training kind, whose pods train in the container of this name."""

    container: str
    clock: Clock

    async def __call__(self, fetch: Fetch, subject: Obj) -> Obj:
        """`{"stall": {…}}` of a gang that does not get on, otherwise nothing."""
        try:
            wanted = progress.policy(subject)
        except ValueError:
            return {}  # `problems` tells
        if wanted is None or not asked_for(subject):
            return {}
        pods = await self._pods(fetch, subject)
        gate = asyncio.Semaphore(_AT_ONCE)
        paces = await asyncio.gather(*(self._pace(fetch, pod, wanted, gate) for pod in pods))
        known = {name_of(pod): one for pod, one in zip(pods, paces, strict=True) if one is not None}
        stall = progress.stalled(known, wanted, self.clock.now()) if len(known) == len(pods) else None
        if stall is None:
            return {}
        dumps = await asyncio.gather(*(self._stacks(fetch, pod, gate) for pod in pods))
        return {
            "stall": {
                "seconds": round(stall.seconds, 1),
                "usual": stall.usual,
                "pods": {uid_of(pod): name_of(pod) for pod in pods},
                "steps": {name: one.step for name, one in known.items()},
                "stacks": {name_of(pod): dump for pod, dump in zip(pods, dumps, strict=True)},
            }
        }

    async def _pods(self, fetch: Fetch, subject: Obj) -> list[Obj]:
        """The pods that train; none while one of the gang does not run (yet)."""
        selector = quote(f"{LABEL_JOB}={name_of(subject)}")
        listed = decode(await fetch(f"{kinds.POD.path(namespace_of(subject))}?labelSelector={selector}"))
        pods: list[Obj] = [pod for pod in listed.get("items") or () if not is_deleting(pod)]
        return pods if all(dig(pod, "status", "phase") == "Running" for pod in pods) else []

    async def _pace(self, fetch: Fetch, pod: Obj, wanted: Policy, gate: asyncio.Semaphore) -> Pace | None:
        began = self._began(pod)
        if not began:
            return None
        path = kinds.POD.path(namespace_of(pod), name_of(pod), "log")
        query = f"container={self.container}&tailLines={_TAIL_LINES}&timestamps=true"
        async with gate:
            text = (await fetch(f"{path}?{query}")).decode(errors="replace")
        return progress.pace(text.splitlines(), parse_time(began), wanted.pattern)

    def _began(self, pod: Obj) -> str:
        for status in dig(pod, "status", "containerStatuses", default=()):
            if status.get("name") == self.container:
                return str(dig(status, "state", "running", "startedAt", default=""))
        return ""

    async def _stacks(self, fetch: Fetch, pod: Obj, gate: asyncio.Semaphore) -> str:
        try:
            async with gate, asyncio.timeout(_STACKS_SECONDS):
                said = await fetch.execute(key_of(pod), self.container, stacks.COMMAND)
        except (ApiError, ConnectionError, TimeoutError) as error:
            return f"its processes could not be asked: {error or 'no answer'}"
        return said.decode(errors="replace")
