"""Reading the protobuf bodies that kubectl sends for typed commands."""

from __future__ import annotations

from argosy.errors import UnsupportedMediaType
from argosy.meta.json import Obj


def read(raw: bytes) -> Obj:
    """The object in a protobuf body."""
    raise UnsupportedMediaType("protobuf bodies are not read yet; send JSON")
