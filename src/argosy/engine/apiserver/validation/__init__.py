"""What is wrong with an object beyond its metadata: its schema where it is custom, else the rules of its kind."""

from __future__ import annotations

from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.validation import admin_access, statuses
from argosy.errors import Cause
from argosy.meta import rules
from argosy.meta.json import Obj
from argosy.meta.rules import certificates

_UNRULED = frozenset({"binding", "resize", "ephemeralcontainers", "finalize"})
"""Subresources that change what no rule is about."""


def validate_create(call: Call, obj: Obj) -> list[Cause]:
    """What is wrong with a new object."""
    return admin_access.of_claim(call, obj) + _validate(call, obj, None)


def validate_update(call: Call, obj: Obj, old: Obj, subresource: str) -> list[Cause]:
    """What is wrong with a changed object."""
    if subresource in _UNRULED:
        return []
    if subresource == "status" and not call.served.custom:
        return admin_access.of_status(call, obj, old) + statuses.validate(call.served.storage, obj, old)
    if subresource == "approval":
        return certificates.approval(obj, old)
    return _validate(call, obj, old)


def _validate(call: Call, obj: Obj, old: Obj | None) -> list[Cause]:
    if call.served.custom:
        return call.api.schemas.validate(call.served, obj, old)
    return rules.check(call.kind, obj, old)
