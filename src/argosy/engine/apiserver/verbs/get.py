"""GET of one object."""

from __future__ import annotations

from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import Unreasoned, not_found, parse_uint, too_large_version
from argosy.engine.store import Record
from argosy.errors import ApiError


def get(call: Call) -> Answer:
    """The object as it is now. Raises NotFound."""
    version = call.query.get("resourceVersion")
    if version and version != "0":
        try:
            wanted = parse_uint(version)
        except ValueError as error:
            raise Unreasoned(str(error)) from None
        if wanted > call.api.store.revision:
            raise too_large_version(wanted, call.api.store.revision)
    return Answer(record=find(call), kind=call.kind)


def find(call: Call) -> Record:
    """The record that the request names. Raises NotFound."""
    record = call.api.store.get(call.served.storage.resource, call.key)
    if record is None:
        raise missing(call)
    return record


def missing(call: Call) -> ApiError:
    """404 for the request's object."""
    return not_found(call.kind, call.target.name)
