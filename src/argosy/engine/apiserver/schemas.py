"""The edge between the server and `argosy.meta`: strict decoding, defaults and validation of any served kind."""

from __future__ import annotations

from argosy.engine.apiserver.served import Served
from argosy.errors import Cause
from argosy.meta.json import Obj


class Schemas:
    """What the schema of a kind has to say about an object."""

    def strict(self, served: Served, obj: Obj) -> list[str]:
        """Take out what the schema does not know, in place; one text for each."""
        return []

    def default(self, served: Served, obj: Obj) -> None:
        """Fill in defaults, in place."""

    def validate(self, served: Served, obj: Obj, old: Obj | None = None) -> list[Cause]:
        """What is wrong with a complete object."""
        return []

    def forget(self, crd: str) -> None:
        """A CustomResourceDefinition changed: what was made of its schemas is void."""
