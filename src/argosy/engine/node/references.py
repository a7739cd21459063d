"""The objects that pods refer to: looked up in informers, waited for through their changes, never polled.

An informer may lag a moment behind the pod that was created right after its ConfigMap, so what is not found is asked of
the server once before anybody is told that it is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from argosy import kinds
from argosy.client.client import Client
from argosy.control.cache import Change
from argosy.control.pool import Informers
from argosy.engine.node.sources import Reference
from argosy.errors import ApiError
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, key_of, namespace_of

_KINDS: dict[str, Kind] = {
    kind.plural: kind
    for kind in (
        kinds.CONFIG_MAP,
        kinds.SECRET,
        kinds.PERSISTENT_VOLUME_CLAIM,
        kinds.PERSISTENT_VOLUME,
        kinds.SERVICE,
        kinds.NAMESPACE,
        kinds.NODE,
    )
}
Changed = Callable[[Reference], None]


class References:
    """One engine's view of ConfigMaps, Secrets, claims, volumes, Services, namespaces and nodes."""

    def __init__(self, client: Client, informers: Informers) -> None:
        self._client = client
        self._informers = {plural: informers.of(kind) for plural, kind in _KINDS.items()}
        self._ahead: dict[Reference, Obj] = {}
        self._watchers: dict[Reference, set[Changed]] = {}
        self._stops: list[Callable[[], None]] = []
        services = self._informers["services"]
        services.index("namespace", lambda obj: (namespace_of(obj),))
        for plural, informer in self._informers.items():
            self._stops.append(informer.listen(self._listener(plural)))

    async def synced(self) -> None:
        """Wait for the first complete copies."""
        for informer in self._informers.values():
            await informer.synced()

    def lookup(self, reference: Reference) -> Obj | None:
        """The object, if it is known."""
        found = self._informers[reference.resource].get(Key(reference.namespace, reference.name))
        return found if found is not None else self._ahead.get(reference)

    def services(self, namespace: str) -> Sequence[Obj]:
        """The Services of a namespace."""
        return self._informers["services"].indexed("namespace", namespace)

    async def ask(self, reference: Reference) -> bool:
        """Ask the server for an object that `lookup` does not find; whether it is there."""
        if self.lookup(reference) is not None:
            return True
        try:
            obj = await self._client.get(_KINDS[reference.resource], reference.name, reference.namespace)
        except (ApiError, ConnectionError):
            return False
        self._ahead[reference] = obj
        return True

    def watch(self, reference: Reference, changed: Changed) -> Callable[[], None]:
        """Call `changed` whenever the object changes, until the returned function is called."""
        watchers = self._watchers.setdefault(reference, set())
        watchers.add(changed)

        def stop() -> None:
            watchers.discard(changed)
            if not watchers and self._watchers.get(reference) is watchers:
                del self._watchers[reference]

        return stop

    async def change(self, reference: Reference | None, timeout_seconds: float) -> None:
        """Wait until the object changes, at most so long."""
        if reference is None:
            await asyncio.sleep(timeout_seconds)
            return
        happened = asyncio.Event()
        stop = self.watch(reference, lambda _: happened.set())
        try:
            async with asyncio.timeout(timeout_seconds):
                await happened.wait()
        except TimeoutError:
            return
        finally:
            stop()

    def close(self) -> None:
        """Stop listening."""
        for stop in self._stops:
            stop()

    def _listener(self, plural: str) -> Callable[[Sequence[Change]], None]:
        def listen(changes: Sequence[Change]) -> None:
            if not self._watchers and not self._ahead:
                return
            for change in changes:
                key = key_of(change.obj)
                reference = Reference(plural, key.namespace, key.name)
                self._ahead.pop(reference, None)
                for changed in tuple(self._watchers.get(reference, ())):
                    changed(reference)

        return listen
