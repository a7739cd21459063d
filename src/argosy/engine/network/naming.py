"""Host names for the node agent where a level has no DNS: computed when asked for, announced when they change.

The composition root hands `HostNames` to the agent (`NodeAgent.name_with`) and the agent's `renamed` to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from argosy.control.cache import Change
from argosy.control.pool import Informers
from argosy.engine.network.hosts import host_names
from argosy.kinds import ENDPOINT_SLICE, POD, SERVICE
from argosy.meta.json import Obj, dig


class HostNames:
    """Callable: namespace -> names with their addresses, as pods of that namespace know them."""

    def __init__(self, informers: Informers, domain: str, changed: Callable[[], None]) -> None:
        self._services, self._slices = informers.of(SERVICE), informers.of(ENDPOINT_SLICE)
        self._pods = informers.of(POD)
        self._domain = domain
        self._changed = changed
        self._known: dict[str, Mapping[str, str]] = {}
        self._announcing = False
        self._stops = [
            self._services.listen(lambda _: self._stale()),
            self._slices.listen(lambda _: self._stale()),
            self._pods.listen(self._pods_changed),
        ]

    def __call__(self, namespace: str) -> Mapping[str, str]:
        """The names now. One answer serves until something changes."""
        known = self._known.get(namespace)
        if known is None:
            known = self._known[namespace] = host_names(
                self._services.items(),
                self._slices.items(),
                self._pods.items(),
                namespace=namespace,
                domain=self._domain,
            )
        return known

    def close(self) -> None:
        """Follow nothing any more."""
        for stop in self._stops:
            stop()

    def _pods_changed(self, changes: Sequence[Change]) -> None:
        # Pods change all the time; only where they are matters here.
        if any(_place(change.obj) != _place(change.old) or change.type == "DELETED" for change in changes):
            self._stale()

    def _stale(self) -> None:
        self._known.clear()
        if not self._announcing:
            self._announcing = True
            asyncio.get_running_loop().call_soon(self._announce)

    def _announce(self) -> None:
        self._announcing = False
        self._changed()


def _place(pod: Obj | None) -> tuple[object, object]:
    if pod is None:
        return None, None
    return dig(pod, "status", "podIP"), pod["metadata"].get("deletionTimestamp")
