"""Tells pods why they wait: the event FailedScheduling and the condition PodScheduled, in the background and with measure.

In a flood nearly all of the waiting are placed within seconds, and two writes for each would take longer than the placing;
so reports go out after a moment and at a bounded rate, and whoever is placed meanwhile is never reported.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass

from argosy.client.client import Client
from argosy.clock import Clock
from argosy.control.events import EventRecorder
from argosy.engine.scheduler.messages import Unfit
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.errors import ApiError
from argosy.intent import Reason
from argosy.kinds import POD
from argosy.meta.conditions import Condition, with_stamped
from argosy.meta.json import Obj, dig

_log = logging.getLogger(__name__)

COMPONENT = "default-scheduler"
_BURST = 30
_PER_SECOND = 20.0
_SETTLE_SECONDS = 0.2
"""What is only a matter of moments (a claim being bound, a pod that ends) is no news."""


@dataclass(frozen=True, slots=True)
class _Report:
    pod: PodInfo
    why: Unfit
    nominated: str
    since: float
    """When it was first refused, by the event loop's clock."""


class Reports:
    """What has been said to whom, and what is still to be said."""

    def __init__(self, client: Client, recorder: EventRecorder, clock: Clock) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._pending: OrderedDict[str, _Report] = OrderedDict()
        self._said: dict[str, str] = {}
        self._news = asyncio.Event()

    def refuse(self, pod: PodInfo, why: Unfit, nominated: str = "") -> None:
        """Have a pod told why it waits, unless it was told just that."""
        said = self._said.get(pod.uid)
        if said == why.message and not nominated:
            self._pending.pop(pod.uid, None)
            return
        known = self._pending.get(pod.uid)
        since = known.since if known is not None else asyncio.get_running_loop().time()
        self._pending[pod.uid] = _Report(pod, why, nominated, since)
        self._news.set()

    def forget(self, uid: str) -> None:
        """The pod is placed or gone."""
        self._pending.pop(uid, None)
        self._said.pop(uid, None)

    async def run(self) -> None:
        """Tell, until cancelled."""
        loop = asyncio.get_running_loop()
        allowance, last = float(_BURST), loop.time()
        while True:
            while not self._pending:
                self._news.clear()
                await self._news.wait()
            now = loop.time()
            allowance, last = min(_BURST, allowance + (now - last) * _PER_SECOND), now
            early = next(iter(self._pending.values())).since + _SETTLE_SECONDS - now
            if allowance < 1 or early > 0:
                await asyncio.sleep(max(early, (1 - allowance) / _PER_SECOND))
                continue
            allowance -= 1
            uid, report = self._pending.popitem(last=False)
            self._said[uid] = report.why.message
            await self._tell(report)

    async def _tell(self, report: _Report) -> None:
        pod, why = report.pod, report.why
        self._recorder.emit(POD, pod.obj, Reason("FailedScheduling", why.message, warning=True))
        condition = Condition("PodScheduled", "False", "Unschedulable", why.message)
        before = dig(pod.obj, "status", "conditions", default=[])
        conditions = with_stamped(before, condition, self._clock.now())
        status: Obj = {}
        if conditions != before:
            status["conditions"] = conditions
        if report.nominated:
            status["nominatedNodeName"] = report.nominated
        if not status:
            return
        try:
            await self._client.patch(
                POD, pod.key, {"metadata": {"uid": pod.uid}, "status": status}, subresource="status"
            )
        except (ApiError, ConnectionError) as error:
            _log.debug("pod %s could not be told why it waits: %s", pod.key, error)
