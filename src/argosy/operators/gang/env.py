"""A container's environment, written as the API wants it."""

from __future__ import annotations

from collections.abc import Mapping

from argosy.meta.json import Obj


def entries(values: Mapping[str, str]) -> list[Obj]:
    """`[{name, value}, …]` in the mapping's order."""
    return [{"name": name, "value": value} for name, value in values.items()]
