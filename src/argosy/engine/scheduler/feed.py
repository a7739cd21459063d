"""Brings what informers tell into the snapshot and the list of waiting pods. Synchronous; `loop` wakes up by its callback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from argosy.control.cache import Change
from argosy.control.informer import Informer
from argosy.control.pool import Informers
from argosy.engine.controllers.claim.use import NO_PROVISIONER, waits_for_consumer
from argosy.engine.controllers.pods import is_finished
from argosy.engine.scheduler.budgets import read_budget
from argosy.engine.scheduler.gangs import KINDS, announced
from argosy.engine.scheduler.podinfo import PodInfo, gated, read
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.engine.scheduler.waiting import Waiting
from argosy.kinds import (
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    STORAGE_CLASS,
)
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, is_deleting, key_of, labels_of, name_of, uid_of

_log = logging.getLogger(__name__)

SCHEDULER = "default-scheduler"


class Feed:
    """Listens to everything that a decision depends on."""

    def __init__(
        self,
        informers: Informers,
        snapshot: Snapshot,
        waiting: Waiting,
        wake: Callable[[], None],
        left: Callable[[str], None],
    ) -> None:
        self._snapshot = snapshot
        self._waiting = waiting
        self._wake = wake
        self._left = left
        """Called with the uid of each pod that waits no more."""
        self._namespaces = informers.of(NAMESPACE)
        self._disruption = informers.of(POD_DISRUPTION_BUDGET)
        self._classes = informers.of(STORAGE_CLASS)
        self._groups = {kind: informers.of(kind) for kind in KINDS}
        self._known_pods = informers.of(POD)
        self._assumed: set[str] = set()
        self._stops: list[Callable[[], None]] = []
        self._listened: list[tuple[Informer, Callable[[Sequence[Change]], None]]] = [
            (informers.of(NODE), self._nodes),
            (self._classes, self._delays),
            (self._disruption, self._budgets),
            (informers.of(PERSISTENT_VOLUME_CLAIM), self._claims),
            (informers.of(PERSISTENT_VOLUME), self._volumes),
            (self._namespaces, self._labels),
            *((informer, self._gangs) for informer in self._groups.values()),
            (self._known_pods, self._pods),
        ]

    async def start(self) -> None:
        """Take the present state, then follow. The order is that of the list: pods last, when all else is known."""
        for informer, hear in self._listened:
            await informer.synced()
            hear([Change("ADDED", obj, None) for obj in informer.items()])
            self._stops.append(informer.listen(hear))

    def close(self) -> None:
        """Listen no more."""
        for stop in self._stops:
            stop()
        self._stops.clear()

    def assume(self, uid: str) -> None:
        """The loop is binding this pod: an echo of it as unbound must not bring it back."""
        self._assumed.add(uid)

    def is_assumed(self, uid: str) -> bool:
        """Whether the informer has not yet shown how the binding went."""
        return uid in self._assumed

    def look_again(self, key: Key) -> None:
        """Judge a pod by what is known of it now."""
        pod = self._known_pods.get(key)
        if pod is not None:
            self._pod("MODIFIED", pod)

    def release(self, uid: str) -> None:
        """The binding was settled, one way or the other."""
        self._assumed.discard(uid)

    def _nodes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.type == "DELETED":
                self._snapshot.drop_node(name_of(change.obj))
            else:
                self._snapshot.set_node(change.obj)
        self._wake()

    def _pods(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._pod(change.type, change.obj)
        self._wake()

    def _pod(self, type: str, pod: Obj) -> None:
        uid = uid_of(pod)
        node = dig(pod, "spec", "nodeName")
        if type == "DELETED" or is_finished(pod):
            self._snapshot.forget(uid)
            self._gone(uid)
            self._assumed.discard(uid)
        elif node:
            self._gone(uid)
            info = None if self._snapshot.places.get(uid) == node else _read(pod)
            if info is not None:
                self._snapshot.assume(info, node)
            self._assumed.discard(uid)
        elif uid in self._assumed:
            return
        elif is_deleting(pod) or gated(pod) or dig(pod, "spec", "schedulerName", default=SCHEDULER) != SCHEDULER:
            self._gone(uid)
        elif (info := _read(pod)) is not None:
            self._waiting.add(info)

    def _gone(self, uid: str) -> None:
        if uid in self._waiting:
            self._waiting.remove(uid)
            self._left(uid)

    def _budgets(self, changes: Sequence[Change]) -> None:
        self._snapshot.set_budgets(read_budget(each) for each in self._disruption.items())

    def _delays(self, changes: Sequence[Change]) -> None:
        waiting = [each for each in self._classes.items() if waits_for_consumer(each)]
        self._snapshot.set_delayed_classes(
            {name_of(each): each.get("provisioner") != NO_PROVISIONER for each in waiting}
        )
        self._wake()

    def _claims(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.type == "DELETED":
                self._snapshot.drop_claim(key_of(change.obj))
        self._snapshot.set_storage(claims=[(key_of(c.obj), c.obj) for c in changes if c.type != "DELETED"])
        self._wake()

    def _volumes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.type == "DELETED":
                self._snapshot.drop_volume(name_of(change.obj))
        self._snapshot.set_storage(volumes=[(name_of(c.obj), c.obj) for c in changes if c.type != "DELETED"])
        self._wake()

    def _labels(self, changes: Sequence[Change]) -> None:
        self._snapshot.set_namespaces({name_of(n): labels_of(n) for n in self._namespaces.items()})
        self._wake()

    def _gangs(self, changes: Sequence[Change]) -> None:
        served = [(kind, informer) for kind, informer in self._groups.items() if informer.served]
        gangs = dict(announced(kind, group) for kind, informer in served for group in informer.items())
        self._snapshot.set_gangs(gangs, frozenset(KINDS[kind] for kind, _ in served))
        self._wake()


def _read(pod: Obj) -> PodInfo | None:
    """None for a pod that makes no sense: it must not stop all others from being placed."""
    try:
        return read(pod)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("pod %s cannot be understood and is not placed: %s", key_of(pod), error)
        return None
