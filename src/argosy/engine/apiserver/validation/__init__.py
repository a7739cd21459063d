"""What is wrong with an object beyond its metadata: its schema, then the rules of its kind, one file a group of kinds."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.validation import definitions
from argosy.errors import Cause
from argosy.meta.json import Obj


def validate_create(call: Call, obj: Obj) -> list[Cause]:
    """What is wrong with a new object."""
    found = call.api.schemas.validate(call.served, obj)
    if call.served.storage is kinds.CUSTOM_RESOURCE_DEFINITION:
        found += definitions.validate(obj)
    return found


def validate_update(call: Call, obj: Obj, old: Obj, subresource: str) -> list[Cause]:
    """What is wrong with a changed object."""
    found = call.api.schemas.validate(call.served, obj, old)
    if call.served.storage is kinds.CUSTOM_RESOURCE_DEFINITION and not subresource:
        found += definitions.validate(obj, old)
    return found
