"""Who owns which field: `metadata.managedFields` after every write, and server-side apply.

The rules are `argosy.meta.apply`'s; here is what they are handed: the manager, and the fields that a door does not write.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from argosy import kinds
from argosy.engine.apiserver import jsonpath
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import Unreasoned, invalid_options
from argosy.engine.apiserver.served import Served
from argosy.engine.apiserver.strategy import has_status
from argosy.meta import apply, fieldset
from argosy.meta.causes import required
from argosy.meta.json import Obj
from argosy.meta.kind import Kind

_SILENT = frozenset({"binding"})
"""Subresources whose writes are nobody's."""
_TIMELESS = frozenset({"scale"})
"""Subresources whose entries Kubernetes writes without a time."""


_SIGNED: dict[str, tuple[tuple[str, ...], ...]] = {
    "status": (("status", "conditions"),), "approval": (("status", "certificate"),),
}  # fmt: skip
"""What each door of a CertificateSigningRequest leaves alone, beside its spec."""


@lru_cache(maxsize=512)
def _unwritten(kind: Kind, subresource: str, custom: bool, status: bool) -> Obj:
    """The fields that a door does not write, as a field set."""
    paths: list[tuple[str, ...]] = []
    if subresource == "status":
        paths += [("metadata",), ("spec",)] if custom else [("spec",)]
        if kind is kinds.POD:
            paths += [("metadata", "deletionTimestamp"), ("metadata", "ownerReferences")]
        elif kind is kinds.RESOURCE_CLAIM:
            paths.append(("metadata",))
        elif kind is kinds.DEPLOYMENT:
            paths.append(("metadata", "labels"))
    elif status and subresource != "approval":
        paths.append(("status",))
    if kind is kinds.CERTIFICATE_SIGNING_REQUEST:
        paths += [("spec",), *_SIGNED.get(subresource, ())]
    found: Obj = fieldset.of_paths(*paths)
    return found


def request_of(call: Call, subresource: str) -> apply.Request:
    """The write at hand, as the rules take it."""
    served: Served = call.served
    return apply.Request(
        manager=call.field_manager,
        api_version=served.kind.api_version,
        now=call.now,
        subresource=subresource,
        ignored=_unwritten(served.storage, subresource, served.custom, has_status(served)),
        force=call.query.get("force") == "true",
    )


def track(call: Call, obj: Obj, live: Obj | None, subresource: str = "") -> None:
    """Record, in place, what a create, update or patch changed."""
    meta = obj["metadata"]
    if subresource in _SILENT:
        _keep(meta, (live or {}).get("metadata") or {})
        return
    untracked = call.user.name in call.api.settings.untracked
    if untracked and (live is None or not live["metadata"].get("managedFields")):
        meta.pop("managedFields", None)
        return
    request = request_of(call, subresource)
    if subresource in _TIMELESS and not _replicas(call, obj):
        # A Scale that asks for none has no such field: it is taken from whoever had it, and nobody's.
        request = replace(request, owns=False)
    entries = apply.track_update(live, obj, call.api.schemas.of(call.served), request)
    _set(meta, entries, subresource)


def _replicas(call: Call, obj: Obj) -> int:
    path = call.served.scale.get("specReplicasPath", ".spec.replicas")
    return int(jsonpath.first(path, obj) or 0)


def applied(call: Call, live: Obj | None, config: Obj, subresource: str) -> Obj:
    """The object after an apply patch, its ownership recorded. Raises Conflict, BadRequest."""
    if not call.query.get("fieldManager"):
        cause = required("fieldManager", "is required for apply patch")
        raise invalid_options("PatchOptions", [cause])
    schema = call.api.schemas.of(call.served)
    try:
        obj, entries = apply.apply(live, config, schema, request_of(call, subresource))
    except apply.ApplyFailed as error:
        raise Unreasoned(error.message) from None
    obj = {**obj, "metadata": dict(obj.get("metadata") or {})}
    _set(obj["metadata"], entries, subresource)
    return obj


def _set(meta: Obj, entries: list[Obj], subresource: str) -> None:
    if subresource in _TIMELESS:
        timeless = [{field: value for field, value in entry.items() if field != "time"} for entry in entries]
        entries = [
            bare if entry.get("subresource") == subresource else entry
            for entry, bare in zip(entries, timeless, strict=True)
        ]
    if entries:
        meta["managedFields"] = entries
    else:
        meta.pop("managedFields", None)


def _keep(meta: Obj, before: Obj) -> None:
    if before.get("managedFields"):
        meta["managedFields"] = before["managedFields"]
    else:
        meta.pop("managedFields", None)
