"""CustomResourceDefinitions: from the definition to a served kind.

A definition is established in the very commit that creates it, so its kind is served when the create is answered. Deleting
it deletes its objects first: the finalizer that Kubernetes uses holds it up until `reap` has removed them.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.served import Served, served_by
from argosy.engine.store import Op, Put, Record, Remove
from argosy.meta.conditions import is_true, with_condition
from argosy.meta.crd import MADE_FROM
from argosy.meta.json import Obj, decode, thaw
from argosy.meta.objects import Key, is_deleting
from argosy.meta.raw_schema import RawSchema

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_CRD = kinds.CUSTOM_RESOURCE_DEFINITION


def resource_of(crd: Obj) -> str:
    """The resource that a definition brings: `widgets.example.com`."""
    return f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"


def established(api: Api, crd: Obj, now: datetime) -> Obj:
    """A new definition whose names are accepted and whose kind is served: what is stored of it."""
    status = {"conditions": _conditions(api, crd, now), "acceptedNames": thaw(crd["spec"]["names"])}
    return {**crd, "status": {**crd["status"], **status}}


def _conditions(api: Api, crd: Obj, now: datetime) -> list[Obj]:
    clash = _clash(api, crd)
    stamp = rfc3339(now)
    if clash:
        return [
            _condition("NamesAccepted", "False", "KindConflict", clash, stamp),
            _condition("Established", "False", "NotAccepted", "not all names are accepted", stamp),
        ]
    return [
        _condition("NamesAccepted", "True", "NoConflicts", "no conflicts found", stamp),
        _condition("Established", "True", "InitialNamesAccepted", "the initial names have been accepted", stamp),
    ]


def _condition(type: str, status: str, reason: str, message: str, stamp: str) -> Obj:
    return {"type": type, "status": status, "lastTransitionTime": stamp, "reason": reason, "message": message}


def _clash(api: Api, crd: Obj) -> str:
    """What another definition of the same group has already, empty when the names are free."""
    names, group = crd["spec"]["names"], crd["spec"]["group"]
    for served in api.registry.all():
        mine = f"{served.kind.plural}.{served.kind.group}" == crd["metadata"]["name"]
        if served.custom and not mine and served.kind.group == group and served.kind.kind == names["kind"]:
            return f'"{names["kind"]}" is already in use'
    return ""


def gives_way(served: Served, record: Record) -> bool:
    """Whether a stored object yields to one that is created under its name: definitions that came with Argosy do."""
    return served.storage is _CRD and MADE_FROM in (record.metadata.get("annotations") or {})


def condemned(crd: Obj, now: datetime) -> None:
    """Make a definition that is being deleted wait for its objects to go, in place."""
    meta = crd["metadata"]
    meta["finalizers"] = [*(f for f in meta.get("finalizers") or () if f != FINALIZER), FINALIZER]
    why = "CustomResource deletion is in progress"
    terminating = {"type": "Terminating", "status": "True", "reason": "InstanceDeletionInProgress", "message": why}
    crd["status"] = {
        **crd["status"], "conditions": with_condition(crd["status"].get("conditions"), terminating, now),
    }  # fmt: skip


def is_established(crd: Obj) -> bool:
    """Whether the definition's kind is to be served."""
    return is_true(crd, "Established")


def renewed(crd: Obj) -> None:
    """Give a changed definition the status that follows from it: accepted names and stored versions."""
    status = crd["status"] = dict(crd.get("status") or {})
    stored = [v["name"] for v in crd["spec"]["versions"] if v.get("storage")]
    known = list(status.get("storedVersions") or ())
    status["storedVersions"] = known + [name for name in stored if name not in known]
    if is_established(crd):
        status["acceptedNames"] = thaw(crd["spec"]["names"])


def settled(api: Api, new: Obj | None, old: Obj | None) -> None:
    """A definition was written: serve what it says now."""
    if new is None:
        if old is not None:
            api.registry.forget(old["metadata"]["name"])
            api.schemas.forget(old["metadata"]["name"])
        return
    name = new["metadata"]["name"]
    record = api.store.get(_CRD.resource, Key("", name))
    if record is not None and is_established(new):
        api.registry.define(name, served_by(outline(record.raw)))
        api.schemas.forget(name)


def load(api: Api) -> None:
    """Serve what the stored definitions say, when the server starts."""
    for record in api.store.list(_CRD.resource):
        crd = outline(record.raw)
        if is_established(crd):
            api.registry.define(record.key.name, served_by(crd))


def outline(raw: bytes) -> Obj:
    """A stored definition with its schemas left as bytes."""
    crd: Obj = {name: decode(bytes(part)) for name, part in _parts(raw).items() if name != "spec"}
    spec = _parts(_parts(raw)["spec"])
    crd["spec"] = {name: decode(bytes(part)) for name, part in spec.items() if name != "versions"}
    crd["spec"]["versions"] = [
        _version(version) for version in msgspec.json.decode(spec["versions"], type=list[msgspec.Raw])
    ]
    return crd


def _version(raw: msgspec.Raw) -> Obj:
    parts = _parts(raw)
    version: Obj = {name: decode(bytes(part)) for name, part in parts.items() if name != "schema"}
    schema = _parts(parts["schema"]) if "schema" in parts else {}
    if "openAPIV3Schema" in schema:
        version["schema"] = {"openAPIV3Schema": RawSchema(schema["openAPIV3Schema"])}
    return version


def _parts(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])


def dying(api: Api) -> list[Obj]:
    """The definitions whose objects must be removed."""
    return [
        record.obj
        for record in api.store.list(_CRD.resource)
        if is_deleting({"metadata": record.metadata}) and FINALIZER in (record.metadata.get("finalizers") or ())
    ]


async def reap(api: Api) -> bool:
    """Remove the objects of definitions that are being deleted, then let the definitions go. Objects that finalizers
    hold up are left; whoever removes one wakes this again.
    """
    for crd in dying(api):
        await _reap(api, crd)
    return False


async def _reap(api: Api, crd: Obj) -> None:
    store, resource = api.store, resource_of(crd)
    records = store.list(resource)
    now = rfc3339(api.settings.clock.now())
    ops: list[Op] = []
    for record in records:
        meta = record.obj["metadata"]
        if not meta.get("finalizers"):
            ops.append(Remove(resource, record.key, expect=record.revision))
        elif not meta.get("deletionTimestamp"):
            marked = {**record.obj, "metadata": {**meta, "deletionTimestamp": now, "deletionGracePeriodSeconds": 0}}
            ops.append(Put(resource, record.key, marked, expect=record.revision))
    if ops:
        await store.commit(ops)
    if store.count(resource):
        return
    key = Key("", crd["metadata"]["name"])
    last = store.newest(_CRD.resource, key)
    if last is None:
        return
    left = [f for f in last.obj["metadata"].get("finalizers") or () if f != FINALIZER]
    final = {**last.obj, "metadata": {**last.obj["metadata"], "finalizers": left}}
    if left:
        await store.commit([Put(_CRD.resource, key, final, expect=last.revision)])
    else:
        await store.commit([Remove(_CRD.resource, key, expect=last.revision, obj=final)])
        settled(api, None, last.obj)
