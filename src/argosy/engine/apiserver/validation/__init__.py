"""What is wrong with an object beyond its metadata: its schema, then the rules of its kind, one file a group of kinds."""

from __future__ import annotations

from argosy.engine.apiserver.calls import Call
from argosy.errors import Cause
from argosy.meta.json import Obj


def validate_create(call: Call, obj: Obj) -> list[Cause]:
    """What is wrong with a new object."""
    return call.api.schemas.validate(call.served, obj)


def validate_update(call: Call, obj: Obj, old: Obj, subresource: str) -> list[Cause]:
    """What is wrong with a changed object."""
    return call.api.schemas.validate(call.served, obj, old)
