"""POST of a new object."""

from __future__ import annotations

from uuid import uuid4

from argosy import kinds
from argosy.engine.apiserver import admission, crds, objectmeta, ownership, services, strategy, validation, writing
from argosy.engine.apiserver.admission.pods import suffix
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.converting import stored_form
from argosy.engine.apiserver.failures import Unreasoned, already_exists, invalid
from argosy.engine.store import Op, Put
from argosy.errors import BadRequest
from argosy.meta.causes import as_said
from argosy.meta.json import Obj
from argosy.meta.objects import Key

_ATTEMPTS = 8
_META_LAST = frozenset({kinds.POD_DISRUPTION_BUDGET})
"""Kinds whose metadata Kubernetes looks at once all else is right."""


async def create(call: Call) -> Answer:
    """Make the object in the body. Raises AlreadyExists, Invalid, Forbidden, …"""
    problems: list[str] = []
    obj = read_object(call.request, problems, call.kind.kind)
    writing.check_body(call, obj)
    return await store_new(call, writing.understood(call, obj, problems))


async def store_new(call: Call, obj: Obj) -> Answer:
    """Complete, check and store a new object; also what a PUT or an apply of something new does."""
    key = await prepare(call, obj)
    served = call.served
    if call.dry_run:
        obj["metadata"].pop("resourceVersion", None)
        services.release(call, obj)
        return Answer(201, obj=writing.ordered(obj, served))
    new = await stored_form(call.api, served, writing.ordered(obj, served))
    made = new
    if served.storage is kinds.CUSTOM_RESOURCE_DEFINITION:
        new = crds.established(call.api, new, call.now)
    present = call.api.store.newest(served.storage.resource, key)  # `prepare` has seen to it that this one gives way
    expect = present.revision if present is not None else 0
    ops: list[Op] = [Put(served.storage.resource, key, new, expect=expect), *call.charges]
    try:
        (record, *_) = await writing.commit(call, ops)
    except BaseException:
        services.release(call, obj)
        raise
    writing.settled(call, new, None)
    if made is not new:
        # As Kubernetes does, a definition is answered as it was before anybody looked at its names.
        return Answer(201, obj={**record.obj, "status": made["status"]})
    return Answer(201, record=record, kind=call.kind)


async def prepare(call: Call, obj: Obj) -> Key:
    """Everything that happens to a new object before it is stored. Raises ApiError."""
    served, meta = call.served, obj["metadata"]
    _name(call, obj)
    if call.verb != "apply":
        strategy.before_tracking(served, obj)
        ownership.track(call, obj, None)
    objectmeta.begin(served, obj, call.target.namespace, call.now, str(uuid4()))
    await admission.admit(call, obj, None)
    strategy.prepare_create(served, obj, call.now, served.first_status)
    if served.storage is kinds.SERVICE:
        services.complete(call, obj)
    elif served.storage is kinds.POD:
        obj["status"]["qosClass"] = admission.pods.quality(obj.get("spec") or {})
    try:
        causes = validation.validate_create(call, obj)
        if not causes or served.storage not in _META_LAST:
            causes = objectmeta.validate_create(served.kind, obj) + causes
        if causes:
            raise invalid(served.storage, meta.get("name", ""), as_said(causes, call.said))
        await admission.review(call, obj, None)
        if meta.get("resourceVersion") not in (None, "", "0") and not call.dry_run:
            raise Unreasoned("resourceVersion should not be set on objects to be created")
        key = writing.key_for(call, obj)
        present = call.api.store.newest(served.storage.resource, key)
        if present is not None and not crds.gives_way(served, present):
            raise already_exists(served.kind, key.name)
    except BaseException:
        services.release(call, obj)
        raise
    return key


def _name(call: Call, obj: Obj) -> None:
    """Draw a name by lot where only the beginning of one was given."""
    meta = obj["metadata"]
    name, prefix = meta.get("name"), meta.get("generateName")
    if name is not None and not isinstance(name, str):
        raise BadRequest("metadata.name must be a string")
    if not name and not prefix and call.served.storage is kinds.LIMIT_RANGE:
        meta["name"] = str(uuid4())  # the one kind that needs none
    if name or not prefix:
        return
    base = objectmeta.generated_base(prefix)
    for _ in range(_ATTEMPTS):
        meta["name"] = base + suffix()
        if meta.get("resourceVersion") not in (None, "", "0") and not call.dry_run:
            raise Unreasoned("resourceVersion should not be set on objects to be created")
        key = writing.key_for(call, obj)
        if call.api.store.newest(call.served.storage.resource, key) is None:
            return
