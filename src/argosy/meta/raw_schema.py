"""A schema kept as the bytes it came in.

The API server has one for every custom kind. Decoded, the definitions of a few dozen kinds would take tens of megabytes,
and most kinds are never used; so it is decoded when somebody looks, and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from argosy.meta.json import Obj, decode, encode


class RawSchema(Mapping[str, Any]):
    """Reads like the decoded schema; whoever needs more than one field takes `whole` first."""

    __slots__ = ("raw",)

    def __init__(self, raw: msgspec.Raw) -> None:
        self.raw = raw
        """A part of the bytes of its definition, which it keeps alive: no copy."""

    def whole(self) -> Obj:
        """The decoded schema, a value of the caller's own."""
        decoded: Obj = decode(bytes(self.raw))
        return decoded

    def __getitem__(self, name: str) -> Any:
        return self.whole()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def __len__(self) -> int:
        return len(self.whole())


def whole(schema: Mapping[str, Any] | None) -> Obj:
    """A schema as a dict, however it is kept; empty for none."""
    return schema.whole() if isinstance(schema, RawSchema) else dict(schema or {})


def text(schema: Mapping[str, Any]) -> bytes:
    """A schema as JSON, however it is kept."""
    return bytes(schema.raw) if isinstance(schema, RawSchema) else encode(dict(schema))
