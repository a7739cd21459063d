"""The cluster's host names for pods that no DNS server answers (isolation L0 and L1).

A table per namespace, made by the network's own rules from Services, EndpointSlices and this machine's pods; the latter with
the address that they have here, which their status may not tell yet. At L1 the agent writes it into the pods' /etc/hosts
whenever it changes, at L0 a container's environment is translated with it when it starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from argosy import kinds
from argosy.control.cache import Change
from argosy.control.pool import Informers
from argosy.engine.network.hosts import host_addresses
from argosy.meta.json import Obj
from argosy.meta.objects import name_of, namespace_of

_SETTLE_SECONDS = 0.02
"""Changes that come together are told once."""


class HostNames:
    """Names to addresses, and who wants to hear when they change."""

    def __init__(
        self, informers: Informers, pods: Callable[[], Iterable[Obj]], domain: str, changed: Callable[[], None]
    ) -> None:
        self._services = informers.of(kinds.SERVICE)
        self._slices = informers.of(kinds.ENDPOINT_SLICE)
        self._pods = pods
        self._domain = domain
        self._changed = changed
        self._tables: dict[str, Mapping[str, Sequence[str]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._stops = [self._services.listen(self._listen), self._slices.listen(self._listen)]

    def first(self, namespace: str) -> Mapping[str, str]:
        """Name to address, with the short names of a namespace; of several addresses the first."""
        return {name: addresses[0] for name, addresses in self.table(namespace).items()}

    def table(self, namespace: str) -> Mapping[str, Sequence[str]]:
        """Name to addresses, with the short names of a namespace."""
        known = self._tables.get(namespace)
        if known is None:
            known = host_addresses(
                self._services.items(), self._slices.items(), self._pods(), namespace=namespace, domain=self._domain
            )
            self._tables[namespace] = known
        return known

    def touch(self) -> None:
        """A pod of this machine has got its address, or is gone."""
        self._tables.clear()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SETTLE_SECONDS, self._tell)

    def unresolved(self, namespace: str, texts: Iterable[str]) -> Sequence[str]:
        """Services of the namespace that some text speaks of and that have no address yet."""
        table = self.table(namespace)
        waiting = [name_of(s) for s in self._services.items() if namespace_of(s) == namespace]
        missing = [name for name in waiting if name not in table]
        return [name for name in missing if any(name in text for text in texts)] if missing else []

    async def settle(self, namespace: str, texts: Iterable[str], timeout_seconds: float) -> Sequence[str]:
        """Wait until every Service that the texts speak of has an address; returns those that still have none."""
        texts = list(texts)
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.unresolved(namespace, texts):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        return self.unresolved(namespace, texts)

    def close(self) -> None:
        """Stop listening."""
        for stop in self._stops:
            stop()
        if self._timer is not None:
            self._timer.cancel()

    def _listen(self, changes: Sequence[Change]) -> None:
        if changes:
            self.touch()

    def _tell(self) -> None:
        self._timer = None
        self._news.set()
        self._changed()
