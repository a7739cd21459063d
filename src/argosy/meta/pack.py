"""The schema pack: the definitions of Kubernetes' built-in kinds, opened when first needed.

Reading the file takes about two milliseconds and parses no definition; each is parsed and compiled when something asks
for it. The prose that only `kubectl explain` shows lies in a second file.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import msgspec

from argosy.meta.json import Obj, decode
from argosy.meta.kind import Kind
from argosy.meta.raw_schema import whole
from argosy.meta.schema import Schema, defined, structural

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"


class _Pack(msgspec.Struct):
    kubernetes: str
    kinds: dict[str, str]
    definitions: dict[str, msgspec.Raw]


@cache
def _pack() -> _Pack:
    raw = files("argosy.meta").joinpath("schemas.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(raw), type=_Pack)


@cache
def _prose() -> dict[str, dict[str, str]]:
    raw = files("argosy.meta").joinpath("descriptions.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(raw), type=dict[str, dict[str, str]])


def digest() -> bytes:
    """Of the pack as a whole."""
    return hashlib.sha256(files("argosy.meta").joinpath("schemas.json.gz").read_bytes()).digest()


def kubernetes_version() -> str:
    """The minor version whose API the pack describes, `1.36`."""
    return _pack().kubernetes


@cache
def raw_definition(name: str) -> Obj:
    """The stripped JSON of one definition. Raises KeyError."""
    definition: Obj = decode(bytes(_pack().definitions[name]))
    return definition


def definition(name: str) -> Schema:
    """The compiled definition of this full name, `io.k8s.api.core.v1.PodSpec`. Raises KeyError."""
    return defined(name, raw_definition)


def definition_name(api_version: str, kind: str) -> str:
    """The full name of a kind's definition, empty when the pack does not know the kind."""
    return _pack().kinds.get(f"{api_version}/{kind}", "")


def definition_for(api_version: str, kind: str) -> Schema | None:
    """The schema of a built-in kind, or None: `definition_for("apps/v1", "Deployment")`."""
    name = definition_name(api_version, kind)
    return definition(name) if name else None


def schema_for(kind: Kind) -> Schema | None:
    """The schema of any kind: its own when it came as a CRD, else the pack's; None when there is none."""
    if kind.schema is None:
        return definition_for(kind.api_version, kind.kind)
    return _structural(id(kind.schema), kind)


_compiled: dict[int, tuple[object, Schema]] = {}


def _structural(identity: int, kind: Kind) -> Schema:
    # Kinds compare without their schema, so the cache is by the schema's identity, which it keeps alive.
    found = _compiled.get(identity)
    if found is None or found[0] is not kind.schema:
        if len(_compiled) > 1000:
            _compiled.clear()
        found = _compiled[identity] = (kind.schema, structural(whole(kind.schema)))
    return found[1]


def kinds() -> Iterator[tuple[str, str]]:
    """(apiVersion, kind) of every built-in kind."""
    for key in _pack().kinds:
        api_version, _, kind = key.rpartition("/")
        yield api_version, kind


def descriptions(name: str) -> dict[str, str]:
    """The prose of a definition: of itself under the empty key, and of its properties."""
    return _prose().get(name, {})
