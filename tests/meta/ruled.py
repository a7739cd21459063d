"""Built-in objects as the server checks them, and what is wrong with them, for tests of rules."""

from __future__ import annotations

from typing import Any

from argosy.meta import pack, rules
from argosy.meta.decode import decode
from argosy.meta.defaults import set_defaults
from argosy.meta.kind import Kind

Found = list[tuple[str, str]]


def settled(api_version: str, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    schema = pack.definition_for(api_version, kind)
    assert schema is not None
    decoded = decode({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **fields}, schema)
    assert decoded.error == ""
    assert decoded.unknown == ()
    set_defaults(api_version, kind, decoded.obj)
    return decoded.obj


def faults(api_version: str, kind: str, fields: dict[str, Any], old: dict[str, Any] | None = None) -> Found:
    group, _, version = api_version.rpartition("/")
    before = settled(api_version, kind, old) if old is not None else None
    found = rules.check(Kind(group, version, kind, ""), settled(api_version, kind, fields), before)
    return [(cause.field, cause.message) for cause in found]


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "image": "i:1", **(container or {})}], **spec}}
