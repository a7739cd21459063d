"""Which backend a connection goes to. Pure: time is an argument."""

from __future__ import annotations

from argosy.engine.network.services import Backend

_CLIENTS_MAX = 10_000


class Balancer:
    """Backends in turn; with affinity a client stays with the one it had."""

    def __init__(self) -> None:
        self.backends: tuple[Backend, ...] = ()
        self.affinity_seconds = 0
        self._turn = 0
        self._had: dict[str, tuple[Backend, float]] = {}

    def update(self, backends: tuple[Backend, ...], affinity_seconds: int) -> None:
        """From now on these answer."""
        if backends != self.backends:
            present = set(backends)
            self._had = {client: had for client, had in self._had.items() if had[0] in present}
        self.backends = backends
        self.affinity_seconds = affinity_seconds

    def candidates(self, client: str, now: float) -> list[Backend]:
        """Whom to try, in this order; empty when nobody answers. `now` in seconds of any steady clock."""
        count = len(self.backends)
        if not count:
            return []
        self._turn = (self._turn + 1) % count
        order = [*self.backends[self._turn :], *self.backends[: self._turn]]
        if self.affinity_seconds:
            backend, last = self._had.get(client, (None, 0.0))
            if backend is not None and now - last <= self.affinity_seconds:
                order.remove(backend)
                order.insert(0, backend)
        return order

    def chosen(self, client: str, backend: Backend, now: float) -> None:
        """The client was connected to this one."""
        if not self.affinity_seconds:
            return
        self._had.pop(client, None)
        self._had[client] = (backend, now)
        if len(self._had) > _CLIENTS_MAX:
            del self._had[next(iter(self._had))]
