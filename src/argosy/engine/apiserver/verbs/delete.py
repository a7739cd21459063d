"""DELETE of an object or a collection: grace, finalizers, propagation, preconditions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver import admission, crds, writing
from argosy.engine.apiserver.admission.lifecycle import IMMORTAL
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.converting import shown_form
from argosy.engine.apiserver.failures import conflict, forbidden, invalid_options
from argosy.engine.apiserver.routes import is_true
from argosy.engine.apiserver.verbs.list import check_page, selected
from argosy.engine.store import Put, Record
from argosy.errors import ApiError, BadRequest, Cause, Conflict
from argosy.meta.causes import invalid as wrong
from argosy.meta.causes import unsupported
from argosy.meta.json import Obj, thaw
from argosy.meta.objects import is_deleting

_POLICIES = ("Foreground", "Background", "Orphan")
_ORPHANS_BY_DEFAULT = frozenset({kinds.JOB, kinds.REPLICATION_CONTROLLER})
_PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set"
    " propagationPolicy=Orphan to suppress this warning"
)
_ANSWERS_WITH_OBJECT = frozenset({
    kinds.POD, kinds.SERVICE, kinds.SERVICE_ACCOUNT, kinds.POD_TEMPLATE, kinds.RESOURCE_QUOTA,
    kinds.PERSISTENT_VOLUME, kinds.PERSISTENT_VOLUME_CLAIM, kinds.STORAGE_CLASS, kinds.CSI_DRIVER, kinds.CSI_NODE,
    kinds.VOLUME_ATTACHMENT, kinds.VOLUME_ATTRIBUTES_CLASS, kinds.DEVICE_CLASS, kinds.RESOURCE_CLAIM,
    kinds.RESOURCE_CLAIM_TEMPLATE, kinds.RESOURCE_SLICE,
})  # fmt: skip
"""Kinds whose removal is answered with the removed object rather than with a Status."""


@dataclass(slots=True)
class Options:
    """DeleteOptions."""

    grace_seconds: int | None = None
    policy: str = ""
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False
    accepted: bool = False
    """Whether an object that stays for its finalizers is answered with 202, as old clients expect that said otherwise."""


def read_options(call: Call) -> Options:
    """From the body, or failing that from the query. Raises BadRequest, Invalid."""
    has_body = call.request.obj is not None or bool(call.request.body.strip())
    body: Obj = read_object(call.request, []) if has_body else {}
    if body.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(
            f'no kind "{body["kind"]}" is registered for version "{body.get("apiVersion", "")}" in scheme'
            ' "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    options = Options()
    if has_body:  # then the query says nothing
        options.grace_seconds = _typed(body, "gracePeriodSeconds", int, "int64")
        policy = _typed(body, "propagationPolicy", str, "v1.DeletionPropagation")
        conditions = _typed(body, "preconditions", dict, "v1.Preconditions") or {}
        options.uid = _typed(conditions, "uid", str, "types.UID")
        options.version = _typed(conditions, "resourceVersion", str, "string")
        orphan = _typed(body, "orphanDependents", bool, "bool")
        dry_run = _typed(body, "dryRun", list, "[]string") or []
        if any(value != "All" for value in dry_run):
            raise invalid_options("DeleteOptions", [unsupported("dryRun", dry_run, ["All"])])
        options.dry_run = bool(dry_run)
    else:
        options.dry_run = call.dry_run
        orphan = is_true(call.query["orphanDependents"]) if "orphanDependents" in call.query else None
        options.grace_seconds = call.number("gracePeriodSeconds")
        policy = call.query.get("propagationPolicy")
    if policy is not None and policy not in _POLICIES:
        raise invalid_options("DeleteOptions", _wrong_policy(policy, orphan))
    options.policy, options.accepted = policy or "", orphan is False
    _check(options, orphan)
    if not options.policy and call.served.storage is kinds.JOB:
        call.warnings.append(_PODS_STAY)
    return options


def _wrong_policy(policy: str, orphan: bool | None) -> list[Cause]:
    both = "orphanDependents and deletionPropagation cannot be both set"
    first = [wrong("propagationPolicy", policy, both)] if orphan is not None else []
    return [*first, unsupported("propagationPolicy", policy, [*_POLICIES, "nil"])]


def _check(options: Options, orphan: bool | None) -> None:
    causes: list[Cause] = []
    if options.policy and orphan is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        causes.append(wrong("propagationPolicy", options.policy, why))
    if causes:
        raise invalid_options("DeleteOptions", causes)
    if orphan is not None:
        options.policy = "Orphan" if orphan else "Background"


_FOUND = {bool: "bool", str: "string", list: "array", dict: "object"}


def _typed(given: Obj, field: str, wanted: type, shown: str) -> Any:
    """A field of the options, None where it is missing. Raises BadRequest for a value of another type, in Go's words."""
    value = given.get(field)
    if value is None or (isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))):
        return value
    found = _FOUND.get(type(value), f"number {value}" if wanted is int else "number")
    raise BadRequest(f"json: cannot unmarshal {found} into Go struct field DeleteOptions.{field} of type {shown}")


async def delete(call: Call) -> Answer:
    """Delete the request's object. Raises NotFound, Conflict, Forbidden."""
    options = read_options(call)
    return await delete_with(_decided(call, options), options)


def _decided(call: Call, options: Options) -> Call:
    """The call with what the options made of `dryRun`, wherever that stood."""
    query = {name: value for name, value in call.query.items() if name != "dryRun"}
    if options.dry_run:
        query["dryRun"] = "All"
    return replace(call, request=replace(call.request, query=query, multi_query={}))


async def delete_with(call: Call, options: Options) -> Answer:
    """Delete as the options say; also what an eviction does."""
    record = writing.current(call)
    _check_preconditions(call, options, record)
    await admission.review_delete(call, record.obj, dry_run=options.dry_run)
    if call.served.storage is kinds.NAMESPACE:
        return await _delete_namespace(call, options, record)
    grace = _grace(call, options, record.obj)
    obj, held = _marked(call, options, record.obj, grace)
    if call.served.storage is kinds.CUSTOM_RESOURCE_DEFINITION:
        crds.condemned(obj, call.now)
        held = True
    if not held:
        final = obj if call.served.storage is kinds.POD or is_deleting(record.obj) else None
        answer = await _removed(call, options, record, final)
        if call.served.storage in _ANSWERS_WITH_OBJECT:
            return answer
        return Answer(answer.status, obj=_success(call, record.obj))
    if writing.same(obj, record.obj) or options.dry_run:
        if not options.dry_run:
            return replace(_shown(call, record), status=202 if options.accepted else 200)
        kept_at = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(record.revision)}}
        return Answer(obj=await shown_form(call.api, call.served, kept_at))
    put = Put(call.served.storage.resource, record.key, obj, expect=record.revision)
    kept = await writing.commit(call, [put])
    writing.settled(call, obj, record.obj)
    return replace(_shown(call, kept[0]), status=202 if options.accepted else 200)


async def _removed(call: Call, options: Options, record: Record, final: Obj | None) -> Answer:
    if options.dry_run:
        return Answer(obj=await shown_form(call.api, call.served, final or record.obj))
    return await writing.remove(call, record, final)


def _shown(call: Call, record: Record) -> Answer:
    return Answer(record=record, kind=call.kind)


def _success(call: Call, obj: Obj) -> Obj:
    details: Obj = {"name": obj["metadata"]["name"]}
    if call.kind.group:
        details["group"] = call.kind.group
    details |= {"kind": call.kind.plural, "uid": obj["metadata"].get("uid", "")}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _check_preconditions(call: Call, options: Options, record: Record) -> None:
    meta = record.obj["metadata"]
    why = ""
    if options.uid is not None and options.uid != meta.get("uid"):
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({meta.get('uid')}). The"
            " object might have been deleted and then recreated"
        )
    elif options.version is not None and options.version != str(record.revision):
        why = (
            f"the ResourceVersion in the precondition ({options.version}) does not match the ResourceVersion in record"
            f" ({record.revision}). The object might have been modified"
        )
    if why:
        # Kubernetes names the kind here, not the resource.
        fault: Conflict = conflict(call.kind, call.target.name, why)
        fault.message = fault.message.replace(call.kind.resource, call.kind.kind, 1)
        fault.details = {"name": call.target.name, "kind": call.kind.kind}
        raise fault


def _grace(call: Call, options: Options, obj: Obj) -> int:
    """How long the object may take to go, in seconds: only pods may take any time at all."""
    if call.served.storage is not kinds.POD:
        return 0
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Failed", "Succeeded"):
        return 0
    grace = options.grace_seconds
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        return 30
    return 1 if grace < 0 else int(grace)


def _marked(call: Call, options: Options, old: Obj, grace: int) -> tuple[Obj, bool]:
    """The object as one that is being deleted, and whether anything still holds it up."""
    obj: Obj = {**old, "metadata": thaw(old["metadata"])}
    meta = obj["metadata"]
    meta.pop("resourceVersion", None)
    finalizers = _finalizers(call, options, meta)
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    pending = meta.get("deletionGracePeriodSeconds")
    if meta.get("deletionTimestamp"):
        if pending is not None and grace < pending:
            began = call.now
            meta["deletionTimestamp"] = rfc3339(began + timedelta(seconds=grace))
            meta["deletionGracePeriodSeconds"] = grace
        elif pending:
            return obj, True
    else:
        meta["deletionTimestamp"] = rfc3339(call.now + timedelta(seconds=grace))
        meta["deletionGracePeriodSeconds"] = grace
        if meta.get("generation"):
            meta["generation"] += 1
    return obj, bool(finalizers) or grace > 0


def _finalizers(call: Call, options: Options, meta: Obj) -> list[str]:
    """The finalizers that the propagation policy asks for, beside the object's own."""
    given = list(meta.get("finalizers") or ())
    policy = options.policy
    if not policy:
        if "orphan" in given or "foregroundDeletion" in given:
            return given
        policy = "Orphan" if call.kind in _ORPHANS_BY_DEFAULT else "Background"
    kept = [name for name in given if name not in ("orphan", "foregroundDeletion")]
    if policy == "Orphan":
        return [*kept, "orphan"]
    return [*kept, "foregroundDeletion"] if policy == "Foreground" else kept


async def _delete_namespace(call: Call, options: Options, record: Record) -> Answer:
    """A namespace stays, terminating, until its contents are gone: the namespace controller finishes it."""
    name = record.key.name
    if name in IMMORTAL:
        raise forbidden(call.kind, name, "this namespace may not be deleted")
    obj: Obj = thaw(record.obj)
    obj["metadata"].pop("resourceVersion", None)
    if not obj["metadata"].get("deletionTimestamp"):
        obj["metadata"]["deletionTimestamp"] = rfc3339(call.now)
    obj.setdefault("status", {})["phase"] = "Terminating"
    if writing.gone(obj):
        await _removed(call, options, record, obj)
        return Answer(obj=_success(call, obj))
    if options.dry_run or writing.same(obj, record.obj):
        return Answer(obj=obj) if options.dry_run else _shown(call, record)
    kept = await writing.commit(call, [Put(kinds.NAMESPACE.resource, record.key, obj, expect=record.revision)])
    return _shown(call, kept[0])


async def delete_collection(call: Call) -> Answer:
    """Delete everything that the request selects; the answer lists it."""
    options = read_options(call)
    check_page(call)
    call = _decided(call, options)
    records = selected(call)
    for record in records:
        target = replace(call.target, namespace=record.key.namespace, name=record.key.name)
        one = replace(call, target=target, verb="delete")
        try:
            await delete_with(one, options)
        except ApiError as error:
            if error.code != 404:
                raise
    return Answer(records=records, meta={"resourceVersion": str(call.api.store.revision)}, kind=call.kind)
