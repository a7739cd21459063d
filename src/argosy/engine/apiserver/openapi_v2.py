"""/openapi/v2 as kubectl before 1.29 reads it: protobuf, and of that only what it looks for.

Old kubectl refuses to send anything before it has seen that the server validates fields: it looks up the kind's PATCH and its
parameters. Nothing else is said here; schemas are served as version 3.
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy.engine.apiserver.served import Served

TYPES = ("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")  # fmt: skip
"""What clients ask for; the first is not a valid media type, so answers carry the second."""
_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "force")
_EXTENSION = "x-kubernetes-group-version-kind"


def _field(number: int, content: bytes | str) -> bytes:
    """A length-delimited field."""
    raw = content.encode() if isinstance(content, str) else content
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _parameter(name: str) -> bytes:
    query = _field(2, "query") + _field(4, name) + _field(6, "string")
    return _field(1, _field(2, _field(3, query)))


def _patch(served: Served) -> bytes:
    kind = served.kind
    told = f"group: {kind.group}\nkind: {kind.kind}\nversion: {kind.version}\n".replace(": \n", ': ""\n')
    extension = _field(1, _EXTENSION) + _field(2, _field(2, told))
    return b"".join(_field(8, _parameter(name)) for name in _PARAMETERS) + _field(13, extension)


def document(kinds: Iterable[Served]) -> bytes:
    """The document for these kinds."""
    paths = bytearray()
    for served in kinds:
        if "patch" in served.kind.verbs:
            item = _field(1, served.kind.path(name="name")) + _field(2, _field(8, _patch(served)))
            paths += _field(2, item)
    info = _field(1, "Kubernetes") + _field(2, "v1.36.0")
    return _field(1, "2.0") + _field(2, info) + _field(8, bytes(paths))
