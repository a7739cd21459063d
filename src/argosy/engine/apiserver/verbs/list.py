"""GET of a collection: selectors, pages, and the rules about resourceVersion."""

from __future__ import annotations

import base64
from collections.abc import Callable

from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import invalid_options, parse_uint, too_large_version
from argosy.engine.apiserver.fields import exact_name, fields_matcher
from argosy.engine.store import Record
from argosy.errors import BadRequest, Cause, Expired
from argosy.meta.causes import forbidden as not_allowed
from argosy.meta.causes import unsupported
from argosy.meta.json import Obj, decode, encode
from argosy.meta.objects import Key
from argosy.meta.selectors import parse_labels

Matches = Callable[[Obj], bool]


def only_name(call: Call) -> str:
    """The one name that the request selects, empty if it does not. Names are looked up, no object is looked at."""
    return call.target.name or exact_name(call.query.get("fieldSelector") or "")


def matcher(call: Call) -> Matches | None:
    """Whether an object of that name is selected by the request's label and field selectors; None when all are."""
    labels = parse_labels(call.query.get("labelSelector") or "")
    fields = fields_matcher(call.served, call.query.get("fieldSelector") or "", only_name(call))
    tests: list[Matches] = []
    if fields is not None:
        tests.append(fields)
    if labels:
        tests.append(lambda obj: labels.matches(obj["metadata"].get("labels")))
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else lambda obj: all(test(obj) for test in tests)


def selected(call: Call, at: int | None = None) -> list[Record]:
    """Every record that the request selects, now or as of an earlier revision. Raises Expired."""
    store, resource = call.api.store, call.served.storage.resource
    name, namespace = only_name(call), call.target.namespace
    if at is None and name and (namespace or not call.kind.namespaced):
        found = store.get(resource, Key(namespace, name))
        records = [found] if found is not None else []
    else:
        records = store.list_at(resource, namespace or None, at) if at else store.list(resource, namespace or None)
        records = [record for record in records if record.key.name == name] if name else records
    matches = matcher(call)
    return records if matches is None else [record for record in records if matches(record.obj)]


_PAGE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without"
    " the continue parameter."
)


def list_(call: Call) -> Answer:
    """The collection, or a page of it."""
    check_options(call)
    limit = max(call.number("limit") or 0, 0)
    call.number("timeoutSeconds")
    token = call.query.get("continue") or ""
    if call.query.get("resourceVersion") == "0" and not token:
        limit = 0  # what may be as old as it likes comes whole: clients count on it
    after = _read_token(token) if token else None
    revision = revision_of(call, token)
    at = revision if revision < call.api.store.revision else None
    if after is not None:
        revision = at = after[0]
    try:
        records = selected(call, at)
    except Expired:
        raise Expired(_PAGE_TOO_OLD if token else "The resourceVersion for the provided list is too old.") from None
    if after is not None:
        records = [record for record in records if record.key > after[1]]
    meta: Obj = {"resourceVersion": str(revision)}
    if limit and len(records) > limit:
        left = len(records) - limit
        records = records[:limit]
        meta["continue"] = _token(revision, records[-1].key)
        if not (call.query.get("labelSelector") or call.query.get("fieldSelector")):
            meta["remainingItemCount"] = left
    elif call.served.custom:
        meta["continue"] = ""
    return Answer(records=records, meta=meta, kind=call.kind)


def check_options(call: Call) -> None:
    """Whether the parameters of a list go together. Raises Invalid."""
    query = call.query
    version, match = query.get("resourceVersion") or "", query.get("resourceVersionMatch") or ""
    causes: list[Cause] = []
    if "sendInitialEvents" in query:
        causes.append(not_allowed("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if match:
        if not version:
            why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            causes.append(not_allowed("resourceVersionMatch", why))
        if query.get("continue"):
            why = "resourceVersionMatch is forbidden when continue is provided"
            causes.append(not_allowed("resourceVersionMatch", why))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(unsupported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]))
        if match == "Exact" and version == "0":
            why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            causes.append(not_allowed("resourceVersionMatch", why))
    if causes:
        raise invalid_options("ListOptions", causes)


def revision_of(call: Call, token: str) -> int:
    """The revision that the list is as of: the present, unless another is asked for exactly."""
    store, version = call.api.store, call.query.get("resourceVersion") or ""
    if not version or version == "0":
        return store.revision
    if token:
        raise BadRequest("specifying resource version is not allowed when using continue")
    try:
        wanted = parse_uint(version)
    except ValueError as error:
        raise BadRequest(f"invalid resource version: {error}") from None
    if wanted > store.revision:
        raise too_large_version(wanted, store.revision)
    match, limit = call.query.get("resourceVersionMatch"), call.number("limit") or 0
    exact = match == "Exact" or (not match and limit > 0)
    return wanted if exact else store.revision


def _token(revision: int, last: Key) -> str:
    start = f"{last.namespace}/{last.name}"
    raw = encode({"v": "meta.k8s.io/v1", "rv": revision, "start": f"{start}\0"})
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _read_token(token: str) -> tuple[int, Key]:
    try:
        value = _token_value(token)
        version, revision, start = value.get("v") or "", value.get("rv") or 0, value.get("start") or ""
        if version != "meta.k8s.io/v1":
            raise ValueError(f"server does not recognize this encoded version {version}")
        if not isinstance(revision, int) or revision == 0:
            raise ValueError("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
        if not start or not isinstance(start, str):
            raise ValueError("encoded start key empty (version meta.k8s.io/v1)")
        if ".." in start.split("/"):
            raise ValueError(start)
    except ValueError as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from None
    namespace, _, name = start.rstrip("\0").rpartition("/")
    return revision, Key(namespace, name)


_GO_TYPES = {list: "array", int: "number", float: "number", str: "string", bool: "bool"}


def _token_value(token: str) -> Obj:
    """What a token holds. Raises ValueError in Go's words."""
    for at, sign in enumerate(token):
        if not (sign.isascii() and (sign.isalnum() or sign in "-_")):
            raise ValueError(f"illegal base64 data at input byte {at}")
    if len(token) % 4 == 1:
        raise ValueError(f"illegal base64 data at input byte {len(token) - 1}")
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    try:
        value = decode(raw)
    except (ValueError, RecursionError):
        first = raw[:1].decode("latin-1")
        raise ValueError(f"invalid character {first!r} looking for beginning of value") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"json: cannot unmarshal {_GO_TYPES[type(value)]} into Go value of type storage.continueToken")
    return value


def check_page(call: Call) -> None:
    """Hold what a deletion of a collection says about versions and pages against the rules. Raises BadRequest, Invalid."""
    check_options(call)
    call.number("limit")
    call.number("timeoutSeconds")
    token = call.query.get("continue") or ""
    if token:
        _read_token(token)
    revision_of(call, token)
