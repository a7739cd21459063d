"""Counts anew what a namespace uses of its ResourceQuotas: after something went, a pod ended, or a quota changed.

`writing.settled` calls `touched` after every write; namespaces without a quota cost a look into an empty list. What grows
is counted by admission, in the write itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy import kinds
from argosy.engine.apiserver.served import Registry
from argosy.engine.store import Op, Put, Record, Store
from argosy.kinds.usage import SHORT, covers, usage
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.quantity import parse

_QUOTA = kinds.RESOURCE_QUOTA


class Recount:
    """The namespaces whose usage has to be counted, and the counting: the work of a `Background`."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store, self._registry = store, registry
        self._namespaces: set[str] = {record.key.namespace for record in store.list(_QUOTA.resource)}

    def touched(self, kind: Kind, namespace: str, new: Obj | None, old: Obj | None) -> bool:
        """Whether a write leaves something to count."""
        if namespace in self._namespaces:
            return True
        if kind is not _QUOTA and not _may_free(kind, new, old):
            return False
        if not namespace or not self._store.list(_QUOTA.resource, namespace):
            return False
        if kind is _QUOTA and old is not None and new is not None and dig(old, "spec") == dig(new, "spec"):
            return False
        self._namespaces.add(namespace)
        return True

    async def run(self) -> bool:
        """Count, and write what was wrong."""
        for namespace in list(self._namespaces):
            records = self._store.list(_QUOTA.resource, namespace)
            if any(self._store.newest(_QUOTA.resource, record.key) is not record for record in records):
                # A write that is charged is under way; what it makes cannot be seen yet. Its end wakes us.
                continue
            self._namespaces.discard(namespace)
            ops = [op for record in records for op in self._counted(record)]
            if ops:
                try:
                    await self._store.commit(ops)
                except BaseException:
                    self._namespaces.add(namespace)
                    raise
        return False

    def _counted(self, record: Record) -> Iterable[Op]:
        key = record.key
        hard = dig(record.obj, "spec", "hard", default={})
        used = {name: parse("0") for name in hard}
        for kind in self._kinds(hard):
            for each in self._store.list(kind.resource, key.namespace):
                if covers(record.obj, kind, each.obj):
                    counts = usage(kind, each.obj)
                    for name in hard:
                        amount = counts.get(SHORT.get(name, name))
                        if amount is not None:
                            used[name] += amount
        status = {"hard": hard, "used": {name: str(amount) for name, amount in used.items()}}
        if record.obj.get("status") != status:
            quota: Obj = thaw(record.obj)
            quota["metadata"].pop("resourceVersion", None)
            yield Put(_QUOTA.resource, key, {**quota, "status": thaw(status)}, expect=record.revision)

    def _kinds(self, hard: Obj) -> list[Kind]:
        """The kinds whose objects count for any of the limits."""
        wanted: dict[str, Kind] = {}
        for name in hard:
            if name.startswith("count/"):
                wanted |= {
                    s.storage.resource: s.storage for s in self._registry.all() if f"count/{s.storage.resource}" == name
                }
            elif name.startswith("services"):
                wanted["services"] = kinds.SERVICE
            elif "persistentvolumeclaims" in name or name.endswith("requests.storage"):
                wanted["persistentvolumeclaims"] = kinds.PERSISTENT_VOLUME_CLAIM
            else:
                kind = _PLAIN.get(name, kinds.POD)
                wanted[kind.resource] = kind
        return list(wanted.values())


_PLAIN = {
    kind.plural: kind for kind in (kinds.SECRET, kinds.CONFIG_MAP, kinds.RESOURCE_QUOTA, kinds.REPLICATION_CONTROLLER)
}


def _may_free(kind: Kind, new: Obj | None, old: Obj | None) -> bool:
    """Whether a write may leave less in use than before; a pod may do that by ending."""
    if new is None:
        return True
    if old is None:
        return False
    if kind is kinds.POD:
        return bool(dig(new, "status", "phase") != dig(old, "status", "phase"))
    return kind in (kinds.SERVICE, kinds.PERSISTENT_VOLUME_CLAIM) and new.get("spec") != old.get("spec")
