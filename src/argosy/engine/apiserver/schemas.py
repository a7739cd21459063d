"""The edge between the server and `argosy.meta`: decoding, defaults and validation of any served kind."""

from __future__ import annotations

from argosy.engine.apiserver.served import Served
from argosy.errors import Cause
from argosy.meta import structural, validation
from argosy.meta.decode import Decoded, decode
from argosy.meta.defaults import set_defaults
from argosy.meta.json import Obj
from argosy.meta.schema import Schema


class Schemas:
    """What the schema of a kind has to say about an object."""

    def of(self, served: Served) -> Schema | None:
        """The schema of the version that was asked for."""
        return served.schema

    def read(self, served: Served, obj: Obj) -> Decoded:
        """The object as its schema takes it, with its defaults, and what was wrong with it. `obj` is used up."""
        schema = self.of(served)
        if schema is None:
            return Decoded(obj)
        if served.custom:
            error = structural.metadata_error(obj)
            unknown = () if error else structural.prepare(obj, schema)
            return Decoded(obj, tuple(unknown), error)
        decoded = decode(obj, schema)
        if not decoded.error:
            set_defaults(served.kind.api_version, served.kind.kind, decoded.obj)
        return decoded

    def validate(self, served: Served, obj: Obj, old: Obj | None) -> list[Cause]:
        """What is wrong with a complete custom object; `old` is what it was before. Built-in ones were held against
        theirs when they were decoded.
        """
        schema = self.of(served)
        return [] if schema is None else validation.validate_object(obj, schema, old)

    def forget(self, crd: str) -> None:
        """A CustomResourceDefinition changed: what was made of its schemas is void."""
