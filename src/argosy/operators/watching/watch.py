"""The probe of the kinds that train.

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
from argosy.operators.watching import progress, stacks
from argosy.operators.watching.progress import Pace, Policy

EVERY_SECONDS = 5.0
_ENDS = ("Succeeded", "Failed", "Complete", "Completed")
"""The conditions that end a job, of all kinds that are watched."""
_TAIL_LINES, _AT_ONCE, _STACKS_SECONDS = 200, 8, 20.0


def asked_for(subject: Obj) -> bool:
    """Whether a job is to be watched: it says so, and is not at its end."""
    conditions = dig(subject, "status", "conditions", default=())
    finished = any(each.get("status") == "True" and each.get("type") in _ENDS for each in conditions)
    return bool(annotations_of(subject).get(progress.HANG_AFTER)) and not finished


@dataclass(frozen=True, slots=True)
class Watch:
    """The probe of one kind."""

    container: str
    """The container that trains; empty where it is a pod's first."""
    clock: Clock
    label: str
    """Pods carry their job's name under it."""

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
        """The pods that are at work; none while one does not run (yet)."""
        selector = quote(f"{self.label}={name_of(subject)}")
        listed = decode(await fetch(f"{kinds.POD.path(namespace_of(subject))}?labelSelector={selector}"))
        left = (pod for pod in listed.get("items") or () if dig(pod, "status", "phase") != "Succeeded")
        pods: list[Obj] = [pod for pod in left if not is_deleting(pod)]
        return pods if all(dig(pod, "status", "phase") == "Running" for pod in pods) else []

    async def _pace(self, fetch: Fetch, pod: Obj, wanted: Policy, gate: asyncio.Semaphore) -> Pace | None:
        began = self._began(pod)
        if not began:
            return None
        path = kinds.POD.path(namespace_of(pod), name_of(pod), "log")
        query = f"container={self._of(pod)}&tailLines={_TAIL_LINES}&timestamps=true"
        async with gate:
            text = (await fetch(f"{path}?{query}")).decode(errors="replace")
        return progress.pace(text.splitlines(), parse_time(began), wanted.pattern)

    def _of(self, pod: Obj) -> str:
        """The name of the container that trains."""
        return self.container or str(dig(pod, "spec", "containers", 0, "name", default=""))

    def _began(self, pod: Obj) -> str:
        for status in dig(pod, "status", "containerStatuses", default=()):
            if status.get("name") == self._of(pod):
                return str(dig(status, "state", "running", "startedAt", default=""))
        return ""

    async def _stacks(self, fetch: Fetch, pod: Obj, gate: asyncio.Semaphore) -> str:
        try:
            async with gate, asyncio.timeout(_STACKS_SECONDS):
                said = await fetch.execute(key_of(pod), self._of(pod), stacks.COMMAND)
        except (ApiError, ConnectionError, TimeoutError) as error:
            return f"its processes could not be asked: {error or 'no answer'}"
        return said.decode(errors="replace")
