"""`serviceaccounts/token`: TokenRequest."""

from __future__ import annotations

from datetime import timedelta

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import conflict, invalid, not_found
from argosy.engine.apiserver.settings import AUDIENCE
from argosy.engine.apiserver.tokens import Bound
from argosy.engine.apiserver.verbs.get import find
from argosy.errors import Invalid, ServiceUnavailable
from argosy.meta.causes import invalid as wrong
from argosy.meta.json import Obj
from argosy.meta.objects import Key, uid_of

_SHORTEST, _LONGEST = 600, 1 << 32
_BINDABLE = {"Pod": kinds.POD, "Secret": kinds.SECRET, "Node": kinds.NODE}


def create(call: Call) -> Answer:
    """POST of a TokenRequest."""
    account = find(call).obj
    body = read_object(call.request, [])
    spec = body.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    seconds = 3600 if seconds is None else int(seconds)
    _check_lifetime(seconds)
    if not call.api.settings.signing_key_pem:
        raise ServiceUnavailable("this server has no key to sign tokens with")
    audiences = spec.get("audiences") or [AUDIENCE]
    bound = _bound(call, spec.get("boundObjectRef"))
    issued = int(call.now.timestamp())
    token = call.api.tokens.sign(account, audiences, issued, seconds, bound)
    meta = account["metadata"]
    kind = kinds.TOKEN_REQUEST
    answer: Obj = {
        "kind": kind.kind,
        "apiVersion": kind.api_version,
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "creationTimestamp": rfc3339(call.now),
        },
        "spec": {
            "audiences": audiences,
            "expirationSeconds": seconds,
            "boundObjectRef": spec.get("boundObjectRef"),
        },
        "status": {"token": token, "expirationTimestamp": rfc3339(call.now + timedelta(seconds=seconds))},
    }
    return Answer(201, obj=answer)


def _check_lifetime(seconds: int) -> None:
    why = ""
    if seconds < _SHORTEST:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > _LONGEST:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        fault: Invalid = invalid(kinds.TOKEN_REQUEST, "", [wrong("spec.expirationSeconds", seconds, why)])
        raise fault


def _bound(call: Call, reference: Obj | None) -> Bound | None:
    if not reference:
        return None
    kind = _BINDABLE.get(reference.get("kind", ""))
    if kind is None:
        why = f"cannot bind token to object of type {reference.get('apiVersion', '')}, Kind={reference.get('kind')}"
        raise invalid(kinds.TOKEN_REQUEST, "", [wrong("spec.boundObjectRef", reference.get("kind"), why)])
    name = reference.get("name", "")
    namespace = call.target.namespace if kind.namespaced else ""
    record = call.api.store.get(kind.resource, Key(namespace, name))
    if record is None:
        raise not_found(kind, name)
    uid = uid_of(record.obj)
    if reference.get("uid") and reference["uid"] != uid:
        why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The object might have been deleted and then recreated"
        raise conflict(kind, name, why)
    return Bound(reference["kind"], name, uid)
