"""From a request's body to a stored object: the steps that create, update and patch share.

Everything between reading the newest state and handing the commit to the store happens in one turn of the event loop, so
that a write of ours never races with another one; only then is the disk waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from argosy import kinds
from argosy.engine.apiserver import admission, crds, objectmeta, ownership, services, strategy, validation
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.converting import shown_form, stored_form
from argosy.engine.apiserver.failures import InvalidPatch, Unreasoned, conflict, invalid, not_found, qualified
from argosy.engine.apiserver.served import Served
from argosy.engine.store import Op, Put, Record, Remove, StoreFailed
from argosy.errors import BadRequest, InternalError
from argosy.meta import pack, strategic
from argosy.meta.apply import place_of
from argosy.meta.causes import as_said, go_quoted
from argosy.meta.causes import invalid as wrong
from argosy.meta.json import Obj, encode, thaw
from argosy.meta.objects import Key

Change = Callable[[Obj], Obj]
_REGISTRY = {kinds.SERVICE: "services/specs", kinds.ENDPOINTS: "services/endpoints", kinds.NODE: "minions",
             kinds.INGRESS: "ingress"}  # fmt: skip
"""Where Kubernetes keeps kinds whose place is not called as they are."""
_RBAC = frozenset({kinds.ROLE, kinds.CLUSTER_ROLE, kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING})
_NEEDS_VERSION = frozenset({
    kinds.CUSTOM_RESOURCE_DEFINITION, kinds.POD_DISRUPTION_BUDGET, kinds.LEASE, kinds.CSI_NODE,
})  # fmt: skip
"""Built-in kinds whose PUT must name the resourceVersion that it replaces, as custom ones must."""


def check_body(call: Call, obj: Obj) -> None:
    """Hold the body against the URL. Raises BadRequest."""
    kind = call.kind
    version, name = obj.get("apiVersion"), obj.get("kind")
    if not isinstance(obj.get("metadata", {}), dict):
        obj["metadata"] = {}
    obj.setdefault("metadata", {})
    if version and version != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        )
    if name and name != kind.kind:
        raise BadRequest(f'{name} in version "{kind.version}" cannot be handled as a {kind.kind}: no kind "{name}" is'
                         f' registered for version "{kind.api_version}"')  # fmt: skip
    namespace = obj["metadata"].get("namespace")
    if kind.namespaced and namespace and namespace != call.target.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


_MOST_PROBLEMS = 100
"""Kubernetes' decoder tells no more of one body, which also keeps the Warning headers within what clients read."""


def understood(call: Call, obj: Obj, problems: list[str], *, patched: bool = False, applied: Obj | None = None) -> Obj:
    """The object as its schema takes it. Unknown and repeated fields are refused, warned of or passed over in silence,
    as fieldValidation says. Raises BadRequest for a body, InvalidPatch for what a patch made, Unreasoned for what came of
    the configuration `applied`.
    """
    level = call.field_validation
    sent = call.said = dict(obj) if patched else obj
    read = call.api.schemas.read(call.served, obj)
    problems = [*problems, *(f"unknown field {go_quoted(path)}" for path in read.unknown)]
    if not call.served.custom:
        problems = problems[:_MOST_PROBLEMS]
    fault = read.error
    if not fault and problems and level == "Strict":
        fault = f"strict decoding error: {', '.join(_yaml_first(problems))}"
    if read.error and applied is not None:
        schema = None if call.served.custom else pack.schema_for(call.kind)
        fault = (schema and strategic.restore_error(sent, schema)) or fault
        place = f"{call.kind.group}/{call.kind.version}, Kind={call.kind.kind}"
        raise Unreasoned(
            f"failed to convert new object {place_of(applied)} to proper version: unable to convert unstructured object to"
            f" {place}: {fault}"
        )
    if fault and patched:
        raise InvalidPatch(as_sent(sent), fault)
    if fault:
        kind = call.kind
        raise BadRequest(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {fault}')
    if level == "Warn":
        call.warnings += problems
    return read.obj


def _yaml_first(problems: list[str]) -> list[str]:
    """What a YAML reader found, told as one."""
    found = [problem for problem in problems if problem.startswith("line ")]
    if not found:
        return problems
    told = "\n  ".join(["yaml: unmarshal errors:", *found])
    return [told, *(problem for problem in problems if problem not in found)]


def as_written(obj: Obj) -> Obj:
    """An object that is to be patched, its metadata in Kubernetes' own order."""
    places = {field: place for place, field in enumerate(objectmeta.ORDER)}
    meta = dict(sorted(obj["metadata"].items(), key=lambda item: places.get(item[0], len(places))))
    return {**obj, "metadata": meta}


def as_sent(obj: Obj) -> str:
    """The outcome of a patch as Kubernetes shows it: by name where the patch went, as it was written elsewhere."""
    return encode(dict(sorted(obj.items()))).decode()


def ordered(obj: Obj, served: Served) -> Obj:
    """kind, apiVersion and metadata first: lists cut the first two off the stored bytes."""
    rest = {field: value for field, value in obj.items() if field not in ("kind", "apiVersion", "metadata")}
    return {"kind": served.kind.kind, "apiVersion": served.kind.api_version, "metadata": obj["metadata"], **rest}


def current(call: Call) -> Record:
    """The newest state of the request's object, perhaps not durable yet. Raises NotFound."""
    record = call.api.store.newest(call.served.storage.resource, call.key)
    if record is None:
        raise not_found(call.kind, call.target.name)
    return record


async def modify(call: Call, change: Change, subresource: str = "", *, status: int = 200) -> Answer:
    """Replace the request's object by what `change` makes of a copy of it in the version that was asked for."""
    record = current(call)
    old = await shown_form(call.api, call.served, record.obj)
    return await _put(call, record, change(thaw(old)), old, subresource, status)


async def put(call: Call, obj: Obj, subresource: str = "") -> Answer:
    """Replace the request's object by `obj`, which is used up."""
    record = current(call)
    old = await shown_form(call.api, call.served, record.obj)
    return await _put(call, record, obj, old, subresource, 200)


async def _put(call: Call, record: Record, obj: Obj, old: Obj, subresource: str, status: int) -> Answer:
    _check_uid(call, obj, record)
    check_precondition(call, obj, record)
    await complete_update(call, obj, old, subresource)
    return await replace(call, record, obj, status=status)


async def complete_update(call: Call, obj: Obj, old: Obj, subresource: str) -> None:
    """Make a changed object whole and hold it against the rules. Raises ApiError."""
    served = call.served
    objectmeta.carry_over(obj, old)
    if call.verb != "apply":
        strategy.before_tracking(served, obj)
        ownership.track(call, obj, old, subresource)
    strategy.prepare_update(served, obj, old, subresource, call.now)
    await admission.admit(call, obj, old)
    if served.storage is kinds.SERVICE and not subresource:
        services.change(call, obj, old)
    elif served.storage is kinds.CUSTOM_RESOURCE_DEFINITION and not subresource:
        crds.renewed(obj)
    # Kubernetes holds the metadata against its rules twice: as of any object, and as part of the kind's own rules.
    causes = objectmeta.validate_update(obj, old) * 2
    causes += validation.validate_update(call, obj, old, subresource)
    try:
        if causes:
            raise invalid(served.storage, call.target.name, as_said(causes, call.said))
        await admission.review(call, obj, old)
    except BaseException:
        services.release(call, obj, old)
        raise


def _check_uid(call: Call, obj: Obj, record: Record) -> None:
    """A PUT that names an object's uid means that object and no other of its name. Raises Conflict."""
    wanted, actual = obj["metadata"].get("uid") or "", record.obj["metadata"].get("uid") or ""
    if call.verb == "update" and wanted and wanted != actual:
        place = _REGISTRY.get(call.served.storage, call.served.storage.plural)
        group = f"{call.kind.group}/" if call.served.custom else ""
        why = (
            f"StorageError: invalid object, Code: 4, Key: /registry/{group}{place}/{record.key}, ResourceVersion: 0,"
            f" AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}"
        )
        raise conflict(call.kind, record.key.name, why)


def check_precondition(call: Call, obj: Obj, record: Record) -> None:
    """Hold `metadata.resourceVersion` against the current one. Raises Conflict, Invalid."""
    meta = obj["metadata"]
    version = meta.get("resourceVersion") or ""
    if version in ("", "0"):
        if call.verb == "update" and (call.served.custom or call.served.storage in _NEEDS_VERSION):
            cause = wrong("metadata.resourceVersion", 0, "must be specified for an update")
            fault = invalid(call.kind, call.target.name, [cause])
            fault.message = fault.message.replace(qualified(call.kind), call.kind.resource, 1)
            fault.details["kind"] = call.kind.plural
            raise fault
        return
    if not version.isdigit():
        raise Unreasoned(f'strconv.ParseUint: parsing "{version}": invalid syntax')
    if int(version) != record.revision:
        raise conflict(call.kind, call.target.name)


async def replace(call: Call, record: Record, obj: Obj, *, status: int = 200) -> Answer:
    """Store a changed object, remove it when nothing holds it up any more, or do nothing when nothing changed."""
    served = call.served
    new = await stored_form(call.api, served, ordered(obj, served))
    new["metadata"].pop("resourceVersion", None)
    if gone(new):
        return await remove(call, record, status=status, shown=new)
    if same(new, record.obj):
        return Answer(status, record=record, kind=call.kind)
    if call.dry_run:
        new["metadata"]["resourceVersion"] = str(record.revision)
        return Answer(status, obj=await shown_form(call.api, served, new))
    kept = await commit(call, [Put(served.storage.resource, record.key, new, expect=record.revision)])
    settled(call, new, record.obj)
    return Answer(status, record=kept[0], kind=call.kind)


async def remove(
    call: Call, record: Record, final: Obj | None = None, *, status: int = 200, shown: Obj | None = None
) -> Answer:
    """Remove an object for good. Watchers are told its last stored state, or `final`; the answer shows `shown`."""
    resource = call.served.storage.resource
    shown = shown or final or record.obj
    if call.dry_run:
        return Answer(status, obj=await shown_form(call.api, call.served, shown))
    kept = await commit(call, [Remove(resource, record.key, expect=record.revision, obj=final)])
    settled(call, None, record.obj)
    # As Kubernetes does: a DELETE is answered with the object at the revision of its removal, a write that takes the last
    # finalizer away with that which the object had. Pods are marked before they are removed, also by an eviction.
    if call.verb == "delete" or (call.served.storage is kinds.POD and call.verb in ("create", "deletecollection")):
        return Answer(status, obj=await shown_form(call.api, call.served, kept[0].obj))
    version = str(record.revision)
    last = {**shown, "metadata": {**shown["metadata"], "resourceVersion": version}}
    return Answer(status, obj=await shown_form(call.api, call.served, last))


def gone(obj: Obj) -> bool:
    """Whether an object that is being deleted has nothing left that holds it up."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return not (obj["kind"] == "Namespace" and obj["apiVersion"] == "v1" and obj.get("spec", {}).get("finalizers"))


def same(new: Obj, old: Obj) -> bool:
    """Whether two states differ in nothing but their version and the time at which managers wrote."""
    for field in new.keys() | old.keys():
        if field != "metadata" and new.get(field) != old.get(field):
            return False
    mine, theirs = new["metadata"], old["metadata"]
    for field in mine.keys() | theirs.keys():
        if field not in ("resourceVersion", "managedFields") and (mine.get(field) or None) != (
            theirs.get(field) or None
        ):
            return False
    return _managers(mine) == _managers(theirs)


def _managers(meta: Obj) -> list[Obj]:
    return [{k: v for k, v in entry.items() if k != "time"} for entry in meta.get("managedFields") or ()]


async def commit(call: Call, ops: list[Op]) -> list[Record]:
    """Hand a write to the store and wait until it is durable. Raises InternalError when the disk refuses."""
    try:
        return list(await call.api.store.commit(ops))
    except StoreFailed as error:
        _failed(error)


def _failed(error: StoreFailed) -> NoReturn:
    raise InternalError(f"the write was not kept: {error}") from error


def settled(call: Call, new: Obj | None, old: Obj | None) -> None:
    """Tell the parts of the server that depend on stored objects of a write that is durable."""
    kind = call.served.storage
    call.api.noticed(kind)
    if call.api.recount.touched(kind, call.target.namespace, new, old):
        call.api.counter.wake()
    if kind in _RBAC:
        call.api.authorizer.forget()
        if kind is kinds.CLUSTER_ROLE:
            call.api.aggregator.wake()
    elif kind is kinds.SERVICE and old is not None:
        call.api.addresses.give_back(old, new)
    elif kind is kinds.CUSTOM_RESOURCE_DEFINITION:
        crds.settled(call.api, new, old)
        call.api.reaper.wake()
    elif call.served.custom and new is None:
        call.api.reaper.wake()


def key_for(call: Call, obj: Obj) -> Key:
    """Where a new object goes."""
    return Key(call.target.namespace if call.kind.namespaced else "", obj["metadata"]["name"])
