"""Aggregated cluster roles: the rules of a role with an `aggregationRule` are those of the roles that it selects.

`aggregated` is the pure rule; `App` calls `run` in the background whenever a ClusterRole was written.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver.api import Api
from argosy.engine.store import Op, Put, Record
from argosy.meta.json import Obj, dig
from argosy.meta.objects import labels_of
from argosy.meta.selectors import matches

_ROLE = kinds.CLUSTER_ROLE
_MANAGER = "clusterrole-aggregation-controller"


def aggregated(role: Obj, roles: Sequence[Obj]) -> list[Obj]:
    """The rules that the role should have: each once, in order of the roles' names."""
    rules: list[Obj] = []
    for selector in dig(role, "aggregationRule", "clusterRoleSelectors", default=()):
        for other in sorted(roles, key=lambda r: str(r["metadata"]["name"])):
            if other["metadata"]["name"] != role["metadata"]["name"] and matches(selector, labels_of(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


def _outdated(records: Sequence[Record]) -> list[tuple[Record, list[Obj]]]:
    roles = [record.obj for record in records]
    found = []
    for record in records:
        if record.obj.get("aggregationRule"):
            rules = aggregated(record.obj, roles)
            if rules != (record.obj.get("rules") or []):
                found.append((record, rules))
    return found


async def run(api: Api) -> bool:
    """Bring every aggregated role up to date; whether others may be outdated by that."""
    stamp = rfc3339(api.settings.clock.now())
    ops: list[Op] = []
    for record, rules in _outdated(api.store.list(_ROLE.resource)):
        meta = {field: value for field, value in record.obj["metadata"].items() if field != "resourceVersion"}
        others = [entry for entry in meta.get("managedFields") or () if entry.get("manager") != _MANAGER]
        mine = {
            "manager": _MANAGER,
            "operation": "Apply",
            "apiVersion": _ROLE.api_version,
            "time": stamp,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:rules": {}},
        }
        meta["managedFields"] = [mine, *others]
        obj: Obj = {**record.obj, "metadata": meta, "rules": rules}
        ops.append(Put(_ROLE.resource, record.key, obj, expect=record.revision))
    if ops:
        await api.store.commit(ops)
        api.authorizer.forget()
    return bool(ops)
